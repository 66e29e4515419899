"""Sequences of steps: what one client does, in what order, and when."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.hostile import breaking
from tests.hostile.breaking import Frame
from tests.hostile.events import Event, Kind, Sounds, good_event

BROKEN_SHARE = 0.3
FLOOD = 40
MOMENTS = [
    "response.created", "response.output_item.added", "response.output_audio.delta", "response.output_text.delta",
    "response.done", "input_audio_buffer.speech_started", "input_audio_buffer.committed",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Situation:
    """The connection: what was asked for in its address, and whether its agent takes events."""

    kind: Kind = "realtime"
    extensions: bool = False
    feed: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for `seconds`, or until the server says `moment`."""

    seconds: float
    moment: str | None = None


Step = Frame | Pause


def sequence(r: Random, name: str, situation: Situation, sounds: Sounds, *, most: int = 24) -> list[Step]:
    """Up to about `most` steps. The n-th message has the event id `name.n`, if it has any that can be read."""
    steps: list[Step] = []
    length = r.randint(1, most)
    while len(steps) < length:
        steps += _some_steps(r, f"{name}.{len(steps)}", situation, sounds)
    return steps


def _some_steps(r: Random, event_id: str, situation: Situation, sounds: Sounds) -> list[Step]:
    match r.random():
        case chance if chance < 0.08:
            return [Pause(r.choice([0.0, 0.01, 0.05, 0.1]))]
        case chance if chance < 0.16:
            return [Pause(0.2, r.choice(MOMENTS))]
        case chance if chance < 0.20:
            return _spoken(r, event_id, sounds)
        case chance if chance < 0.21:
            retrieve = {"type": "conversation.item.retrieve", "item_id": "nobody"}
            return [_made(r, retrieve, f"{event_id}.{n}", situation, broken=False) for n in range(FLOOD)]
        case _:
            event = good_event(r, sounds)
            return [_made(r, event, event_id, situation, broken=r.random() < BROKEN_SHARE)]


def _spoken(r: Random, event_id: str, sounds: Sounds) -> list[Step]:
    """A turn of the user's, or the beginning of one."""
    speech, silence = sounds.clips["speech"], sounds.clips["silence"]
    pieces = r.choice([[speech, silence], [speech, silence], [speech], [silence, speech, silence, silence]])
    kind = "input_audio_buffer.append"
    events = [{"type": kind, "audio": piece, "event_id": f"{event_id}.{n}"} for n, piece in enumerate(pieces)]
    return [breaking.good(r, event) for event in events]


def _made(r: Random, event: Event, event_id: str, situation: Situation, *, broken: bool) -> Frame:
    event = {**event, "event_id": event_id}
    if event["type"] == "response.create" and isinstance(event.get("response"), dict):
        event["response"] = {**event["response"], "metadata": {"n": event_id}}
    return judged((breaking.broken if broken else breaking.good)(r, event), situation)


def judged(frame: Frame, situation: Situation) -> Frame:
    """What a good event is worth here: some are for other kinds of sessions."""
    if frame.verdict != "good":
        return frame
    if frame.kind == "repartee.playback" and not situation.extensions:
        return replace(frame, verdict="wrong")
    if frame.kind == "repartee.event" and not (situation.extensions and situation.feed):
        return replace(frame, verdict="wrong")
    if situation.kind == "transcription":
        return replace(frame, verdict="open")
    return frame


REFERENCE = re.compile(r"@(item|response|call)(\d)")
REFERENCE_BYTES = re.compile(REFERENCE.pattern.encode())


def resolved(data: str | bytes, known: Mapping[str, Sequence[str]]) -> str | bytes:
    """With ids of the running session, the newest first, for the references."""

    def found(kind: str, back: str) -> str:
        ids = known[kind]
        return json.dumps(ids[-1 - int(back) % len(ids)])[1:-1] if ids else "nobody"

    if isinstance(data, bytes):
        return REFERENCE_BYTES.sub(lambda match: found(match[1].decode(), match[2].decode()).encode(), data)
    return REFERENCE.sub(lambda match: found(match[1], match[2]), data)


def farewell(name: str) -> list[Frame]:
    """The end of a sequence: nothing may begin any more, and the last is answered when all before it is done."""
    quiet = {"type": "session.update", "session": {"audio": {"input": {"turn_detection": None}}}}
    events: list[Event] = [
        {**quiet, "event_id": f"{name}.quiet"},
        {"type": "input_audio_buffer.clear", "event_id": f"{name}.clear"},
        {"type": "conversation.item.retrieve", "item_id": "nobody", "event_id": f"{name}.last"},
    ]
    return [Frame(json.dumps(event), "good", event["type"], event["event_id"]) for event in events]


def cancels(name: str, responses: Sequence[str]) -> list[Frame]:
    """One for each response that is still running, or was a moment ago."""
    events = [{"type": "response.cancel", "response_id": one, "event_id": f"{name}.{one}"} for one in responses]
    return [Frame(json.dumps(event), "open", event["type"], event["event_id"]) for event in events]
