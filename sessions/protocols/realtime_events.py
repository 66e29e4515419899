"""The client events of OpenAI's Realtime API, parsed and checked.

Unknown fields are passed over; an unknown event, a wrong type or a value out of range is a `BadEvent`
that carries the client's own `event_id`, so that the client can tell which of its events failed.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from agents.errors import ClientError
from sessions.pipeline.bounds import Bounds

Modalities = Annotated[list[Literal["audio", "text"]], Meta(min_length=1, extra_json_schema={"maxItems": 1})]
MaxTokens = Annotated[int, Meta(ge=1, le=4096)] | Literal["inf"]
Milliseconds = Annotated[float, Meta(ge=0, le=1e9)]
Id = Annotated[str, Meta(max_length=512)]
Unit = Annotated[float, Meta(ge=0, le=1)]
Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]
JsonObject = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": ["object", "null"]})]
"""An object of any shape, or null. It is passed over while a message is read, for reading a large one takes long and
holds up all sessions: `checks.read_object` reads it, if it is not too large."""


def no_object() -> msgspec.Raw:
    return msgspec.Raw(b"null")


class BadEvent(ClientError):
    """A client event that cannot be acted on."""

    def __init__(self, message: str, *, code: str, param: str | None = None, event_id: str | None = None) -> None:
        super().__init__(message, code=code, param=param)
        self.event_id = event_id


# --- what a session is made of -------------------------------------------------------------------
# A null means the same as an absent field, "leave it as it is", but for the few that may be UNSET: they are
# switched off by a null.


class PCM(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="audio/pcm"):
    rate: Literal[24000] | None = None


class PCMU(Struct, frozen=True, tag_field="type", tag="audio/pcmu"):
    pass


class PCMA(Struct, frozen=True, tag_field="type", tag="audio/pcma"):
    pass


Format = PCM | PCMU | PCMA


class ServerVad(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="server_vad"):
    threshold: Unit | None = None
    prefix_padding_ms: Annotated[int, Meta(ge=0, le=5_000)] | None = None
    silence_duration_ms: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    idle_timeout_ms: Annotated[int, Meta(ge=5000, le=30000)] | UnsetType | None = UNSET
    create_response: bool | None = None
    interrupt_response: bool | None = None


class SemanticVad(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="semantic_vad"):
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


class Transcription(Struct, frozen=True, omit_defaults=True):
    model: str | None = None
    language: str | None = None
    prompt: Annotated[str, Meta(max_length=4_000)] | None = None


class NoiseReduction(Struct, frozen=True, omit_defaults=True):
    type: Literal["near_field", "far_field"] | None = None
    strength: Unit | None = None


class ToolFunction(Struct, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=128)]
    description: str | None = None
    parameters: JsonObject = field(default_factory=no_object)


class FunctionTool(ToolFunction, frozen=True, tag_field="type", tag="function"):
    pass


class NamedFunction(Struct, frozen=True, tag_field="type", tag="function"):
    name: Annotated[str, Meta(min_length=1, max_length=128)]


ToolChoice = Literal["auto", "none", "required"] | NamedFunction


class VoiceId(Struct, frozen=True):
    id: str


class TokenLimits(Struct, frozen=True, omit_defaults=True):
    post_instructions: Annotated[int, Meta(ge=0)] | None = None


class RetentionRatio(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="retention_ratio"):
    retention_ratio: Unit
    token_limits: TokenLimits | None = None


class Tracing(Struct, frozen=True, omit_defaults=True):
    workflow_name: str | None = None
    group_id: str | None = None
    metadata: JsonObject = field(default_factory=no_object)


class PromptText(Struct, frozen=True, tag_field="type", tag="input_text"):
    text: str


class Prompt(Struct, frozen=True, omit_defaults=True):
    id: str
    version: str | None = None
    variables: dict[str, str | PromptText] | None = None


class Reasoning(Struct, frozen=True, omit_defaults=True):
    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class AudioInput(Struct, frozen=True, omit_defaults=True):
    format: Format | None = None
    transcription: Transcription | UnsetType | None = UNSET
    noise_reduction: NoiseReduction | UnsetType | None = UNSET
    turn_detection: ServerVad | SemanticVad | UnsetType | None = UNSET


class AudioOutput(Struct, frozen=True, omit_defaults=True):
    format: Format | None = None
    voice: str | VoiceId | None = None
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | None = None


class AudioConfig(Struct, frozen=True, omit_defaults=True):
    input: AudioInput | None = None
    output: AudioOutput | None = None


class SessionPatch(Struct, frozen=True, omit_defaults=True):
    """The `session` of a session.update, and of a request for a client secret."""

    type: Literal["realtime", "transcription"] | None = None
    model: str | None = None
    output_modalities: Modalities | None = None
    instructions: str | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: ToolChoice | None = None
    max_output_tokens: MaxTokens | None = None
    tracing: Literal["auto"] | Tracing | UnsetType | None = UNSET
    truncation: Literal["auto", "disabled"] | RetentionRatio | None = None
    prompt: Prompt | UnsetType | None = UNSET
    include: list[Literal["item.input_audio_transcription.logprobs"]] | UnsetType | None = UNSET
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    audio: AudioConfig | None = None


# --- items ---------------------------------------------------------------------------------------


class Part(Struct, frozen=True):
    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio", "text", "audio"]
    text: str | None = None
    transcript: str | None = None
    audio: str | None = None
    image_url: str | None = None


class Message(Struct, frozen=True, tag_field="type", tag="message"):
    role: Literal["user", "assistant", "system"]
    content: list[Part]
    id: Id | None = None


class FunctionCall(Struct, frozen=True, tag_field="type", tag="function_call"):
    name: Id
    arguments: str
    call_id: Id | None = None
    id: Id | None = None


class FunctionCallOutput(Struct, frozen=True, tag_field="type", tag="function_call_output"):
    call_id: Id
    output: str
    id: Id | None = None


class ItemReference(Struct, frozen=True, tag_field="type", tag="item_reference"):
    id: str


Item = Message | FunctionCall | FunctionCallOutput


# --- events --------------------------------------------------------------------------------------


class ResponsePatch(Struct, frozen=True):
    """The `response` of a response.create; null or absent is "as the session has it"."""

    instructions: str | None = None
    output_modalities: Modalities | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: ToolChoice | None = None
    max_output_tokens: MaxTokens | None = None
    audio: AudioConfig | None = None
    metadata: Metadata | None = None
    conversation: Literal["auto", "none"] | None = None
    input: list[Item | ItemReference] | None = None
    prompt: Prompt | None = None


class ClientEvent(Struct, frozen=True, kw_only=True, tag_field="type"):
    event_id: str | None = None


class SessionUpdate(ClientEvent, frozen=True, kw_only=True, tag="session.update"):
    session: SessionPatch


class Append(ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.append"):
    audio: str
    start_sample: Annotated[int, Meta(ge=0)] | None = None


class Commit(ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.commit"):
    pass


class Clear(ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.clear"):
    pass


class ClearOutput(ClientEvent, frozen=True, kw_only=True, tag="output_audio_buffer.clear"):
    pass


class ItemCreate(ClientEvent, frozen=True, kw_only=True, tag="conversation.item.create"):
    item: Item
    previous_item_id: str | None = None


class ItemRetrieve(ClientEvent, frozen=True, kw_only=True, tag="conversation.item.retrieve"):
    item_id: str


class ItemDelete(ClientEvent, frozen=True, kw_only=True, tag="conversation.item.delete"):
    item_id: str


class ItemTruncate(ClientEvent, frozen=True, kw_only=True, tag="conversation.item.truncate"):
    item_id: str
    audio_end_ms: Milliseconds


class ResponseCreate(ClientEvent, frozen=True, kw_only=True, tag="response.create"):
    response: ResponsePatch | None = None


class ResponseCancel(ClientEvent, frozen=True, kw_only=True, tag="response.cancel"):
    response_id: str | None = None


class Playback(ClientEvent, frozen=True, kw_only=True, tag="repartee.playback"):
    response_id: str
    item_id: str
    played_ms: Milliseconds
    state: Literal["started", "playing", "stopped", "ended"]
    voice_to_voice_ms: Milliseconds | None = None
    rtt_ms: Milliseconds | None = None
    jitter_buffer_ms: Milliseconds | None = None
    underrun_ms: Milliseconds | None = None


class Pushed(ClientEvent, frozen=True, kw_only=True, tag="repartee.event"):
    """The newest event of a key; null as `data` forgets the key."""

    key: Annotated[str, Meta(min_length=1, max_length=128)]
    data: JsonObject
    deadline_ms: Annotated[float, Meta(ge=0, le=60_000)] | None = None


AnyClientEvent = (
    SessionUpdate
    | Append
    | Commit
    | Clear
    | ClearOutput
    | ItemCreate
    | ItemRetrieve
    | ItemDelete
    | ItemTruncate
    | ResponseCreate
    | ResponseCancel
    | Playback
    | Pushed
)
CLIENT_EVENTS: frozenset[str] = frozenset(str(event.__struct_config__.tag) for event in ClientEvent.__subclasses__())

SERVER_EVENTS = frozenset(
    {
        "error",
        "session.created",
        "session.updated",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.retrieved",
        "conversation.item.truncated",
        "conversation.item.deleted",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.failed",
        "input_audio_buffer.committed",
        "input_audio_buffer.cleared",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.timeout_triggered",
        "response.created",
        "response.done",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
    }
)
SERVER_EXTENSION_EVENTS = frozenset({"repartee.hold", "repartee.partial", "repartee.source", "repartee.turn"})


# --- parsing -------------------------------------------------------------------------------------

_decoder: msgspec.json.Decoder[AnyClientEvent] = msgspec.json.Decoder(AnyClientEvent)
_audio_or_item: msgspec.json.Decoder[AnyClientEvent] = msgspec.json.Decoder(Append | ItemCreate)
_audio: msgspec.json.Decoder[AnyClientEvent] = msgspec.json.Decoder(Append | Clear)
"""The second of the two is there because msgspec lets a struct that stands alone come without its type."""
_REPORT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`")
_QUOTED_LIMIT = 100


class _Envelope(Struct):
    """What could be anything stays unread: of a hostile client's message it could be all."""

    type: msgspec.Raw = msgspec.Raw(b"null")
    event_id: msgspec.Raw = msgspec.Raw(b"null")


