"""The Realtime protocol, sans-IO: client messages become commands, events become server messages."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import count
from typing import Any, TypeVar

import msgspec

from agents.audio import Audio
from agents.errors import ClientError
from agents.spec import AgentSpec, Override
from sessions.pipeline import messages as core
from sessions.pipeline.bounds import Bounds
from sessions.protocols import realtime_audio as audio
from sessions.protocols import realtime_events as wire
from sessions.protocols import realtime_items as items
from sessions.protocols.base import Decoded, Opening, WireMessage
from sessions.protocols.checks import check_length, read_tools
from sessions.protocols.realtime_feed import push_event
from sessions.protocols.realtime_prompt import filled
from sessions.protocols.realtime_responses import Responses, Spelling
from sessions.protocols.realtime_session import (
    Kind,
    WireSession,
    core_choice,
    core_voice,
    format_name,
    modality,
    patch_of,
    voice_name,
)

T = TypeVar("T")
TRANSCRIPTION = "conversation.item.input_audio_transcription"
Heard = core.SpeechStarted | core.SpeechStopped | core.AudioCommitted | core.AudioCleared | core.IdleTimedOut
ItemEvent = (
    core.ItemAdded
    | core.ItemDone
    | core.ItemDeleted
    | core.ItemRetrieved
    | core.ItemTruncated
    | core.TranscriptDelta
    | core.TranscriptCompleted
    | core.TranscriptFailed
)
MAX_UNKNOWN, MAX_NAME = 32, 64
"""Names of unknown fields that are kept for the log, and characters of each."""
MAX_RETRIEVED_CHARS = 1_000_000
"""Base64 of an item's audio sent to a client: with the rest of its frame it stays under the 1 MiB that
the `websockets` package takes by default. Longer audio is left out."""


def random_ids() -> items.IdFactory:
    """Ids unique across sessions: a random part of this session and a number that counts up."""
    session, numbers = secrets.token_hex(6), count()
    return lambda prefix: f"{prefix}_{session}{next(numbers):04x}"


class RealtimeProtocol:
    """One client's connection. `expires_at` is in Unix seconds; `start` is a client secret's session.

    `allowed` is what this client may change. A change it may not make is passed over; `refused`
    counts the dotted paths of these, for the log, and `unknown` has the names of session fields that mean
    nothing here. Extensions are only for clients that asked for them.
    """

    def __init__(
        self,
        spec: AgentSpec,
        *,
        session_id: str,
        model: str | None = None,
        allowed: Collection[Override] = (),
        expires_at: int | None = None,
        bounds: Bounds | None = None,
        extensions: bool = False,
        kind: Kind = "realtime",
        start: Mapping[str, Any] | None = None,
        new_id: items.IdFactory | None = None,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self.unknown: set[str] = set()
        self._bounds = bounds or Bounds()
        self._new_id = new_id or random_ids()
        self._allowed = frozenset(allowed)
        self._extensions = extensions
        self._session_id, self._expires_at = session_id, expires_at
        patch = None if start is None else patch_of(start)
        self._session = self._before = self._shown = starting_session(spec, kind, patch, self._bounds)
        self._model = model or spec.slug
        self._items = items.ItemReader(self._new_id, self._bounds)
        self._responses = Responses(self._emit, self._new_id("conv"), extensions=extensions)

    def open(self) -> Opening:
        created = self._emit("session.created", session=self._session_shown())
        return Opening([created], [core.Configure(self._session.config())])

    # --- from the client ---

    def decode(self, data: str | bytes) -> Decoded:
        event_id = None
        try:
            event = wire.parse(data, self._bounds)
            event_id = event.event_id
            if not isinstance(event, wire.Append | wire.ItemCreate):  # these say themselves what is too much
                check_length(data, self._bounds.event_chars, None)
            commands = self._commands(event)
            if isinstance(event, wire.SessionUpdate):
                self._note_unknown(wire.unknown_fields(data))
            return Decoded(commands)
        except wire.BadEvent as error:
            return Decoded(replies=[self._refusal(error, error.event_id)])
        except ClientError as error:
            return Decoded(replies=[self._refusal(error, event_id)])

    def _commands(self, event: wire.AnyClientEvent) -> list[core.Command]:
        match event:
            case wire.Append():
                return self._append(event)
            case wire.Commit():
                return [core.CommitAudio(event.event_id)]
            case wire.Clear():
                return [core.ClearAudio(event.event_id)]
            case wire.ClearOutput():
                return []  # here the client plays, and clears, for itself
            case wire.SessionUpdate():
                return [self._update(event)]
            case wire.ResponseCreate():
                return [core.CreateResponse(self._options(event.response), event.event_id)]
            case wire.ResponseCancel():
                return [core.CancelResponse(event.response_id, event.event_id)]
            case wire.Playback():
                return [self._playback(event)]
            case wire.Pushed():
                return [push_event(event, self._session, self._bounds, extensions=self._extensions)]
            case _:
                return [self._item_command(event)]

    def _item_command(
        self, event: wire.ItemCreate | wire.ItemRetrieve | wire.ItemDelete | wire.ItemTruncate
    ) -> core.Command:
        match event:
            case wire.ItemCreate():
                return core.CreateItem(self._item(event.item, "item"), event.previous_item_id, event.event_id)
            case wire.ItemRetrieve():
                return core.RetrieveItem(event.item_id, event.event_id)
            case wire.ItemDelete():
                return core.DeleteItem(event.item_id, event.event_id)
            case wire.ItemTruncate():
                return core.TruncateItem(event.item_id, int(event.audio_end_ms), event.event_id)

    def _item(self, item: wire.Item, param: str) -> core.Item:
        """Whoever may not change the instructions may not do so by a system message either."""
        system = isinstance(item, wire.Message) and item.role == "system"
        if system and self._may("instructions", "item.role", item) is None:
            item = msgspec.structs.replace(item, role="user")
        return self._items.read(item, param)

    def _append(self, event: wire.Append) -> list[core.Command]:
        heard = audio.decode(event.audio, self._session.input_format)
        start = event.start_sample if self._extensions else None
        return [core.AppendAudio(heard, start)] if heard.pcm else []

    def _update(self, event: wire.SessionUpdate) -> core.Command:
        changed, refused = self._session.merged(event.session, allowed=self._allowed, bounds=self._bounds)
        self.refused.update(refused)
        self._before, self._session = self._session, changed
        return core.Configure(changed.config(), event.event_id, spelling=changed)

    def undo(self, command: core.Command) -> None:
        if isinstance(command, core.Configure):
            self._session = self._before

    def _note_unknown(self, names: Iterable[str]) -> None:
        self.unknown |= {name[:MAX_NAME] for name in names}
        while len(self.unknown) > MAX_UNKNOWN:
            self.unknown.pop()

    def _playback(self, event: wire.Playback) -> core.Command:
        if not self._extensions:
            raise wire.unknown_event("repartee.playback", event.event_id)
        return core.ReportPlayback(
            event.response_id,
            event.item_id,
            int(event.played_ms),
            event.state,
            event.voice_to_voice_ms,
            core.LineMeasures(event.rtt_ms, event.jitter_buffer_ms, event.underrun_ms),
        )

    def _options(self, asked: wire.ResponsePatch | None) -> core.ResponseOptions:
        if self._session.kind == "transcription":
            raise ClientError("A transcription session gives no responses: response.create is not for it.")
        if asked is None:
            return core.ResponseOptions()
        instructions = asked.instructions
        if asked.prompt is not None:
            text = filled(asked.prompt, self._session.spec, "response")
            instructions = text if instructions is None else instructions
        check_length(instructions or "", self._bounds.instructions_chars, "response.instructions")
        tools = None if asked.tools is None else read_tools(asked.tools, self._bounds, "response.tools")
        voice, spelling = self._voice(asked.audio.output if asked.audio else None)
        may = self._may
        return core.ResponseOptions(
            instructions=may("instructions", "response.instructions", instructions),
            modality=may(
                "formats",
                "response.output_modalities",
                modality(asked.output_modalities, "response") if asked.output_modalities else None,
            ),
            tools=may("tools", "response.tools", tools),
            tool_choice=may(
                "tools", "response.tool_choice", core_choice(asked.tool_choice) if asked.tool_choice else None
            ),
            max_output_tokens=asked.max_output_tokens,
            voice=voice,
            metadata=asked.metadata,
            in_conversation=asked.conversation != "none",
            input=self._context(asked.input),
            spelling=spelling,
        )

    def _voice(self, asked: wire.AudioOutput | None) -> tuple[str | None, Spelling | None]:
        """The voice of one response, and how it is written."""
        if asked is None:
            return None, None
        given = voice_name(asked.voice) if asked.voice else None
        name = self._may("voice", "response.audio.output.voice", given)
        form = format_name(asked.format) if asked.format else None
        form = self._may("formats", "response.audio.output.format", form)
        spelling = Spelling(form, name) if form or name else None
        return core_voice(self._session.spec, name) if name else None, spelling

    def _may(self, override: Override, param: str, value: T | None) -> T | None:
        """The value, unless this client may not choose it: then as the session has it."""
        if value is None or override in self._allowed:
            return value
        self.refused[param] += 1
        return None

    def _context(self, asked: list[wire.Item | wire.ItemReference] | None) -> tuple[core.Item | str, ...] | None:
        if asked is None:
            return None
        if len(asked) > self._bounds.conversation_items:
            raise ClientError(f"At most {self._bounds.conversation_items} items.", param="response.input")
        return tuple(
            entry.id if isinstance(entry, wire.ItemReference) else self._item(entry, f"response.input[{index}]")
            for index, entry in enumerate(asked)
        )

    # --- to the client ---

    def encode(self, event: core.Event) -> list[WireMessage]:
        return [*self._messages(event)]

    def _messages(self, event: core.Event) -> list[str]:
        match event:
            case core.AudioOut():
                return self._responses.audio(event)
            case core.TextOut():
                return self._responses.text(event)
            case core.OutputStarted():
                return self._responses.output_started(event)
            case core.OutputDone():
                return self._responses.output_done(event)
            case core.ResponseStarted():
                return self._responses.started(event, self._shown.output_format, self._shown.shown_voice(event.voice))
            case core.ResponseDone():
                return self._responses.done(event, self._shown.shown_voice(event.voice))
            case core.Configured():
                return self._configured(event)
            case core.ErrorOccurred():
                return [self._error(event.kind, event.code, event.message, event.param, event.event_id)]
            case core.Answered() | core.SessionEnded():
                return [str(event.message)] if isinstance(event, core.Answered) else self._ended(event)
            case core.ReplyHeld() | core.TranscriptPartial() | core.SourceShown() | core.TurnClosed():
                return self._extension(event) if self._extensions else []
            case (
                core.SpeechStarted()
                | core.SpeechStopped()
                | core.AudioCommitted()
                | core.AudioCleared()
                | core.IdleTimedOut()
            ):
                return [self._heard(event)]
            case _:
                return self._item_event(event)

    def _heard(self, event: Heard) -> str:
        match event:
            case core.SpeechStarted(item_id, at_ms):
                return self._emit("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=item_id)
            case core.SpeechStopped(item_id, at_ms):
                return self._emit("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=item_id)
            case core.AudioCommitted(item_id, previous):
                return self._emit("input_audio_buffer.committed", previous_item_id=previous, item_id=item_id)
            case core.AudioCleared():
                return self._emit("input_audio_buffer.cleared")
            case core.IdleTimedOut(item_id, start, end):
                span = {"audio_start_ms": start, "audio_end_ms": end}
                return self._emit("input_audio_buffer.timeout_triggered", **span, item_id=item_id)

    def _item_event(self, event: ItemEvent) -> list[str]:
        emit = self._emit
        match event:
            case core.ItemAdded(item, previous):
                return [emit("conversation.item.added", previous_item_id=previous, item=items.shown(item))]
            case core.ItemDone(item, previous):
                return [emit("conversation.item.done", previous_item_id=previous, item=items.shown(item))]
            case core.ItemDeleted(item_id):
                return [emit("conversation.item.deleted", item_id=item_id)]
            case core.ItemRetrieved(item, kept):
                return [emit("conversation.item.retrieved", item=self._retrieved(item, kept))]
            case core.ItemTruncated(item_id, end):
                place = {"item_id": item_id, "content_index": 0}
                return [emit("conversation.item.truncated", **place, audio_end_ms=end)]
            case core.TranscriptDelta(item_id, text):
                return [emit(f"{TRANSCRIPTION}.delta", item_id=item_id, content_index=0, delta=text)]
            case core.TranscriptCompleted(item_id, text, seconds):
                usage = {"type": "duration", "seconds": round(seconds, 3)}
                place = {"item_id": item_id, "content_index": 0}
                return [emit(f"{TRANSCRIPTION}.completed", **place, transcript=text, usage=usage)]
            case core.TranscriptFailed(item_id, message):
                error = {"type": "server_error", "code": "transcription_failed", "message": message}
                return [emit(f"{TRANSCRIPTION}.failed", item_id=item_id, content_index=0, error=error)]

    def _retrieved(self, item: core.Item, kept: Audio | None) -> dict[str, Any]:
        if kept is None:
            return items.shown(item)
        theirs = isinstance(item, core.MessageItem) and item.role == "user"
        form = self._shown.input_format if theirs else self._shown.output_format
        if audio.base64_chars(kept, form) > MAX_RETRIEVED_CHARS:
            return items.shown(item)
        return items.shown(item, audio=audio.to_base64(audio.encode(kept, form)))

    def _extension(
        self, event: core.ReplyHeld | core.TranscriptPartial | core.SourceShown | core.TurnClosed
    ) -> list[str]:
        match event:
            case core.ReplyHeld(response_id, held):
                return [self._emit("repartee.hold", response_id=response_id, state="held" if held else "resumed")]
            case core.TranscriptPartial(item_id, text):
                return [self._emit("repartee.partial", item_id=item_id, text=text)]
            case core.SourceShown(response_id, item_id, source):
                place = {"response_id": response_id, "item_id": item_id}
                found = {"title": source.title, "passage": source.passage, "url": source.url}
                return [self._emit("repartee.source", **place, **found)]
            case core.TurnClosed(trace):
                return [self._emit("repartee.turn", trace=trace)]

    def _configured(self, event: core.Configured) -> list[str]:
        """The answer to an update; the first Configured answers none."""
        if not isinstance(event.spelling, WireSession):
            return []
        self._shown = event.spelling
        return [self._emit("session.updated", session=self._session_shown())]

    def _ended(self, event: core.SessionEnded) -> list[str]:
        if event.reason != "expired":
            return []
        minutes = self._bounds.session_s // 60
        message = f"The session has reached its longest duration of {minutes} minutes."
        return [self._error("invalid_request_error", "session_expired", message)]

    def _session_shown(self) -> dict[str, Any]:
        return self._shown.shown(self._session_id, self._model, self._expires_at, allowed=self._allowed)

    def _refusal(self, error: ClientError, event_id: str | None) -> str:
        return self._error("invalid_request_error", error.code, str(error), error.param, event_id)

    def _error(
        self, kind: str, code: str | None, message: str, param: str | None = None, event_id: str | None = None
    ) -> str:
        details = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
        return self._emit("error", error=details)

    def _emit(self, kind: str, /, **fields: Any) -> str:
        return to_json({"type": kind, "event_id": self._new_id("event"), **fields})


def starting_session(spec: AgentSpec, kind: Kind, patch: wire.SessionPatch | None, bounds: Bounds) -> WireSession:
    """An agent's session with what a client secret's creator, holding a server key, chose for it."""
    if patch is None:
        return WireSession.of(spec, kind)
    session = WireSession.of(spec, patch.type or kind)
    return session.merged(patch, allowed=spec.overrides.server_keys, bounds=bounds)[0]


def to_json(message: Mapping[str, Any]) -> str:
    try:
        return msgspec.json.encode(message).decode()
    except UnicodeEncodeError:  # half an emoji from a model that streams UTF-16 pieces: only an escape can carry it
        return json.dumps(message)
