"""AgentSpec: one version of an agent as plain data, complete and immutable.

It is what the admin and YAML files write, what the database stores as JSON, and all that a session
needs to know. Everything has the embedded default. Unknown keys and values out of range are refused
with their path by `msgspec`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

EMBEDDED = "embedded"

Slug = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="lower-case letters, digits and dashes")]
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="lower-case letters, digits and underscores")]
Ms = Annotated[int, Meta(ge=0, le=60_000)]


class Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all parts of a spec: frozen, strict, and written without its defaults."""


class STTSpec(Part, frozen=True):
    """`fallbacks` are accounts tried in order when `account` fails; the embedded one is spelled "embedded".

    `streaming` sends the audio of an account while it is spoken, over its Realtime API, and not as a file.
    """

    account: str = EMBEDDED
    model: str = ""
    streaming: bool = False
    language: str = "en"
    prompt: str = ""
    fallbacks: tuple[str, ...] = ()


EMBEDDED_CONTEXT_TOKENS = 8_192
"""What a GGUF model in this process is given to read."""


class LLMSpec(Part, frozen=True):
    """With the embedded account, `model` is the path of a GGUF file, which reads EMBEDDED_CONTEXT_TOKENS at most."""

    account: str = EMBEDDED
    model: str = ""
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_output_tokens: Annotated[int, Meta(ge=1, le=32_768)] = 1024
    context_tokens: Annotated[int, Meta(ge=512, le=10_000_000)] = 32_768
    max_tool_rounds: Annotated[int, Meta(ge=0, le=20)] = 5
    fallbacks: tuple[str, ...] = ()


def context_tokens(llm: LLMSpec) -> int:
    """What the model can read and write in one request."""
    return min(llm.context_tokens, EMBEDDED_CONTEXT_TOKENS) if llm.account == EMBEDDED else llm.context_tokens


OPENAI_VOICES = frozenset({"alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse"})
"""Names that OpenAI's clients bring along; they stand for the agent's own voice wherever nobody has them."""


class TTSSpec(Part, frozen=True):
    account: str = EMBEDDED
    model: str = ""
    voice: str = ""
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] = 1.0
    fallbacks: tuple[str, ...] = ()


class TurnDetection(Part, frozen=True, kw_only=True):
    """When the user's turn begins and ends. Names and ranges are OpenAI Realtime's.

    `server_vad` ends a turn after `silence_duration_ms`. `semantic_vad` asks the end-of-turn model at
    each pause and waits longer, by `eagerness`, when the sentence seems unfinished. `none` leaves turns
    to the client.
    """

    type: Literal["server_vad", "semantic_vad", "none"] = "server_vad"
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, Meta(ge=0, le=5_000)] = 300
    silence_duration_ms: Annotated[int, Meta(ge=0, le=10_000)] = 500
    idle_timeout_ms: Annotated[int, Meta(ge=5_000, le=30_000)] | None = None
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


class Latency(Part, frozen=True):
    """Trades between promptness and smoothness, in ms of audio.

    `lead_ms`: how far ahead of real time audio is sent. `first_delta_ms`, `delta_ms`: size of the first
    and of later audio events. `first_chunk`: speak the first clause as soon as it ends, or wait for the
    whole sentence.

    `optimistic`: begin to answer when the user may have finished, unheard until it is certain. What is thrown away
    since they went on is bounded: `optimistic_attempts` a turn, `optimistic_tokens` of the model's a minute.
    """

    lead_ms: Annotated[int, Meta(ge=40, le=5_000)] = 300
    first_delta_ms: Annotated[int, Meta(ge=20, le=200)] = 40
    delta_ms: Annotated[int, Meta(ge=20, le=400)] = 100
    first_chunk: Literal["clause", "sentence"] = "clause"
    optimistic: bool = True
    optimistic_attempts: Annotated[int, Meta(ge=1, le=20)] = 3
    optimistic_tokens: Annotated[int, Meta(ge=0, le=10_000_000)] = 20_000


Phrase = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]


class AcknowledgementSpec(Part, frozen=True, kw_only=True):
    """What the agent says at once, when its answer takes longer than `after_ms` from the end of the user's turn.

    The `phrases` take turns, in audio that is made beforehand. Without any, nothing is said.
    """

    phrases: Annotated[tuple[Phrase, ...], Meta(max_length=8)] = ()
    after_ms: Annotated[int, Meta(ge=0, le=5_000)] = 200


class FillerSpec(Part, frozen=True, kw_only=True):
    """What the agent says while a tool of its own runs for longer than `after_ms`. The `phrases` take turns."""

    phrases: Annotated[tuple[Phrase, ...], Meta(max_length=8)] = ()
    after_ms: Annotated[int, Meta(ge=200, le=30_000)] = 1_500


