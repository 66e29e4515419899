"""The arithmetic of a load run, on times made up here."""

from __future__ import annotations

import pytest

from benchmarks.load.figures import Lateness, Playout, Turn, Visit, percentile, summarised


def answered(after_s: float, *, counts: bool = True, replies: int = 1, gap_ms: float = 0.0) -> Turn:
    return Turn(said=10.0, counts=counts, first_audio=10.0 + after_s, replies=replies, worst_gap_ms=gap_ms)


def test_percentiles_lie_between_values() -> None:
    assert percentile([7.0], 0.95) == 7.0
    assert percentile([0.0, 10.0], 0.5) == 5.0
    assert percentile([float(n) for n in range(101)], 0.95) == pytest.approx(95.0)


def test_audio_ahead_of_the_ear_leaves_no_gap() -> None:
    playout = Playout()
    for at, ms in ((1.0, 300.0), (1.01, 100.0), (1.35, 100.0)):
        playout.take(at, ms)
    assert playout.worst_gap_ms == 0.0
    assert playout.heard_ms == 500.0


def test_a_gap_is_the_silence_between_what_was_played_and_what_came() -> None:
    playout = Playout()
    playout.take(1.0, 100.0)
    playout.take(1.16, 100.0)
    assert playout.worst_gap_ms == pytest.approx(60.0)


def test_after_a_gap_playing_goes_on_late_so_the_next_piece_is_not_late_again() -> None:
    playout = Playout()
    playout.take(1.0, 100.0)
    playout.take(1.5, 100.0)
    playout.take(1.6, 100.0)
    assert playout.worst_gap_ms == pytest.approx(400.0)


def test_a_run_is_void_when_its_own_clients_were_late() -> None:
    assert Lateness(0.5, 2.0, 30.0).fault() == ""
    assert "p99 6.0 ms" in Lateness(0.5, 6.0, 30.0).fault()
    assert "50 ms late" in Lateness(0.5, 2.0, 50.0).fault()


def test_a_summary_has_every_turn_that_counts_in_one_place() -> None:
    visits = [
        Visit(0, "held", turns=[answered(0.8), answered(0.6), answered(9.0, counts=False)]),
        Visit(1, "held", turns=[Turn(said=10.0, counts=True), answered(0.7, replies=2, gap_ms=80.0)]),
        Visit(2, "refused"),
        Visit(3, "failed"),
    ]
    seen = summarised(visits)
    assert (seen.held, seen.refused, seen.failed) == (2, 1, 1)
    assert (seen.turns, seen.unanswered, seen.cut) == (4, 1, 1)
    assert seen.p50_ms == pytest.approx(700.0)
    assert seen.worst_ms == pytest.approx(800.0)
    assert seen.jitter_ms == pytest.approx(90.0)
    assert seen.gap_ms == 80.0


def test_without_an_answer_there_is_no_latency_rather_than_zero() -> None:
    seen = summarised([Visit(0, "held", turns=[Turn(said=1.0, counts=True)])])
    assert (seen.unanswered, seen.p50_ms, seen.jitter_ms) == (1, None, None)