_envelope = msgspec.json.Decoder(_Envelope)
_word = msgspec.json.Decoder(str)


class _Update(Struct):
    session: dict[str, msgspec.Raw]


_update = msgspec.json.Decoder(_Update)
SESSION_FIELDS = {"id", "object", "expires_at"} | {field.name for field in msgspec.structs.fields(SessionPatch)}
"""What a session may have in it; the first three a client can only send back."""


def parse(data: str | bytes, bounds: Bounds) -> AnyClientEvent:
    """The event in one message; what is wrong with it is a `BadEvent`.

    A long message is read as one of the few events that may be long, or not at all: reading it holds up all sessions.
    """
    try:
        # as text: msgspec does not look at the bytes of names that it does not know
        return _decoder_for(len(data), bounds).decode(data.decode() if isinstance(data, bytes) else data)
    except msgspec.ValidationError as error:
        raise _explained(data, error, bounds) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadEvent("The message is not valid JSON, or too deeply nested.", code="invalid_json") from None


def _decoder_for(length: int, bounds: Bounds) -> msgspec.json.Decoder[AnyClientEvent]:
    if length <= bounds.event_chars:
        return _decoder
    return _audio_or_item if length <= bounds.item_event_chars else _audio


def unknown_fields(data: str | bytes) -> set[str]:
    """Names in the `session` of a session.update that mean nothing here."""
    return set(_update.decode(data).session) - SESSION_FIELDS


