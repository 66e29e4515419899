"""Reading agents: what a session needs before it starts, and what the pages show. Synchronous ORM calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec
from django.db.models import QuerySet

from agents import feed_check
from agents.errors import ClientError, ConfigurationError
from agents.interfaces import ToolSpec
from agents.knowledge import ChunkData
from agents.models import Agent, AgentVersion, Chunk, Document, KnowledgeBase, ProviderAccount, Tool
from agents.spec import EMBEDDED, Account, AgentSpec, LLMSpec, STTSpec, ToolRef, TTSSpec
from agents.tools.builtin import BUILTINS

# What OpenAI's own clients send when nobody chose a model.
_OPENAI_MODEL = re.compile(r"(gpt|chatgpt|whisper|tts|codex)-|o\d", re.IGNORECASE)

KnowledgeStamp = tuple[tuple[int, datetime], ...]
"""Each document's id and when it was last saved, which is also when its passages were made."""


class UnknownAgent(ClientError):
    """There is no such agent, or nothing of it is published."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"There is no published agent {slug!r}.", code="model_not_found", param="model")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a spec, such as a name of nothing that exists. `path` is dotted, as in "llm.account"."""

    path: str
    message: str


def published_spec(slug: str) -> AgentSpec:
    """What `slug` is now, with its webhooks filled in. `UnknownAgent` if nothing is published."""
    agent = Agent.objects.select_related("published__agent").filter(slug=slug).first()
    if agent is None or agent.published is None:
        raise UnknownAgent(slug)
    return with_webhooks(agent.published.agent_spec)


def spec_of(slug: str, version: int) -> AgentSpec:
    """One version of `slug`, draft or published, with its webhooks filled in."""
    found = AgentVersion.objects.select_related("agent").filter(agent__slug=slug, number=version).first()
    if found is None:
        raise UnknownAgent(f"{slug} version {version}")
    return with_webhooks(found.agent_spec)


def with_webhooks(spec: AgentSpec) -> AgentSpec:
    """`spec` with its references to stored webhooks replaced by what they are now."""
    rows = {tool.name: tool for tool in Tool.objects.filter(name__in=_webhooks(spec))}
    return msgspec.structs.replace(spec, tools=tuple(_filled(ref, rows) for ref in spec.tools))


def _webhooks(spec: AgentSpec) -> list[str]:
    return [ref.name for ref in spec.tools if ref.kind == "webhook"]


def _filled(ref: ToolRef, rows: dict[str, Tool]) -> ToolRef:
    if ref.kind == "builtin":
        return ref
    row = rows.get(ref.name)
    if row is None:
        raise ConfigurationError(f'The tool "{ref.name}" no longer exists.')
    return ToolRef(
        name=row.name,
        kind="webhook",
        description=row.description,
        parameters=row.parameters,
        url=row.url,
        timeout_s=row.timeout_s,
        side_effects=row.side_effects,
    )


def account_names(spec: AgentSpec) -> dict[str, str]:
    """Path in the spec → name, of each account it may call besides the embedded one."""
    parts: dict[str, STTSpec | LLMSpec | TTSSpec] = {
        "stt": spec.stt,
        "tts": spec.tts,
        **({"llm": spec.llm} if spec.brain == "llm" else {}),
    }
    named = {f"{path}.account": part.account for path, part in parts.items()}
    for path, part in parts.items():
        named |= {f"{path}.fallbacks[{n}]": name for n, name in enumerate(part.fallbacks)}
    return {path: name for path, name in named.items() if name != EMBEDDED}


def accounts_for(spec: AgentSpec) -> dict[str, Account]:
    """The accounts that `spec` may call, by name, with their keys in the clear."""
    names = set(account_names(spec).values())
    found = {row.name: account(row) for row in ProviderAccount.objects.filter(name__in=names)}
    if missing := sorted(names - found.keys()):
        raise ConfigurationError(f"The agent {spec.slug} needs accounts that do not exist: {', '.join(missing)}.")
    return found


def account(row: ProviderAccount) -> Account:
    return Account(
        name=row.name,
        kind=row.kind,
        base_url=row.base_url,
        api_key=row.api_key.reveal(),
        connect_timeout_s=row.connect_timeout_s,
        first_output_timeout_s=row.first_output_timeout_s,
        stall_timeout_s=row.stall_timeout_s,
    )


def webhook_secrets_for(spec: AgentSpec) -> dict[str, str]:
    """The signing secrets of `spec`'s webhooks in the clear, by the tool's name."""
    rows = Tool.objects.filter(name__in=_webhooks(spec))
    return {row.name: row.signing_secret.reveal() for row in rows if row.signing_secret}


