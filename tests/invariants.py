"""What a Realtime client may rely on, as one checker of everything that a server sends on one connection.

    rules = Invariants()
    for event in events:      # JSON text, or the same as data, in the order of the wire
        rules.see(event)
    rules.end()               # the session was given time to finish: nothing may be left open

The first broken promise raises `Broken`. Telling it what the client sent (`sent`) is optional, and lets it
check that errors name the client's events and that each update is answered once. It is independent of the
code that it checks, and fast enough for millions of events.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Event = Mapping[str, Any]

TEXT_PARTS = {"output_text": "text", "output_audio": "transcript"}
"""Where the words of an assistant's part are, by the part's type."""
SPOKEN = {"audio": "output_audio", "text": "output_text"}
"""The part of `response.content_part.*`, and its other spelling in an item."""
STATUSES = {"completed", "cancelled", "incomplete", "failed"}
REASONS = {"cancelled": {"turn_detected", "client_cancelled"}, "incomplete": {"max_output_tokens", "content_filter"}}
USAGE: dict[str, Any] = {
    "total_tokens": int,
    "input_tokens": int,
    "output_tokens": int,
    "input_token_details": {
        "text_tokens": int,
        "audio_tokens": int,
        "image_tokens": int,
        "cached_tokens": int,
        "cached_tokens_details": {"text_tokens": int, "audio_tokens": int, "image_tokens": int},
    },
    "output_token_details": {"text_tokens": int, "audio_tokens": int},
}


class Broken(AssertionError):
    """A promise to clients that was not kept."""


def must(kept: bool, promise: str) -> None:
    if not kept:
        raise Broken(promise)


@dataclass
class _Output:
    """One output item of a response that is open."""

    kind: str
    item_id: str
    part: str | None = None
    part_done: bool = False
    words: str = ""
    ended: set[str] = field(default_factory=set)
    audible: bool = False
    in_conversation: bool = False
    call: dict[str, Any] | None = None
    final: dict[str, Any] | None = None
    done: bool = False

    @property
    def text(self) -> str:
        return self.call["arguments"] if self.call else self.words


@dataclass
class _Response:
    in_conversation: bool
    modality: str
    metadata: Any
    outputs: list[_Output] = field(default_factory=list)
    interrupted: bool = False


class Invariants:
    """Follows one connection. `open` are the responses that are not done, by id.

    `joins` off lets a completed transcript differ from its deltas: for a recogniser that takes back what it settled.
    """

    def __init__(self) -> None:
        self.open: dict[str, _Response] = {}
        self.joins = True
        self._kinds: Counter[str] = Counter()
        self._event_ids: set[str] = set()
        self._finished: set[str] = set()
        self._announced: set[str] = set()
        self._deleted: set[str] = set()
        self._done_items: set[str] = set()
        self._speech: str | None = None
        self._started: set[str] = set()
        self._committed: dict[str, bool] = {}
        self._worded: set[str] = set()
        self._deltas: dict[str, str] = {}
        self._only_transcribes = False
        self._transcribes = False
        self._interrupts = False
        self._client_ids: set[str] | None = None
        self._updates: list[str | None] = []
        self._refused: set[str] = set()
        self._expired = False

    # --- what is fed to it ---

    @staticmethod
    def data(message: str | bytes | Event) -> Any:
        return message if isinstance(message, Mapping) else json.loads(message)

    def sent(self, event: Event) -> None:
        """A client event, before the server's answer to it."""
        self._client_ids = set() if self._client_ids is None else self._client_ids
        if isinstance(event_id := event.get("event_id"), str):
            self._client_ids.add(event_id)
        if event.get("type") == "session.update":
            self._updates.append(event_id if isinstance(event_id, str) else None)

    def see(self, message: str | bytes | Event) -> Event:
        """The next server event; it is handed back as data."""
        event: Event = self.data(message)
        try:
            self._envelope(event)
            self._follow(event)
        except Broken as broken:
            raise Broken(f"{broken}: {json.dumps(event)[:600]}") from None
        except (KeyError, TypeError) as error:
            raise Broken(f"a field is missing or has the wrong type ({error!r}): {json.dumps(event)[:600]}") from error
        return event

    def configured(self, *, transcribes: bool, interrupts: bool) -> None:
        """The settings that apply from here on; `session.created` and `session.updated` say so by themselves."""
        self._interrupts = interrupts
        if not transcribes:
            self._committed = dict.fromkeys(self._committed, False)
        self._transcribes = transcribes

    def end(self) -> None:
        """All that was begun has ended, and all that was asked has been answered."""
        must(not self.open, f"every response.created has its response.done, but not {sorted(self.open)}")
        owed = [item_id for item_id, transcribed in self._committed.items() if transcribed]
        lacking = sorted(set(owed) - self._worded)
        must(not lacking, f"every committed item gets its transcript or a failure, but not {lacking}")
        if self._client_ids is not None and None not in self._updates:
            accepted = len([update for update in self._updates if update not in self._refused])
            updated = self._kinds["session.updated"]
            must(updated == accepted, f"one session.updated for each accepted update: {updated} for {accepted}")

    # --- every event ---

    def _envelope(self, event: Event) -> None:
        kind, event_id = event["type"], event["event_id"]
        must(isinstance(event_id, str) and event_id != "", "event_id is a string")
        must(event_id not in self._event_ids, "event_id is unique")
        self._event_ids.add(event_id)
        if not self._kinds:
            must(kind in ("session.created", "error"), "session.created is the first event")
        must(not self._expired or kind.startswith("repartee."), "nothing comes after session_expired")
        self._kinds[kind] += 1
        if not kind.startswith("repartee."):
            whole_milliseconds(event)
        for item in [event.get("item"), *(event.get("response") or {}).get("output", [])]:
            if item is not None:
                well_formed(item, audio=kind == "conversation.item.retrieved")

    def _follow(self, event: Event) -> None:
        kind = event["type"]
        match kind.split("."):
            case ["error"]:
                self._error(event["error"])
            case ["session", what]:
                self._session(what, event["session"])
            case ["input_audio_buffer", what]:
                self._buffer(what, event)
            case ["conversation", "item", "input_audio_transcription", what]:
                self._transcript(what, event)
            case ["conversation", "item", what]:
                self._item(what, event)
            case ["response", "created"]:
                self._created(event["response"])
            case ["response", "done"]:
                self._done(event["response"])
            case ["response", *_]:
                self._inside(kind, event)
            case ["output_audio_buffer", _] | ["repartee", _] | ["rate_limits", _]:
                pass
            case _:
                raise Broken(f"{kind} is not an event of the protocol")

    def _error(self, error: Event) -> None:
        must(set(error) == {"type", "code", "message", "param", "event_id"}, "an error has all its fields")
        must(isinstance(error["type"], str) and isinstance(error["message"], str), "type and message are strings")
        named = error["event_id"]
        if self._client_ids is not None and named is not None:
            must(named in self._client_ids, "an error names an event that the client sent")
        if named is not None:
            self._refused.add(named)
        self._expired = error["code"] == "session_expired"

    def _session(self, what: str, session: Event) -> None:
        must(what in ("created", "updated"), "session.created or session.updated")
        must(self._kinds["session.created"] == 1, "session.created comes once, and before any session.updated")
        if self._client_ids is not None:
            must(self._kinds["session.updated"] <= len(self._updates), "one session.updated for each update")
        must(session["type"] in ("realtime", "transcription"), "a session says its type")
        self._only_transcribes = session["type"] == "transcription"
        heard = session["audio"]["input"]
        detection = heard["turn_detection"]
        must(detection is None or "interrupt_response" in detection, "turn detection is shown with its defaults")
        self.configured(
            transcribes=heard["transcription"] is not None,
            interrupts=bool(detection) and detection["interrupt_response"],
        )

    # --- the user's audio ---

    def _buffer(self, what: str, event: Event) -> None:
        item_id = event.get("item_id", "")
        match what:
            case "speech_started":
                must(item_id not in self._started, "speech has an id of its own")
                self._speech = item_id
                self._started.add(item_id)
                for response in self.open.values():
                    response.interrupted |= response.in_conversation and self._interrupts
            case "speech_stopped":
                must(self._speech == item_id, "speech stops under the id it started with, and before the commit")
                self._speech = None
            case "committed":
                must(item_id not in self._committed, "an item is committed once")
                self._place(event["previous_item_id"])
                self._committed[item_id] = self._transcribes
                self._speech = None if self._speech == item_id else self._speech
            case "cleared":
                self._speech = None
            case "timeout_triggered":
                must(event["audio_start_ms"] <= event["audio_end_ms"], "silence starts before it ends")

    def _transcript(self, what: str, event: Event) -> None:
        item_id = event["item_id"]
        early = what == "delta" and self._only_transcribes
        must(item_id in self._committed or early, "a transcript is of a committed item")
        must(item_id not in self._worded, "nothing of a transcript follows its end")
        must(event["content_index"] == 0, "content_index is 0")
        match what:
            case "delta":
                must(isinstance(event["delta"], str), "a delta is text")
                self._deltas[item_id] = self._deltas.get(item_id, "") + event["delta"]
            case "completed":
                must(isinstance(event["transcript"], str), "a transcript is text")
                joined = self._deltas.pop(item_id, "") == event["transcript"]
                must(joined or not self.joins, "a transcript is its deltas, joined")
                must(event["usage"]["type"] in ("duration", "tokens"), "a transcript has its usage")
                self._worded.add(item_id)
            case "failed":
                must(None not in event["error"].values(), "a failure leaves keys out instead of sending null")
                self._worded.add(item_id)
            case _:
                raise Broken(f"{event['type']} is not an event of the protocol")

    # --- items ---

    def _place(self, previous: str | None) -> None:
        known = previous is None or (previous in self._announced and previous not in self._deleted)
        must(known, "previous_item_id names an item that was announced and not deleted")

    def _item(self, what: str, event: Event) -> None:
        item_id = event.get("item_id") or event["item"]["id"]
        match what:
            case "added":
                self._place(event["previous_item_id"])
                must(item_id not in self._announced or item_id in self._deleted, "an item is added once")
                self._announced.add(item_id)
                self._deleted.discard(item_id)
                self._done_items.discard(item_id)
                if (output := self._output_of(item_id)) is not None:
                    must(output.part is None and not output.ended, "an item is added before its contents")
                    output.in_conversation = True
                else:
                    must(event["item"]["status"] != "in_progress", "only a response's items are in progress")
            case "done":
                self._place(event["previous_item_id"])
                must(item_id in self._announced, "an item is added before it is done")
                must(item_id not in self._done_items, "an item is done once")
                must(event["item"]["status"] != "in_progress", "an item that is done is not in progress")
                self._done_items.add(item_id)
                if (output := self._output_of(item_id)) is not None:
                    self._whole(output, event["item"])
            case "retrieved" | "truncated" | "deleted":
                known = item_id in self._announced and item_id not in self._deleted
                must(known, f"an item that is {what} was announced and is not deleted")
                if what == "deleted":
                    self._deleted.add(item_id)
            case _:
                raise Broken(f"{event['type']} is not an event of the protocol")

    def _output_of(self, item_id: str) -> _Output | None:
        found = (output for response in self.open.values() for output in response.outputs)
        return next((output for output in found if output.item_id == item_id), None)

    # --- responses ---

    def _created(self, response: Event) -> None:
        response_id, conversation = response["id"], response["conversation_id"]
        must(response_id not in self.open and response_id not in self._finished, "a response is created once")
        must(response["status"] == "in_progress" and response["output"] == [], "a response begins empty")
        must(response["status_details"] is None and response["usage"] is None, "a response begins without an outcome")
        beside = conversation is None or not any(other.in_conversation for other in self.open.values())
        must(beside, "one response at a time writes to the conversation")
        (modality,) = response["output_modalities"]
        self.open[response_id] = _Response(conversation is not None, modality, response["metadata"])

    def _inside(self, kind: str, event: Event) -> None:
        response_id = event["response_id"]
        must(response_id not in self._finished, "nothing of a response comes after response.done")
        must(response_id in self.open, "response.created comes before anything else of a response")
        response, index = self.open[response_id], event["output_index"]
        if kind == "response.output_item.added":
            self._output_added(response, index, event["item"])
            return
        must(0 <= index < len(response.outputs), "output_item.added comes before anything else of an output")
        output = response.outputs[index]
        must(not output.done, "nothing of an output comes after its output_item.done")
        if kind == "response.output_item.done":
            self._output_done(response, output, event["item"])
            return
        must(event["item_id"] == output.item_id, "item_id is that of the output")
        if kind.startswith("response.function_call_arguments."):
            self._arguments(kind, response, output, event)
        else:
            must(event["content_index"] == 0, "content_index is 0")
            self._message(kind, response, output, event)

    def _output_added(self, response: _Response, index: int, item: Event) -> None:
        must(index == len(response.outputs), "outputs are numbered in order")
        must(item["status"] == "in_progress", "an output begins in progress")
        empty = item["content"] == [] if item["type"] == "message" else item["arguments"] == ""
        must(empty, "an output begins empty")
        messages = [output for output in response.outputs if output.kind == "message"]
        must(item["type"] != "message" or not messages, "a response has one message")
        call = (
            None if item["type"] == "message" else {"name": item["name"], "call_id": item["call_id"], "arguments": ""}
        )
        response.outputs.append(_Output(item["type"], item["id"], call=call))

    def _message(self, kind: str, response: _Response, output: _Output, event: Event) -> None:
        must(output.kind == "message", "only a message has content")
        must(output.in_conversation == response.in_conversation, "conversation.item.added comes before the contents")
        if kind == "response.content_part.added":
            must(output.part is None, "a message has one part")
            must(event["part"]["type"] == response.modality, "a part is of the response's modality")
            output.part = event["part"]["type"]
            return
        must(output.part is not None and not output.part_done, "a part's contents come between its added and its done")
        name = SPOKEN[output.part or ""]
        match kind.removeprefix("response."):
            case "content_part.done":
                wanted = {name, f"{name}_transcript"} if output.part == "audio" else {name}
                must(output.ended == wanted, "a part's streams are done before it")
                must(words_of(event["part"]) == output.words, "a part repeats its deltas")
                output.part_done = True
            case "output_text.delta" | "output_audio_transcript.delta":
                must(kind in (f"response.{name}.delta", f"response.{name}_transcript.delta"), "the delta fits its part")
                must(
                    not output.ended & {"output_text", "output_audio_transcript"}, "no delta follows its stream's done"
                )
                output.words += event["delta"]
            case "output_audio.delta":
                must(output.part == "audio" and "output_audio" not in output.ended, "no audio follows its done")
                must(not response.interrupted, "no audio follows speech that interrupts it")
                output.audible = True
            case "output_text.done" | "output_audio_transcript.done" | "output_audio.done" as what:
                stream = what.removesuffix(".done")
                must(stream not in output.ended, "a stream is done once")
                must(stream == "output_audio" or words_of(event) == output.words, "a stream's done repeats its deltas")
                output.ended.add(stream)
            case _:
                raise Broken(f"{kind} is not an event of the protocol")

    def _arguments(self, kind: str, response: _Response, output: _Output, event: Event) -> None:
        must(output.call is not None, "only a function call has arguments")
        call = output.call or {}
        must(output.in_conversation == response.in_conversation, "conversation.item.added comes before the arguments")
        must(event["call_id"] == call["call_id"], "call_id is that of the item")
        must("arguments" not in output.ended, "nothing of a call's arguments follows their done")
        if kind.endswith(".delta"):
            call["arguments"] += event["delta"]
            return
        must(event["name"] == call["name"], "a call keeps its name")
        must(event["arguments"] == call["arguments"], "the arguments' done repeats their deltas")
        output.ended.add("arguments")

    def _output_done(self, response: _Response, output: _Output, item: Event) -> None:
        must(item["id"] == output.item_id, "an output ends under its own id")
        closed = output.part_done if output.kind == "message" else "arguments" in output.ended
        must(closed, "an output's contents are done before it")
        listed = not response.in_conversation or output.item_id in self._done_items
        must(listed, "conversation.item.done comes before output_item.done")
        must(item["status"] in ("completed", "incomplete"), "an output that is done is completed or incomplete")
        self._whole(output, item)
        output.done, output.final = True, dict(item)

    def _whole(self, output: _Output, item: Event) -> None:
        if output.kind == "message":
            must("".join(words_of(part) for part in item["content"]) == output.words, "an item repeats its deltas")
        else:
            must(item["arguments"] == output.text, "a call repeats its deltas")

    def _done(self, response: Event) -> None:
        response_id, status = response["id"], response["status"]
        must(response_id in self.open, "response.done comes once, after response.created")
        seen = self.open.pop(response_id)
        self._finished.add(response_id)
        must(all(output.done for output in seen.outputs), "every output is done before its response")
        must(response["output"] == [output.final for output in seen.outputs], "response.done repeats its outputs")
        must(response["metadata"] == seen.metadata, "metadata comes back unchanged")
        must((response["conversation_id"] is not None) == seen.in_conversation, "a response stays in its conversation")
        outcome(status, response["status_details"])
        shaped(response["usage"], USAGE)
        if status == "completed":
            cut = [output.item_id for output in seen.outputs if (output.final or {})["status"] != "completed"]
            must(not cut, "a completed response has completed outputs")