def explain(error: msgspec.ValidationError, *, within: str = "") -> ClientError:
    """A failed check as an error that names the field by its dotted path, prefixed with `within`."""
    match = _REPORT.fullmatch(str(error))
    what, path = (match["what"], match["path"] or "") if match else (str(error), "")
    param = f"{within}.{path}" if within and path else within or path
    if missing := _MISSING.fullmatch(what):
        param = f"{param}.{missing['name']}" if param else missing["name"]
        return ClientError(f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)
    if unknown := _UNKNOWN.fullmatch(what):
        param = f"{param}.{unknown['name']}" if param else unknown["name"]
        return ClientError(f"Unknown parameter: '{param}'.", code="unknown_parameter", param=param)
    code = "invalid_type" if what.startswith("Expected") and ", got " in what else "invalid_value"
    return ClientError(f"'{param}': {what}." if param else f"{what}.", code=code, param=param or None)


def _explained(data: str | bytes, error: msgspec.ValidationError, bounds: Bounds) -> BadEvent:
    try:
        head = _envelope.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return BadEvent("The message is not a JSON object.", code="invalid_json")
    kind, event_id = _text(head.type), _text(head.event_id)
    if kind is not None and kind not in CLIENT_EVENTS:
        return unknown_event(kind, event_id)
    reason = _too_long(len(data), kind, bounds) or explain(error)
    return BadEvent(str(reason), code=reason.code, param=reason.param, event_id=event_id)


def _text(value: msgspec.Raw) -> str | None:
    try:
        return _word.decode(value)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _too_long(length: int, kind: str | None, bounds: Bounds) -> ClientError | None:
    longer = {"input_audio_buffer.append": length, "conversation.item.create": bounds.item_event_chars}
    limit = longer.get(kind or "", bounds.event_chars)
    return ClientError(f"At most {limit} characters, got {length}.") if length > limit else None


def unknown_event(name: str, event_id: str | None) -> BadEvent:
    message = f"Unknown event type: '{name[:_QUOTED_LIMIT]}'."
    return BadEvent(message, code="unknown_event", param="type", event_id=event_id)
