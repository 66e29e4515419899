from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from telemetry.critical_path import critical_path, winning_call
from tests.unit.telemetry.turns import SPOKEN, turn

MARKS = [
    *SPOKEN,
    "stt_first_partial",
    "spec_started",
    "retrieval.end",
    "client_playback_started",
    "bi_speech_start",
    *(f"llm[{n}].{moment}" for n in (1, 2) for moment in ("request_sent", "first_chunk", "first_token", "end")),
    *(f"tool[{n}].{moment}" for n in (0, 1) for moment in ("start", "end")),
    "seg[1].text_ready",
    "seg[1].tts_first_byte",
]
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "client_voice_to_voice_ms": st.floats(-100, 5000),
        "rtt_ms": st.floats(0, 400),
        "jitter_buffer_ms": st.floats(0, 200),
        "leading_silence_ms": st.floats(0, 300),
    },
)


@given(st.dictionaries(st.sampled_from(MARKS), st.floats(-2000, 20_000)), FACTS, st.sampled_from(["plain", "tool"]))
def test_the_path_sums_to_voice_to_voice_whatever_was_marked_in_whatever_order(
    marks: dict[str, float], facts: dict[str, float], kind: str
) -> None:
    trace = turn(marks, facts, kind=kind)
    assert sum(step.duration_us for step in trace.path) == trace.latencies.get("voice_to_voice", 0)
    assert all(step.duration_us >= 0 for step in trace.path)
    assert ("voice_to_voice" in trace.latencies) == (trace.provenance is not None)
    for before, after in zip(trace.path, trace.path[1:], strict=False):
        assert before.start_us + before.duration_us == after.start_us


@given(st.dictionaries(st.sampled_from(MARKS), st.integers(-(10**9), 10**9)), st.integers(0, 10**9))
def test_the_path_sums_to_any_span(marks: dict[str, int], end: int) -> None:
    assert sum(step.duration_us for step in critical_path(marks, start=0, end=end)) == end


def durations(marks_ms: Mapping[str, float], **about: object) -> dict[str, int]:
    trace = turn(marks_ms, **about)  # type: ignore[arg-type]  # the settings of a turn, as given
    return {step.name: step.duration_us // 1000 for step in trace.path}


def test_a_plain_turn_by_its_steps() -> None:
    assert durations(dict(SPOKEN)) == {
        "vad_hangover": 300,
        "stt_finalize": 150,
        "endpointing_wait": 50,
        "commit": 20,
        "llm_queue": 10,
        "llm_ttft": 150,
        "sentence": 40,
        "tts_ttfb": 100,
        "tts_silence": 20,
        "pacing": 10,
    }


def test_work_done_ahead_costs_nothing() -> None:
    marks = {**SPOKEN, "llm[0].request_sent": 2150, "llm[0].first_token": 2200}
    found = durations(marks)
    assert found["llm_queue"] == found["llm_ttft"] == 0
    assert found["sentence"] == 200


def test_rounds_of_tools_come_between_the_first_request_and_the_winning_call() -> None:
    marks = {
        **SPOKEN,
        "llm[0].first_token": 2350,
        "tool[0].start": 2360,
        "tool[0].end": 2400,
        "llm[1].request_sent": 2410,
        "llm[1].first_token": 2500,
    }
    found = durations(marks, kind="tool")
    assert (found["llm_queue"], found["tool_rounds"], found["llm_ttft"], found["sentence"]) == (10, 80, 90, 20)


def test_an_abandoned_call_before_the_winner_is_no_round_of_tools() -> None:
    found = durations({**SPOKEN, "llm[1].request_sent": 2490, "llm[1].first_token": 2500})
    assert "tool_rounds" not in found
    assert found["llm_queue"] == 170


def test_a_brain_without_an_llm_may_run_tools() -> None:
    marks = {name: at for name, at in SPOKEN.items() if not name.startswith("llm")}
    found = durations({**marks, "tool[0].start": 2320, "tool[0].end": 2400})
    assert (found["tool_rounds"], found["sentence"]) == (80, 120)


def test_a_search_is_retrievals_own_time_whatever_waited_for_it() -> None:
    found = durations({**SPOKEN, "retrieval.end": 2327})
    assert (found["commit"], found["retrieval"], found["llm_queue"]) == (20, 7, 3)
    without_llm = {name: at for name, at in SPOKEN.items() if not name.startswith("llm")}
    found = durations({**without_llm, "retrieval.end": 2350})
    assert (found["retrieval"], found["sentence"]) == (30, 170)


def test_a_search_that_nothing_spoken_waited_for_is_not_on_the_way() -> None:
    assert "retrieval" not in durations({**SPOKEN, "retrieval.end": 2500})


def test_the_winner_is_the_last_call_before_the_first_words() -> None:
    marks = {"llm[0].first_token": 1, "llm[1].first_token": 5, "llm[2].first_token": 9, "seg[0].text_ready": 6}
    assert winning_call(marks) == 1
    assert winning_call({"llm[0].request_sent": 1}) is None
