"""Commands in, events out: the closed vocabulary between wire protocols and a live session.

Times are ms or samples as named; audio positions count the samples a client appended, in ms of its own
stream. `event_id` on a command is the client's and comes back in the `ErrorOccurred` it causes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agents.audio import Audio
from agents.interfaces import NO_HINTS, Hints, Source, ToolChoice, ToolSpec, Usage
from agents.spec import TurnDetection
from sessions.pipeline.window import Truncation

Modality = Literal["audio", "text"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]


# --- what both sides talk about ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Content:
    """One part of a message. `transcript` None means audio whose words are not known (yet); an image is not kept."""

    kind: Literal["text", "audio", "image"]
    text: str = ""
    transcript: str | None = None


@dataclass(frozen=True, slots=True)
class MessageItem:
    id: str
    role: Literal["user", "assistant", "system"]
    content: tuple[Content, ...] = ()
    status: ItemStatus = "completed"


@dataclass(frozen=True, slots=True)
class CallItem:
    """A function call the agent made."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus = "completed"


@dataclass(frozen=True, slots=True)
class CallOutputItem:
    """What a function call gave back."""

    id: str
    call_id: str
    output: str
    status: ItemStatus = "completed"


Item = MessageItem | CallItem | CallOutputItem


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """The effective settings of a session. Audio formats are the protocol's business and not in here."""

    instructions: str = ""
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    modality: Modality = "audio"
    max_output_tokens: int | None = None
    voice: str = ""
    speed: float = 1.0
    transcription: bool = False
    hints: Hints = NO_HINTS
    turn_detection: TurnDetection = field(default_factory=TurnDetection)
    truncation: Truncation = field(default_factory=Truncation)
    transcription_only: bool = False


@dataclass(frozen=True, slots=True)
class ResponseOptions:
    """What a client asks of one response; None means "as the session has it", and "inf" no limit whatever that has.

    `input` replaces the history as context: items, or ids of items to refer to. `in_conversation` false
    is an out-of-band response: nothing of it enters the conversation. `spelling` is the protocol's own note
    on how to write the response; nothing here reads it.
    """

    instructions: str | None = None
    modality: Modality | None = None
    tools: tuple[ToolSpec, ...] | None = None
    tool_choice: ToolChoice | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    voice: str | None = None
    metadata: Mapping[str, str] | None = None
    in_conversation: bool = True
    input: tuple[Item | str, ...] | None = None
    spelling: object = None


# --- commands ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Configure:
    """Replaces the whole configuration; answered by `Configured`.

    `spelling` is the protocol's own note on how to write the answer, in which it comes back; nothing here reads it.
    """

    config: SessionConfig
    event_id: str | None = None
    spelling: object = None


@dataclass(frozen=True, slots=True)
class AppendAudio:
    """`start_sample` is the first sample's index in the client's own stream, if it says so."""

    audio: Audio
    start_sample: int | None = None


@dataclass(frozen=True, slots=True)
class CommitAudio:
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class ClearAudio:
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class CreateItem:
    """`previous_id` None appends, "root" puts it first, else after that item."""

    item: Item
    previous_id: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteItem:
    item_id: str
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class RetrieveItem:
    item_id: str
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class TruncateItem:
    """The client heard only the first `audio_end_ms` of the item."""

    item_id: str
    audio_end_ms: int
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class CreateResponse:
    options: ResponseOptions = field(default_factory=ResponseOptions)
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Inject:
    """An item, and a response to it if there are options for one: both, or neither with a ClientError."""

    item: Item
    previous_id: str | None = None
    response: ResponseOptions | None = None


@dataclass(frozen=True, slots=True)
class CancelResponse:
    response_id: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class LineMeasures:
    """What a client measured of its line, in ms: a round trip, how long its jitter buffer kept the item's first
    audio waiting, and the item's gaps so far. None is unknown."""

    rtt_ms: float | None = None
    jitter_buffer_ms: float | None = None
    underrun_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ReportPlayback:
    """What the client really played of a response, `played_ms` from its start.

    `voice_to_voice_ms` is the client's own measure, on its own clock, from the last sample of the user's
    speech to the first audible sample of the answer.
    """

    response_id: str
    item_id: str
    played_ms: int
    state: Literal["started", "playing", "stopped", "ended"]
    voice_to_voice_ms: float | None = None
    line: LineMeasures = LineMeasures()


