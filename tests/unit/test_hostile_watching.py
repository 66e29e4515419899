"""The watch over hostile clients notices what it is there for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.hostile.breaking import Frame, Verdict
from tests.hostile.watching import Watch
from tests.invariants import Broken
from tests.unit.sessions.protocols.helpers import Client


def frame(verdict: Verdict, kind: str = "session.update", event_id: str | None = "e1") -> Frame:
    return Frame(json.dumps({"type": kind, "event_id": event_id}), verdict, kind, event_id)


def error(event_id: str | None, code: str = "invalid_value", number: int = 1) -> str:
    details = {"type": "invalid_request_error", "code": code, "message": "No.", "param": None, "event_id": event_id}
    return json.dumps({"type": "error", "event_id": f"event_answer_{number}", "error": details})


async def watching(*frames: Frame) -> Watch:
    watch = Watch()
    watch.takes(json.dumps(Client().created))
    for one in frames:
        watch.sends(one)
    return watch


async def test_a_broken_event_is_owed_one_error() -> None:
    watch = await watching(frame("wrong"))
    assert len(watch.lacking()) == 1
    watch.takes(error("e1"))
    assert not watch.lacking()
    with pytest.raises(Broken):
        watch.takes(error("e1", number=2))


async def test_what_cannot_be_read_is_owed_an_error_without_a_name() -> None:
    watch = await watching(frame("wrong", event_id=None))
    assert watch.lacking() == ["1 errors without event_id"]
    watch.takes(error(None))
    assert not watch.lacking()
    with pytest.raises(Broken):
        watch.takes(error(None, number=2))


@pytest.mark.parametrize("answer", [{"type": "input_audio_buffer.cleared"}, json.loads(error("e1"))])
async def test_a_good_event_is_owed_its_answer_or_an_error(answer: dict[str, Any]) -> None:
    watch = await watching(frame("good", "input_audio_buffer.clear"))
    assert watch.lacking() == ["input_audio_buffer.cleared or an error for e1"]
    watch.takes(json.dumps({"event_id": "event_answer", **answer}))
    assert not watch.lacking()


async def test_an_answer_to_nothing_is_noticed() -> None:
    watch = await watching()
    with pytest.raises(Broken):
        watch.takes(json.dumps({"type": "input_audio_buffer.cleared", "event_id": "event_answer"}))


async def test_what_may_be_either_is_owed_nothing_and_may_be_answered() -> None:
    watch = await watching(frame("open", "input_audio_buffer.clear"))
    assert not watch.lacking()
    watch.takes(json.dumps({"type": "input_audio_buffer.cleared", "event_id": "event_answer"}))