# --- shapes --------------------------------------------------------------------------------------


def words_of(part: Event) -> str:
    """The text or the transcript of a part, or of the `done` of its stream."""
    words = part["text"] if "text" in part else part["transcript"]
    must(isinstance(words, str), "words are text")
    return str(words)


def well_formed(item: Event, *, audio: bool) -> None:
    """Optional keys are left out instead of null, and audio is sent only when it was asked for."""
    must(None not in item.values(), "an item leaves keys out instead of sending null")
    must(item["object"] == "realtime.item" and isinstance(item["id"], str), "an item says what it is")
    for part in item.get("content", ()):
        nulls = {key for key, value in part.items() if value is None}
        heard = part["type"] == "input_audio"
        must(nulls <= ({"transcript"} if heard else set()), "a part leaves keys out instead of sending null")
        must(not heard or "transcript" in part, "the transcript of a user's audio is there, null if unknown")
        must(audio or "audio" not in part, "audio is in conversation.item.retrieved only")
        must(item["role"] != "assistant" or part["type"] in TEXT_PARTS, "an assistant's part is output_text or _audio")


def whole_milliseconds(value: object) -> None:
    """Every field named `*_ms` is an integer, or null."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            whole = inner is None or (isinstance(inner, int) and not isinstance(inner, bool))
            must(not key.endswith("_ms") or whole, f"{key} is an integer")
            whole_milliseconds(inner)
    elif isinstance(value, list):
        for inner in value:
            whole_milliseconds(inner)


def outcome(status: str, details: Event | None) -> None:
    must(status in STATUSES, "a response ends as completed, cancelled, incomplete or failed")
    must(details is None or isinstance(details, Mapping), "status_details is an object or null")
    if status == "completed":
        must(details is None, "a completed response has no details")
        return
    details = details or {}
    must(details.get("type") == status, "status_details repeats the status")
    if status == "failed":
        error = details["error"]
        must(all(isinstance(error[name], str) for name in ("type", "code", "message")), "a failure says why")
    else:
        must(details.get("reason") in REASONS[status], "a response that was cut short says why")


def shaped(value: object, shape: Mapping[str, Any]) -> None:
    """Usage is there, whole, and adds up."""
    if not isinstance(value, Mapping) or not set(value) >= set(shape):
        raise Broken("usage is there, with all its fields")
    for name, wanted in shape.items():
        if isinstance(wanted, Mapping):
            shaped(value[name], wanted)
        else:
            must(type(value[name]) is wanted and value[name] >= 0, "tokens are whole numbers")
    if "total_tokens" in shape:
        must(value["total_tokens"] == value["input_tokens"] + value["output_tokens"], "usage adds up")