@dataclass(frozen=True, slots=True)
class PushEvent:
    """The newest of `key`; None as `data` forgets the key. `size` is the bytes of `data` as JSON.

    `deadline_ms` None is the agent's, 0 is none.
    """

    key: str
    data: Mapping[str, Any] | None
    size: int = 0
    deadline_ms: int | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the protocol itself says to a client, in its turn among the answers to commands; see `Answered`."""

    message: object
    event_id: str | None = None


AudioCommand = AppendAudio | CommitAudio | ClearAudio
Command = (
    AudioCommand
    | Configure
    | CreateItem
    | DeleteItem
    | RetrieveItem
    | TruncateItem
    | CreateResponse
    | Inject
    | CancelResponse
    | ReportPlayback
    | PushEvent
    | Answer
)


# --- events --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Configured:
    """`spelling` is that of the command."""

    config: SessionConfig
    spelling: object = None


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user speaks; on a WebSocket this also tells the client to stop playing."""

    item_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    item_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class AudioCommitted:
    item_id: str
    previous_id: str | None


@dataclass(frozen=True, slots=True)
class AudioCleared:
    pass


@dataclass(frozen=True, slots=True)
class IdleTimedOut:
    item_id: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class ItemAdded:
    item: Item
    previous_id: str | None


@dataclass(frozen=True, slots=True)
class ItemDone:
    item: Item
    previous_id: str | None


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    item_id: str


@dataclass(frozen=True, slots=True)
class ItemRetrieved:
    """`audio` is there while it is kept: the last two items, 60 s at most."""

    item: Item
    audio: Audio | None


@dataclass(frozen=True, slots=True)
class ItemTruncated:
    item_id: str
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class TranscriptPartial:
    """A caption that replaces the one before it. Sent only to clients that opted in."""

    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class TranscriptDelta:
    """More of a user item's words; never taken back. Together they are the completed transcript."""

    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class TranscriptCompleted:
    """The words of a committed user item; `seconds` of audio were transcribed."""

    item_id: str
    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TranscriptFailed:
    item_id: str
    message: str


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    response_id: str
    options: ResponseOptions
    modality: Modality
    voice: str
    max_output_tokens: int | None


@dataclass(frozen=True, slots=True)
class OutputStarted:
    """A new output of a response: a message, or a function call (then `call` has its name and id)."""

    response_id: str
    item: MessageItem | CallItem
    output_index: int
    modality: Modality
    in_conversation: bool
    previous_id: str | None


@dataclass(frozen=True, slots=True)
class TextOut:
    """More of a message's text, or of its transcript when the modality is audio."""

    response_id: str
    item_id: str
    output_index: int
    text: str


@dataclass(frozen=True, slots=True)
class AudioOut:
    """More of a message's audio. On the first of a turn, `turn_id` and the user's last speech sample."""

    response_id: str
    item_id: str
    output_index: int
    audio: Audio
    turn_id: str | None = None
    user_end_sample: int | None = None


@dataclass(frozen=True, slots=True)
class SourceShown:
    """Where the answer being spoken was found. Sent only to clients that opted in."""

    response_id: str
    item_id: str
    source: Source


@dataclass(frozen=True, slots=True)
class OutputDone:
    response_id: str
    item: MessageItem | CallItem
    output_index: int
    modality: Modality
    in_conversation: bool
    previous_id: str | None


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """Comes exactly once for each ResponseStarted, after all its outputs are done."""

    response_id: str
    status: Literal["completed", "cancelled", "incomplete", "failed"]
    output: tuple[MessageItem | CallItem, ...]
    usage: Usage
    audio_ms: int
    options: ResponseOptions
    modality: Modality
    voice: str
    max_output_tokens: int | None
    reason: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyHeld:
    """Speech over the reply is being judged (True), or was nothing and the reply goes on (False)."""

    response_id: str
    held: bool


@dataclass(frozen=True, slots=True)
class TurnClosed:
    """A turn is over; `trace` is its TurnTrace as JSON-safe data."""

    trace: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ErrorOccurred:
    """`kind` is "invalid_request_error" or "server_error"; `code` and `param` as in the protocol."""

    message: str
    code: str | None = None
    param: str | None = None
    event_id: str | None = None
    kind: str = "invalid_request_error"


@dataclass(frozen=True, slots=True)
class Answered:
    """An `Answer` whose turn has come: `message` is as the protocol made it, ready for the wire."""

    message: object


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last event.

    `reason`: "closed", "hang_up", "idle", "expired", "slow_client", "stopped", "shutdown" or "failed".
    """

    reason: str


Event = (
    Configured
    | SpeechStarted
    | SpeechStopped
    | AudioCommitted
    | AudioCleared
    | IdleTimedOut
    | ItemAdded
    | ItemDone
    | ItemDeleted
    | ItemRetrieved
    | ItemTruncated
    | TranscriptPartial
    | TranscriptDelta
    | TranscriptCompleted
    | TranscriptFailed
    | ResponseStarted
    | OutputStarted
    | TextOut
    | AudioOut
    | SourceShown
    | OutputDone
    | ResponseDone
    | ReplyHeld
    | TurnClosed
    | ErrorOccurred
    | SessionEnded
    | Answered
)
