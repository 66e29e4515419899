from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.spec import TurnDetection
from sessions.pipeline.patience import PATIENCE_MS, SHORTEST_MS, WORDS_MS, Pace, wait_ms

Eagerness = Literal["low", "medium", "high", "auto"]
EAGERNESS = st.sampled_from(["low", "medium", "high", "auto"])
PAUSES = st.lists(st.floats(0, 10_000), max_size=30)


def of_pauses(pauses: list[float]) -> Pace:
    pace = Pace()
    for ms in pauses:
        pace.paused(ms)
    return pace


def wait(
    judged: float | None,
    *,
    words: str | None = "all of it",
    more: bool = False,
    eagerness: Eagerness = "auto",
    pace: Pace | None = None,
) -> tuple[float, str]:
    detection = TurnDetection(type="semantic_vad", eagerness=eagerness)
    return wait_ms(detection, pace or Pace(), judged=judged, words=words, more_to_come=more)


@pytest.mark.parametrize(
    ("judged", "words", "more", "expected"),
    [
        (0.9, "What time is it?", False, (SHORTEST_MS, "model")),
        (0.9, None, False, (WORDS_MS, "model")),
        (0.9, "I would like to", True, (PATIENCE_MS["auto"], "words")),
        (0.05, "I would like a", True, (PATIENCE_MS["auto"], "words")),
        (0.05, "Well", False, (PATIENCE_MS["auto"], "maximum")),
        (None, "Well", False, (PATIENCE_MS["auto"], "maximum")),
        (0.3, "Well", False, (SHORTEST_MS + (PATIENCE_MS["auto"] - SHORTEST_MS) / 2, "maximum")),
    ],
)
def test_the_wait_and_its_reason(
    judged: float | None, words: str | None, more: bool, expected: tuple[float, str]
) -> None:
    ms, why = wait(judged, words=words, more=more)
    assert why == expected[1]
    assert ms == pytest.approx(expected[0])


@pytest.mark.parametrize("silence_ms", [0, 200, 500, 10_000])
def test_server_vad_waits_for_what_it_is_told_and_nothing_else(silence_ms: int) -> None:
    detection = TurnDetection(silence_duration_ms=silence_ms)
    found = wait_ms(detection, of_pauses([5_000] * 9), judged=0.9, words="and", more_to_come=True)
    assert found == (silence_ms, "silence")


@given(st.tuples(st.floats(0, 1), st.floats(0, 1)), st.none() | st.just("words"), st.booleans(), PAUSES, EAGERNESS)
def test_the_surer_the_model_the_shorter_the_wait(
    judged: tuple[float, float], words: str | None, more: bool, pauses: list[float], eagerness: Eagerness
) -> None:
    pace = of_pauses(pauses)
    unsure, sure = (wait(p, words=words, more=more, eagerness=eagerness, pace=pace)[0] for p in sorted(judged))
    assert sure <= unsure


@given(st.none() | st.floats(0, 1), st.none() | st.just("words"), st.booleans(), PAUSES, EAGERNESS)
def test_the_wait_has_bounds_whatever_is_heard(
    judged: float | None, words: str | None, more: bool, pauses: list[float], eagerness: Eagerness
) -> None:
    ms, _ = wait(judged, words=words, more=more, eagerness=eagerness, pace=of_pauses(pauses))
    assert SHORTEST_MS <= ms <= Pace.MOST * PATIENCE_MS[eagerness]


@pytest.mark.parametrize(
    ("pauses", "patience"),
    [
        ([], 1_000),
        ([800, 800, 800], 1_000),
        ([50] * 20, 1_000),
        ([800] * 4, 1_120),
        ([3_000] * 4, 1_500),
        ([150] * 4, 600),
        ([150, 150, 150, 150, 9_000], 600),
        ([1_000] * 12 + [150] * 12, 600),
    ],
)
def test_patience_follows_the_speaker_within_bounds(pauses: list[float], patience: float) -> None:
    assert of_pauses(pauses).patience(1_000) == pytest.approx(patience)
