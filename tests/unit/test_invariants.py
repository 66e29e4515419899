"""The checker itself: it takes what is right, and finds each thing that is wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from sessions.pipeline import messages as core
from tests.invariants import Broken, Invariants
from tests.unit.sessions.protocols.helpers import Client
from tests.unit.sessions.protocols.scripts import (
    BARGE_IN,
    CALL,
    FUNCTION_CALL,
    OUT_OF_BAND,
    TEXT_RESPONSE,
    VOICE_TURN,
    ended,
    message,
    started,
)

Events = list[dict[str, Any]]


def conversation() -> Events:
    """A voice turn that was transcribed and answered, with a call beside the words."""
    client = Client()
    updated = client.protocol.encode(_transcribing(client))
    said = message("One exchange.")
    events = [client.created, *_data(updated), *client.sees(*VOICE_TURN[:-1])]
    called = core.OutputStarted("resp_a", core.CallItem("item_f", "call_1", "weather", ""), 1, "audio", True, "item_r")
    events += client.sees(called, core.OutputDone("resp_a", CALL, 1, "audio", True, "item_r"))
    return events + client.sees(ended(said, CALL, audio_ms=500))


def _transcribing(client: Client) -> core.Configured:
    heard = {"transcription": {"model": "whisper-1"}}
    command = client.asks("session.update", session={"type": "realtime", "audio": {"input": heard}})
    assert isinstance(command, core.Configure)
    return core.Configured(command.config, command.spelling)


def _data(messages: list[Any]) -> Events:
    return [Invariants.data(message) for message in messages]


def follow(events: Events) -> Invariants:
    rules = Invariants()
    for event in events:
        rules.see(event)
    return rules


def at(events: Events, kind: str) -> int:
    return next(index for index, event in enumerate(events) if event["type"] == kind)


def test_a_conversation_that_keeps_its_promises_passes() -> None:
    follow(conversation()).end()


@pytest.mark.parametrize("script", [TEXT_RESPONSE, FUNCTION_CALL, BARGE_IN, OUT_OF_BAND])
def test_exchanges_as_recorded_pass(script: list[core.Event]) -> None:
    client = Client()
    known = core.MessageItem("item_u", "user", (core.Content("text", text="x"),))
    events = client.sees(core.ItemAdded(known, None), core.ItemDone(known, None), *script)

    follow([client.created, *events]).end()


def without(kind: str) -> Callable[[Events], None]:
    def change(events: Events) -> None:
        del events[at(events, kind)]

    return change


def twice(kind: str) -> Callable[[Events], None]:
    def change(events: Events) -> None:
        index = at(events, kind)
        events.insert(index, {**events[index], "event_id": "again"})

    return change


def swapped(first: str, second: str) -> Callable[[Events], None]:
    def change(events: Events) -> None:
        a, b = at(events, first), at(events, second)
        events[a], events[b] = events[b], events[a]

    return change


def with_field(kind: str, path: str, value: Any) -> Callable[[Events], None]:
    """`path` is dotted; a value of KeyError takes the field away."""

    def change(events: Events) -> None:
        place: Any = events[at(events, kind)]
        *way, last = (int(name) if name.isdigit() else name for name in path.split("."))
        for name in way:
            place = place[name]
        if value is KeyError:
            del place[last]
        else:
            place[last] = value

    return change


def cancelled_without_reason(events: Events) -> None:
    events[-1]["response"] |= {"status": "cancelled", "status_details": {"type": "cancelled"}}


RESPONSE = "response.output_"
BREAKAGES: dict[str, Callable[[Events], None]] = {
    "session.created is the first event": without("session.created"),
    "event_id is unique": with_field("session.updated", "event_id", "event_1"),
    "a field is missing": with_field("session.updated", "event_id", KeyError),
    "is not an event of the protocol": with_field("conversation.item.added", "type", "conversation.item.created"),
    "turn detection is shown with its defaults": with_field(
        "session.updated", "session.audio.input.turn_detection.interrupt_response", KeyError
    ),
    "audio_start_ms is an integer": with_field("input_audio_buffer.speech_started", "audio_start_ms", 1.5),
    "speech stops under the id it started with": with_field("input_audio_buffer.speech_stopped", "item_id", "other"),
    "an item is committed once": twice("input_audio_buffer.committed"),
    "previous_item_id names an item": with_field("input_audio_buffer.committed", "previous_item_id", "other"),
    "an item is added once": twice("conversation.item.added"),
    "an item is done once": twice("conversation.item.done"),
    "a part leaves keys out": with_field("conversation.item.added", "item.content.0.text", None),
    "the transcript of a user's audio is there": with_field(
        "conversation.item.added", "item.content.0.transcript", KeyError
    ),
    "audio is in conversation.item.retrieved only": with_field("conversation.item.done", "item.content.0.audio", ""),
    "nothing of a transcript follows its end": twice("conversation.item.input_audio_transcription.completed"),
    "a transcript is its deltas, joined": without("conversation.item.input_audio_transcription.delta"),
    "every committed item gets its transcript": without("conversation.item.input_audio_transcription.completed"),
    "a response is created once": twice("response.created"),
    "a response begins empty": with_field("response.created", "response.status", "completed"),
    "response.created comes before": without("response.created"),
    "only a response's items are in progress": without(f"{RESPONSE}item.added"),
    "an output begins in progress": with_field(f"{RESPONSE}item.added", "item.status", "completed"),
    "a part's contents come between": without("response.content_part.added"),
    "a part is of the response's modality": with_field("response.content_part.added", "part.type", "text"),
    "a stream's done repeats its deltas": without(f"{RESPONSE}audio_transcript.delta"),
    "no audio follows its done": swapped(f"{RESPONSE}audio.delta", f"{RESPONSE}audio.done"),
    "a part's streams are done before it": without(f"{RESPONSE}audio.done"),
    "a part repeats its deltas": with_field("response.content_part.done", "part.transcript", "Two"),
    "an output's contents are done before it": without("response.content_part.done"),
    "every output is done before its response": without(f"{RESPONSE}item.done"),
    "the arguments' done repeats their deltas": without("response.function_call_arguments.delta"),
    "a call keeps its name": with_field("response.function_call_arguments.done", "name", "time"),
    "metadata comes back unchanged": with_field("response.done", "response.metadata", {}),
    "usage is there": with_field("response.done", "response.usage", None),
    "usage adds up": with_field("response.done", "response.usage.total_tokens", 1),
    "response.done repeats its outputs": with_field("response.done", "response.output", []),
    "status_details is an object": with_field("response.done", "response.status_details", "completed"),
    "a response that was cut short says why": cancelled_without_reason,
    "every response.created has its response.done": without("response.done"),
}


@pytest.mark.parametrize("promise", BREAKAGES)
def test_a_broken_promise_is_found(promise: str) -> None:
    events = copy.deepcopy(conversation())
    BREAKAGES[promise](events)

    with pytest.raises(Broken, match=promise):
        follow(events).end()


def test_the_other_promises() -> None:
    client = Client()
    first, second = (core.MessageItem(name, "user", (core.Content("text", text=name),)) for name in ("a", "b"))
    added = client.sees(core.ItemAdded(first, None), core.ItemDone(first, None))
    after_deleted = client.sees(core.ItemDeleted("a"), core.ItemAdded(second, "a"))
    with pytest.raises(Broken, match="not deleted"):
        follow([client.created, *added, *after_deleted])

    two = client.sees(started(), started("resp_b"))
    with pytest.raises(Broken, match="one response at a time"):
        follow([client.created, *two])

    late = client.sees(core.SessionEnded("expired")) + client.sees(started("resp_c"))
    with pytest.raises(Broken, match="nothing comes after session_expired"):
        follow([client.created, *late])


def test_what_the_client_sent_is_answered() -> None:
    client = Client()
    update = {"type": "session.update", "event_id": "u1"}
    rules = follow([client.created])
    rules.sent(update)
    with pytest.raises(Broken, match=r"one session.updated for each accepted update"):
        rules.end()

    rules.see(client.sees(core.ErrorOccurred("No.", "invalid_value", None, "u1"))[0])
    rules.end()
    with pytest.raises(Broken, match="an error names an event that the client sent"):
        rules.see(client.sees(core.ErrorOccurred("No.", "invalid_value", None, "u2"))[0])


def test_audio_after_speech_that_interrupts_it_is_found() -> None:
    events = conversation()
    speech = {"type": "input_audio_buffer.speech_started", "event_id": "s", "item_id": "v", "audio_start_ms": 9}
    events.insert(at(events, f"{RESPONSE}audio.delta"), speech)

    with pytest.raises(Broken, match="no audio follows speech that interrupts it"):
        follow(events)
