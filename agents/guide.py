"""The demo agent as it is shipped: its documents, its spec, and the language model the environment offers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from agents.spec import AgentSpec, LLMSpec, ToolRef, TurnDetection
from agents.tools.builtin import BUILTINS

SLUG = "guide"
KNOWLEDGE = "repartee"
ACCOUNT = "guide-llm"

_OPENAI_URL = "https://api.openai.com/v1"

_GREETING = (
    "Hello, I am the guide to Repartee. Ask me what it does, how it works, or how to build a voice agent. "
    "You can interrupt me at any time."
)
_INSTRUCTIONS = """\
You are the guide to Repartee, a self-hosted platform for real-time voice agents. You are spoken to and you speak:
answer in one or two short sentences of plain words, without lists, Markdown, or addresses read aloud.
Answer from the passages of the documents you are given. When they do not say, tell the caller plainly that you do
not know. Use the tools for the time, for arithmetic, and to end the call when the caller says goodbye.
"""


@dataclass(frozen=True, slots=True)
class ShippedDocument:
    name: str
    title: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, repr=False)
class LLMAccount:
    """A language model that the environment offers, with its key in the clear."""

    base_url: str
    model: str
    api_key: str


def shipped_documents() -> list[ShippedDocument]:
    """The documents of this release, in reading order."""
    folder = files("agents.knowledge").joinpath("documents")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".md"))
    return [_document(name, folder.joinpath(name).read_text(encoding="utf-8")) for name in names]


def _document(name: str, text: str) -> ShippedDocument:
    first = text.lstrip().partition("\n")[0]
    title = first.removeprefix("# ").strip() if first.startswith("# ") else name.removesuffix(".md")
    return ShippedDocument(name, title, text)


def llm_account(environ: Mapping[str, str]) -> LLMAccount | None:
    """From `REPARTEE_LLM_BASE_URL` with `REPARTEE_LLM_API_KEY`, else from `OPENAI_API_KEY`; None without either.

    `REPARTEE_LLM_MODEL` names the model, else the provider chooses. OpenAI's key is never sent to another address.
    """
    model = environ.get("REPARTEE_LLM_MODEL", "")
    if base_url := environ.get("REPARTEE_LLM_BASE_URL"):
        return LLMAccount(base_url, model, environ.get("REPARTEE_LLM_API_KEY", ""))
    if key := environ.get("OPENAI_API_KEY"):
        return LLMAccount(_OPENAI_URL, model, key)
    return None


def spec(account: LLMAccount | None) -> AgentSpec:
    """The agent as shipped: with a language model if there is one, else answering from its documents."""
    return AgentSpec(
        slug=SLUG,
        name="Guide",
        instructions=_INSTRUCTIONS,
        greeting=_GREETING,
        brain="llm" if account else "answers",
        llm=LLMSpec(account=ACCOUNT, model=account.model) if account else LLMSpec(),
        turn_detection=TurnDetection(type="semantic_vad"),
        tools=tuple(ToolRef(name=name) for name in BUILTINS),
        knowledge=(KNOWLEDGE,),
        store_text=True,
    )