def knowledge_for(spec: AgentSpec) -> list[ChunkData]:
    """All passages of the agent's knowledge bases, for its retriever."""
    return chunks_of(spec.knowledge)


def knowledge_stamp(spec: AgentSpec) -> KnowledgeStamp:
    """Tells whether the passages of `knowledge_for` are those of an earlier call; reads none of them."""
    documents = Document.objects.filter(knowledge_base__name__in=spec.knowledge)
    return tuple(documents.order_by("pk").values_list("pk", "updated_at"))


def chunks_of(bases: Iterable[str]) -> list[ChunkData]:
    rows = (
        Chunk.objects.filter(document__knowledge_base__name__in=list(bases))
        .select_related("document")
        .defer("document__text")
    )
    return [
        ChunkData(
            text=row.text,
            section=row.section,
            title=row.document.title,
            url=row.document.url,
            vector=bytes(row.vector),
        )
        for row in rows.order_by("document__knowledge_base__name", "document_id", "position")
    ]


def list_agents() -> QuerySet[Agent]:
    """The agents that can be talked to, by slug."""
    return Agent.objects.filter(published__isnull=False).select_related("published")


def resolve_model(name: str | None, default: str) -> str | None:
    """The slug of the agent that `name` means; None if it means none.

    A slug means itself; no name and OpenAI's names mean `default`.
    """
    published = list_agents().values_list("slug", flat=True)
    if name and "\x00" not in name and published.filter(slug=name).exists():  # PostgreSQL takes no NUL
        return name
    if name and not _OPENAI_MODEL.match(name):
        return None
    return published.filter(slug=default).first()


def builtin_tools() -> list[ToolSpec]:
    """The tools that need no row."""
    return [tool.spec for tool in BUILTINS.values()]


def tool_descriptions() -> dict[str, str]:
    """Every tool an agent may have, with what it does."""
    builtin = {spec.name: spec.description for spec in builtin_tools()}
    return builtin | dict(Tool.objects.values_list("name", "description"))


def problems(spec: AgentSpec) -> list[Problem]:
    """What `spec` refers to that is not there, and what of its rules and feed is wrong in itself."""
    wrong = [Problem(path, message) for path, message in feed_check.problems(spec)]
    return [*_account_problems(spec), *_tool_problems(spec), *_knowledge_problems(spec), *wrong]


def _account_problems(spec: AgentSpec) -> Iterator[Problem]:
    known = sorted(ProviderAccount.objects.values_list("name", flat=True))
    for path, name in account_names(spec).items():
        if name not in known:
            yield Problem(path, f'there is no account "{name}"; there is {", ".join([EMBEDDED, *known])}')
    if spec.stt.streaming and spec.stt.account == EMBEDDED:
        yield Problem("stt.streaming", "the embedded model takes whole utterances; streaming is for an account")
    if spec.brain == "llm" and spec.llm.account == EMBEDDED and not spec.llm.model:
        yield Problem(
            "llm.account", 'brain "llm" needs an account with a language model, or the path of a GGUF file as llm.model'
        )


def _tool_problems(spec: AgentSpec) -> Iterator[Problem]:
    webhooks = sorted(Tool.objects.values_list("name", flat=True))
    for index, ref in enumerate(spec.tools):
        if ref.name not in (BUILTINS if ref.kind == "builtin" else webhooks):
            yield Problem(
                f"tools[{index}]", f'there is no tool "{ref.name}"; there is {", ".join([*BUILTINS, *webhooks])}'
            )


def _knowledge_problems(spec: AgentSpec) -> Iterator[Problem]:
    known = sorted(KnowledgeBase.objects.values_list("name", flat=True))
    for index, name in enumerate(spec.knowledge):
        if name not in known:
            yield Problem(
                f"knowledge[{index}]",
                f'there is no knowledge base "{name}"; there is {", ".join(known) or "none yet"}',
            )


def agents_using(*, account: str = "", tool: str = "", knowledge: str = "") -> list[str]:
    """Slugs of the agents whose published version or draft refers to one of these."""
    using = []
    for agent in Agent.objects.select_related("published"):
        specs = [version.agent_spec for version in (agent.published, agent.draft) if version]
        if any(
            account in account_names(spec).values() or tool in _webhooks(spec) or knowledge in spec.knowledge
            for spec in specs
        ):
            using.append(agent.slug)
    return using
