"""What control over REST takes and answers. Times are seconds since 1970."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from agents.spec import Override, Slug
from sessions.control.pages import Listed, Page, UnixTime
from sessions.pipeline.snapshot import Activity
from sessions.protocols import realtime_events as wire

Version = Annotated[int, Meta(ge=1, le=2_147_483_647)]


class Latency(Struct, frozen=True):
    """How a latency spread over the turns so far; `measured` says where: by the client, by estimate, at the server."""

    latency: str
    measured: str
    turns: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    jitter_ms: float


# --- sessions ------------------------------------------------------------------------------------


class SessionQuery(Page, frozen=True, kw_only=True):
    agent: Slug | None = None
    state: Literal["live", "ended"] | None = None


class NewSession(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`session` is that of `session.update`: what the client starts with. `overrides` are as for client secrets."""

    agent: Slug | None = None
    version: Version | None = None
    session: wire.SessionPatch | None = None
    overrides: Annotated[tuple[Override, ...], Meta(max_length=16)] = ()
    expires_in_s: Annotated[int, Meta(ge=10, le=7_200, description="seconds in which a client must have come")] = 600


class Session(Struct, frozen=True, kw_only=True):
    """A waiting session has no client yet; a live one has, unless its process was killed a moment ago."""

    id: str
    object: Literal["repartee.session"] = "repartee.session"
    agent: str
    version: int | None
    state: Literal["waiting", "live", "ended"]
    transport: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    end_reason: str | None = None
    turns: int = 0


class SessionList(Listed[Session], frozen=True, kw_only=True):
    """Sessions that began, newest first."""


class Credential(Struct, frozen=True):
    """Shown this once."""

    value: str
    expires_at: int


class CreatedSession(Session, frozen=True, kw_only=True):
    """A client opens `url` with `client_secret`, once, and the session begins."""

    client_secret: Credential
    url: str


class Config(Struct, frozen=True, kw_only=True):
    """What the session runs with now. `instructions` are null for who may not change them."""

    instructions: str | None
    output_modalities: list[Literal["audio", "text"]]
    voice: str
    speed: float
    tools: list[str]
    tool_choice: str
    max_output_tokens: int | None
    turn_detection: dict[str, Any] | None
    transcription: bool


class Live(Struct, frozen=True, kw_only=True):
    activity: Activity
    items: int
    config: Config


class SessionDetail(Session, frozen=True, kw_only=True):
    """`live` is null where the session does not run in the process that answers."""

    latencies: list[Latency]
    live: Live | None


class ItemQuery(Page, frozen=True, kw_only=True):
    pass


class Item(Struct, frozen=True, kw_only=True):
    """`text` is null where the words are not known, or not kept. `turn`, `at`, `heard_ms` are null while it is live."""

    id: str
    object: Literal["repartee.item"] = "repartee.item"
    type: Literal["message", "function_call", "function_call_output"]
    role: str | None = None
    status: Literal["in_progress", "completed", "incomplete"]
    text: str | None = None
    heard_text: Annotated[str | None, Meta(description="the words heard before an interruption")] = None
    name: str | None = None
    arguments: str | None = None
    call_id: str | None = None
    turn: int | None = None
    at: float | None = None
    heard_ms: int | None = None
    audio_ms: int | None = None


class ItemList(Listed[Item], frozen=True, kw_only=True):
    """The conversation, in order: of a live session from its memory, else from what was kept."""

    source: Literal["memory", "records"]


class ItemResponse(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of `response.create` a controller may ask for; `{}` is an answer as the session has it."""

    instructions: str | None = None
    output_modalities: wire.Modalities | None = None
    metadata: wire.Metadata | None = None
    conversation: Literal["auto", "none"] | None = None


class NewItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As `conversation.item.create`; with `response`, the agent answers it."""

    item: wire.Item
    previous_item_id: str | None = None
    response: ItemResponse | None = None


# --- agents --------------------------------------------------------------------------------------


class AgentQuery(Page, frozen=True, kw_only=True):
    pass


class Agent(Struct, frozen=True, kw_only=True):
    """A version is null where there is none: nothing published yet, or no draft."""

    id: str
    object: Literal["repartee.agent"] = "repartee.agent"
    name: str
    published_version: int | None
    draft_version: int | None
    created_at: float


class AgentList(Listed[Agent], frozen=True, kw_only=True):
    """Agents by slug."""


class VersionQuery(Page, frozen=True, kw_only=True):
    pass


class AgentVersion(Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="the version's number")]
    object: Literal["repartee.agent.version"] = "repartee.agent.version"
    agent: str
    version: int
    state: str
    origin: str
    note: str
    created_at: float
    published_at: float | None


class AgentVersionList(Listed[AgentVersion], frozen=True, kw_only=True):
    """Versions, newest first."""


class AgentVersionDetail(AgentVersion, frozen=True, kw_only=True):
    """`spec` is all that the version says, as in an agent file. It names accounts and tools, and holds no secrets."""

    spec: dict[str, Any]


# --- turns ---------------------------------------------------------------------------------------


class TurnQuery(Page, frozen=True, kw_only=True):
    session: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    agent: Slug | None = None
    since: Annotated[UnixTime | None, Meta(description="begun at or after")] = None
    until: Annotated[UnixTime | None, Meta(description="begun before")] = None


class Turn(Struct, frozen=True, kw_only=True):
    """`latencies_ms` holds those that could be measured; `measured` is where voice-to-voice ended."""

    id: str
    object: Literal["repartee.turn"] = "repartee.turn"
    session: str
    index: int
    agent: str
    version: int
    transport: str
    kind: str
    initiator: str
    started_at: float
    end_reason: str
    measured: str | None
    latencies_ms: dict[str, float]


class TurnList(Listed[Turn], frozen=True, kw_only=True):
    """Turns, newest first."""


class TurnDetail(Turn, frozen=True, kw_only=True):
    """`trace` is null once it is over its retention."""

    trace: dict[str, Any] | None
