"""The events of one response, from its creation to its end, in the order that clients rely on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agents.errors import ContextFull
from sessions.pipeline.messages import (
    AudioOut,
    CallItem,
    Content,
    MessageItem,
    Modality,
    OutputDone,
    OutputStarted,
    ResponseDone,
    ResponseStarted,
    TextOut,
)
from sessions.protocols import realtime_items as items
from sessions.protocols.realtime_audio import FORMATS, AudioEncoder, AudioFormat, to_base64

Emit = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a client wants one response written: its audio's format, and the name it has for the voice."""

    form: AudioFormat | None = None
    voice: str | None = None


AUDIO_TOKEN_MS = 50
"""OpenAI counts one token for each 50 ms of an assistant's audio; so do we, and hold text tokens apart."""


class Output:
    """One output of a running response: what has been sent of it."""

    def __init__(self, event: OutputStarted, form: AudioFormat, emit: Emit) -> None:
        self.response_id = event.response_id
        self.place: dict[str, Any] = {
            "response_id": event.response_id,
            "item_id": event.item.id,
            "output_index": event.output_index,
            "content_index": 0,
        }
        self.audible = event.modality == "audio"
        self.text: list[str] = []
        self.encoder = AudioEncoder(form)
        self._emit = emit
        self._extras: dict[str, Any] = {}

    def part(self, text: str) -> dict[str, str]:
        return {"type": "audio", "transcript": text} if self.audible else {"type": "text", "text": text}

    def text_delta(self, text: str) -> list[str]:
        if not text:
            return []
        self.text.append(text)
        kind = "response.output_audio_transcript.delta" if self.audible else "response.output_text.delta"
        return [self._emit(kind, **self.place, delta=text)]

    def audio_delta(self, data: bytes, extras: dict[str, Any]) -> list[str]:
        """`extras` wait for the first delta that has audio: a resampler may hold the first samples back."""
        self._extras |= extras
        if not data:
            return []
        extras, self._extras = self._extras, {}
        return [self._emit("response.output_audio.delta", **self.place, **extras, delta=to_base64(data))]

    def closing(self) -> list[str]:
        text = "".join(self.text)
        if self.audible:
            ends = [
                self._emit("response.output_audio.done", **self.place),
                self._emit("response.output_audio_transcript.done", **self.place, transcript=text),
            ]
        else:
            ends = [self._emit("response.output_text.done", **self.place, text=text)]
        return [*ends, self._emit("response.content_part.done", **self.place, part=self.part(text))]


