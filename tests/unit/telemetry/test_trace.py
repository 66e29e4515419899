from __future__ import annotations

import json

import pytest

from telemetry.trace import PROCESS_KEY, Anchor, TurnMarks, TurnTrace, close_turn, trace_ids
from tests.unit.telemetry.turns import SPOKEN, STARTED_NS, turn


def test_marks_become_microseconds_from_the_opening() -> None:
    trace = turn()
    assert trace.marks == {name: ms * 1000 for name, ms in SPOKEN.items()}
    assert list(trace.marks.values()) == sorted(trace.marks.values())
    assert trace.started_ns == STARTED_NS


def test_the_opening_is_placed_by_the_anchor() -> None:
    marks = TurnMarks(lambda: 0.0)
    marks.stamp("turn_open", 12.5)
    trace = close_turn(
        marks,
        anchor=Anchor(STARTED_NS, 10.0),
        session_id="s",
        index=0,
        agent="a",
        agent_version=1,
        transport="t",
        kind="text",
        initiator="client",
        end_reason="no_output",
    )
    assert trace.started_ns == STARTED_NS + 2_500_000_000


def test_without_an_opening_the_earliest_mark_opens_the_turn() -> None:
    assert turn({"vad_stop": 300, "user_speech_end": 100, "turn_close": 400}).marks["vad_stop"] == 200_000


def test_turn_close_is_written_once() -> None:
    assert turn().marks["turn_close"] == 4_900_000
    assert turn({"turn_open": -1000}).marks == {"turn_open": 0, "turn_close": 1_000_000}


def test_a_trace_survives_json() -> None:
    trace = turn(facts={"llm_model": "any", "output_tokens": 12, "cost_usd": 0.001})
    assert TurnTrace.from_dict(json.loads(json.dumps(trace.to_dict()))) == trace


def test_a_trace_of_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="schema 2"):
        TurnTrace.from_dict({**turn().to_dict(), "schema": 2})


def test_facts_that_json_cannot_hold_are_left_out() -> None:
    assert turn(facts={"cost_usd": float("nan"), "rtt_ms": 20}).facts == {"rtt_ms": 20}


def test_trace_ids_depend_on_session_turn_and_key_and_show_none_of_them() -> None:
    ids = {trace_ids(session, index, key) for session in ("a", "b") for index in (0, 1) for key in (b"k", b"l")}
    assert len(ids) == 8
    assert all(len(trace) == 32 and len(span) == 16 for trace, span in ids)
    assert trace_ids("a", 0, b"k") == trace_ids("a", 0, b"k")
    assert len(PROCESS_KEY) == 32
    assert (turn().trace_id, turn().span_id) == trace_ids("sess_test", 0, b"key")


def test_stamp_keeps_the_first_moment_and_move_the_last() -> None:
    now = iter([1.0, 2.0, 3.0])
    marks = TurnMarks(lambda: next(now))
    marks.stamp("a")
    marks.stamp("a")
    assert marks.at == {"a": 1.0}
    marks.move("a")
    assert marks.at == {"a": 2.0}