Override = Literal["instructions", "tools", "voice", "turn_detection", "formats", "transcription"]


class Overrides(Part, frozen=True):
    """What a client may change in its session, by the kind of its key."""

    server_keys: tuple[Override, ...] = ("instructions", "tools", "voice", "turn_detection", "formats", "transcription")
    ephemeral: tuple[Override, ...] = ("turn_detection", "formats", "transcription")


class ToolRef(Part, frozen=True):
    """A tool the agent may use. `kind` "builtin" names one of ours; "webhook" is called over HTTP.

    `secret_name` names the stored secret that signs the webhook's requests.
    """

    name: str
    kind: Literal["builtin", "webhook"] = "builtin"
    description: str = ""
    parameters: dict[str, Any] = {}
    url: str = ""
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 10.0
    side_effects: bool = True


class SeriesSpec(Part, frozen=True, kw_only=True):
    """A running figure of one number in the events of each key, kept from all of them, decided on or not.

    `of` is the number's dotted path in an event's data. `span` counts events: those that a mean, a minimum or
    a maximum covers, those that an ewma mostly weighs (α = 2 / (span + 1)), and how far back previous looks.
    """

    name: Name
    of: Annotated[str, Meta(min_length=1, max_length=200)]
    kind: Literal["mean", "ewma", "min", "max", "previous"]
    span: Annotated[int, Meta(ge=1, le=1_000)] = 10


class FeedSpec(Part, frozen=True, kw_only=True):
    """Whether clients may push events, and how the agent decides on them.

    `mode` "text" decides beside the conversation, in text; "speech" speaks in it. `take`: a decision answers
    the news of all keys, or of the one whose news is oldest. `deadline_ms` runs from the arrival of the oldest
    event that is answered; 0 is none. `interval_ms` is the least time between the beginnings of two decisions.
    `memory` is how many past decisions a language model is shown. Decisions must satisfy the JSON `schema`,
    unless it is empty.
    """

    mode: Literal["off", "text", "speech"] = "off"
    take: Literal["all", "one"] = "all"
    deadline_ms: Ms = 1_000
    interval_ms: Ms = 0
    memory: Annotated[int, Meta(ge=0, le=20)] = 4
    schema: dict[str, Any] = {}
    series: Annotated[tuple[SeriesSpec, ...], Meta(max_length=16)] = ()


class Rule(Part, frozen=True, kw_only=True):
    """What the rules brain does `when` an expression holds: `say` a text, `decide` a JSON value, or `call` a tool.

    `say`, and the texts inside of `decide` and `arguments`, are templates. A rule that calls a tool of the
    agent's may say something about its `result`.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    when: Annotated[str, Meta(min_length=1, max_length=2_000)]
    say: Annotated[str, Meta(max_length=4_000)] = ""
    decide: dict[str, Any] = {}
    call: str = ""
    arguments: dict[str, Any] = {}


class AgentSpec(Part, frozen=True, kw_only=True):
    slug: Slug
    version: int = 0
    name: str = ""
    instructions: str = ""
    greeting: str = ""
    brain: Literal["llm", "answers", "rules"] = "answers"
    stt: STTSpec = STTSpec()
    llm: LLMSpec = LLMSpec()
    tts: TTSSpec = TTSSpec()
    turn_detection: TurnDetection = TurnDetection()
    latency: Latency = Latency()
    acknowledgement: AcknowledgementSpec = AcknowledgementSpec()
    filler: FillerSpec = FillerSpec()
    overrides: Overrides = Overrides()
    tools: tuple[ToolRef, ...] = ()
    knowledge: tuple[str, ...] = ()
    rules: Annotated[tuple[Rule, ...], Meta(max_length=100)] = ()
    feed: FeedSpec = FeedSpec()
    store_text: bool = False
    apology: str = "Sorry, I have trouble answering just now. Please try again in a moment."


def from_json(data: bytes | str) -> AgentSpec:
    """The spec in `data`; `msgspec.ValidationError` names the path of what is wrong."""
    return msgspec.json.decode(data, type=AgentSpec)


def to_json(spec: AgentSpec) -> str:
    return msgspec.json.encode(spec).decode()


class Account(Struct, frozen=True, kw_only=True):
    """A provider account with its key in the clear: made when a session starts, never stored or logged.

    `kind` is a key of `agents.providers.catalog`. Timeouts are in seconds: `first_output_timeout_s` for
    the first byte of an answer, `stall_timeout_s` between two.
    """

    name: str
    kind: str
    base_url: str = ""
    api_key: str = ""
    connect_timeout_s: float = 3.0
    first_output_timeout_s: float = 10.0
    stall_timeout_s: float = 5.0

    def __repr__(self) -> str:
        return f"Account(name={self.name!r}, kind={self.kind!r}, base_url={self.base_url!r})"
