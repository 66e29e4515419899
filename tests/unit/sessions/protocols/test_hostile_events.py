"""Good events become commands; broken ones become exactly one error that names them, and change nothing."""

from __future__ import annotations

import json
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.providers.scripted import tone
from agents.spec import FeedSpec
from sessions.pipeline import messages as core
from sessions.protocols.realtime_events import CLIENT_EVENTS
from tests.hostile import breaking
from tests.hostile.breaking import Frame
from tests.hostile.events import RATE, Sounds, put
from tests.hostile.sequences import Situation, resolved, sequence
from tests.unit.sessions.protocols.helpers import GUIDE, Client, checked

SOUNDS = Sounds(tone(40, RATE))
NOBODY: dict[str, list[str]] = {"item": [], "response": [], "call": []}
RANDOMS = st.randoms(use_true_random=False) | st.builds(Random, st.integers(0, 2**32))
"""The first can be shrunk, the second goes further."""
FED = msgspec.structs.replace(GUIDE, feed=FeedSpec(mode="text"))
MANY = 3000


def judge(client: Client, frame: Frame) -> None:
    """What the codec makes of one frame is what the frame says it must."""
    decoded = client.protocol.decode(resolved(frame.data, NOBODY))
    errors = checked(decoded.replies)
    assert [error["type"] for error in errors] in ([], ["error"])
    assert not (errors and decoded.commands)
    for error in errors:
        assert error["error"]["message"]
        assert error["error"]["event_id"] in (frame.event_id, None)
    match frame.verdict:
        case "good":
            assert not errors
        case "wrong":
            assert [error["error"]["event_id"] for error in errors] == [frame.event_id]
    for command in decoded.commands:
        if isinstance(command, core.Configure):
            assert [e["type"] for e in client.sees(core.Configured(command.config, command.spelling))] == [
                "session.updated"
            ]


def frames(r: Random, *, extensions: bool) -> list[Frame]:
    situation = Situation(extensions=extensions, feed=True)
    return [step for step in sequence(r, "s", situation, SOUNDS) if isinstance(step, Frame)]


@settings(deadline=None)
@given(RANDOMS, st.booleans())
def test_any_sequence_is_understood_or_refused_event_by_event(r: Random, extensions: bool) -> None:
    client = Client(FED, extensions=extensions)
    for frame in frames(r, extensions=extensions):
        judge(client, frame)


@pytest.mark.parametrize("path", [(kind, path) for kind, paths in breaking.WRONG.items() for path in paths])
def test_every_value_that_a_field_cannot_have_is_refused_and_changes_nothing(path: tuple[str, str]) -> None:
    kind, field = path
    for value in breaking.WRONG[kind][field]:
        client = Client()
        before = client.updates()
        event = {
            "type": kind,
            "event_id": "e",
            "item_id": "i",
            "item": {"type": "message", "role": "user", "content": []},
        }
        put(event, field.split("."), value)
        judge(client, Frame(json.dumps(event), "wrong", kind, "e"))
        assert client.updates() == before


def test_the_generators_know_every_event() -> None:
    """A new client event belongs in `tests.hostile.events.EVENTS`, with what it cannot have in `breaking.WRONG`."""
    r = Random(1)
    made = [frame for _ in range(MANY) for frame in frames(r, extensions=True)]

    def kinds(verdict: str) -> set[str]:
        return {frame.kind for frame in made if frame.verdict == verdict}

    assert kinds("good") >= CLIENT_EVENTS
    assert kinds("open") >= CLIENT_EVENTS
    assert kinds("wrong") >= set(breaking.WRONG)