class Responses:
    """Writes the events of a session's responses. Text that was sent is the text that its end repeats."""

    def __init__(self, emit: Emit, conversation_id: str, *, extensions: bool) -> None:
        self._emit = emit
        self._conversation_id = conversation_id
        self._extensions = extensions
        self._open: dict[str, Output] = {}
        self._said: dict[str, dict[str, str]] = {}
        self._forms: dict[str, AudioFormat] = {}

    def started(self, event: ResponseStarted, form: AudioFormat, voice: str) -> list[str]:
        self._said[event.response_id] = {}
        spelling = event.options.spelling
        self._forms[event.response_id] = (isinstance(spelling, Spelling) and spelling.form) or form
        response = self._response(event, voice)
        return [self._emit("response.created", response=response)]

    def output_started(self, event: OutputStarted) -> list[str]:
        place = {"response_id": event.response_id, "output_index": event.output_index}
        blank = (
            dataclasses.replace(event.item, arguments="")
            if isinstance(event.item, CallItem)
            else dataclasses.replace(event.item, content=())
        )
        item = items.shown(blank, status="in_progress")
        messages = [self._emit("response.output_item.added", **place, item=item)]
        if event.in_conversation:
            messages.append(self._emit("conversation.item.added", previous_item_id=event.previous_id, item=item))
        if isinstance(event.item, MessageItem):
            output = self._open[event.item.id] = Output(event, self._forms[event.response_id], self._emit)
            messages.append(self._emit("response.content_part.added", **output.place, part=output.part("")))
        return messages

    def text(self, event: TextOut) -> list[str]:
        output = self._open.get(event.item_id)
        return output.text_delta(event.text) if output else []

    def audio(self, event: AudioOut) -> list[str]:
        """Audio of an output that has ended is dropped: it was cut off."""
        output = self._open.get(event.item_id)
        if output is None:
            return []
        return output.audio_delta(output.encoder.push(event.audio), self._timing(event))

    def _timing(self, event: AudioOut) -> dict[str, Any]:
        if not self._extensions or event.turn_id is None:
            return {}
        timing: dict[str, Any] = {"turn_id": event.turn_id}
        if event.user_end_sample is not None:
            timing["user_end_sample"] = event.user_end_sample
        return timing

    def output_done(self, event: OutputDone) -> list[str]:
        messages = self._call_ends(event, event.item) if isinstance(event.item, CallItem) else self._ends(event)
        item = items.shown(self._as_sent(event.response_id, event.item, event.modality))
        if event.in_conversation:
            messages.append(self._emit("conversation.item.done", previous_item_id=event.previous_id, item=item))
        place = {"response_id": event.response_id, "output_index": event.output_index}
        return [*messages, self._emit("response.output_item.done", **place, item=item)]

    def _call_ends(self, event: OutputDone, item: CallItem) -> list[str]:
        place = {
            "response_id": event.response_id,
            "item_id": item.id,
            "output_index": event.output_index,
            "call_id": item.call_id,
        }
        return [
            self._emit("response.function_call_arguments.delta", **place, delta=item.arguments),
            self._emit("response.function_call_arguments.done", **place, name=item.name, arguments=item.arguments),
        ]

    def _ends(self, event: OutputDone) -> list[str]:
        output = self._open.pop(event.item.id, None)
        if output is None:
            return []
        tail = output.encoder.flush() if event.item.status == "completed" else b""
        last = output.audio_delta(tail, {})
        self._said.setdefault(event.response_id, {})[event.item.id] = "".join(output.text)
        return [*last, *output.closing()]

    def done(self, event: ResponseDone, voice: str) -> list[str]:
        output = [items.shown(self._as_sent(event.response_id, item, event.modality)) for item in event.output]
        self._said.pop(event.response_id, None)
        response = self._response(event, voice)
        self._forms.pop(event.response_id)
        response |= {
            "status": event.status,
            "status_details": _status_details(event),
            "output": output,
            "usage": _usage(event),
        }
        return [self._emit("response.done", response=response)]

    def _as_sent(self, response_id: str, item: MessageItem | CallItem, modality: Modality) -> MessageItem | CallItem:
        """The item with exactly the text its deltas had, whatever of it was heard."""
        text = self._said.get(response_id, {}).get(item.id)
        if text is None or isinstance(item, CallItem):
            return item
        part = Content("audio", transcript=text) if modality == "audio" else Content("text", text=text)
        return dataclasses.replace(item, content=(part,))

    def _response(self, event: ResponseStarted | ResponseDone, voice: str) -> dict[str, Any]:
        spelling = event.options.spelling
        own_voice = isinstance(spelling, Spelling) and spelling.voice
        form = self._forms[event.response_id]
        return {
            "id": event.response_id,
            "object": "realtime.response",
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "conversation_id": self._conversation_id if event.options.in_conversation else None,
            "output_modalities": [event.modality],
            "max_output_tokens": event.max_output_tokens or "inf",
            "audio": {"output": {"format": FORMATS[form], "voice": own_voice or voice}},
            "metadata": event.options.metadata,
            "usage": None,
        }


def _status_details(event: ResponseDone) -> dict[str, Any] | None:
    match event.status:
        case "completed":
            return None
        case "failed":
            kind = "invalid_request_error" if event.reason == ContextFull.code else "server_error"
            error = {"type": kind, "code": event.reason or "server_error", "message": event.error or ""}
            return {"type": "failed", "error": error}
        case status:
            return {"type": status, "reason": event.reason} if event.reason else {"type": status}


def _usage(event: ResponseDone) -> dict[str, Any]:
    """Text tokens are the LLM's own count; audio is counted by its length."""
    used, audio_tokens = event.usage, round(event.audio_ms / AUDIO_TOKEN_MS)
    return {
        "total_tokens": used.input_tokens + used.output_tokens + audio_tokens,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens + audio_tokens,
        "input_token_details": {
            "text_tokens": used.input_tokens,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": used.cached_tokens,
            "cached_tokens_details": {"text_tokens": used.cached_tokens, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": used.output_tokens, "audio_tokens": audio_tokens},
    }
