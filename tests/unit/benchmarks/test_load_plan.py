"""Who speaks when, in a load run."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks.load.plan import ANSWER_S, FRAME_S, LEAD_IN_S, Plan


def plan(sessions: int = 10, *, processes: int = 1, seconds: float = 60.0) -> Plan:
    return Plan("ws://nowhere", sessions=sessions, seconds=seconds, processes=processes)


def test_processes_divide_the_clients() -> None:
    shares = [plan(processes=3).share(process) for process in range(3)]
    assert sorted(number for share in shares for number in share) == list(range(10))


def test_clients_divide_the_twenty_milliseconds() -> None:
    due = [plan().first_due(number, 100.0) % FRAME_S for number in range(10)]
    assert sorted(round(phase * 1000, 6) % 20 for phase in due) == pytest.approx([2.0 * n for n in range(10)], abs=1e-3)


def test_the_first_frame_is_sent_when_its_room_has_passed() -> None:
    for now in (100.0, 100.0199, 100.0201):
        for number in range(10):
            assert FRAME_S - 1e-9 <= plan().first_due(number, now) - now <= 2 * FRAME_S + 1e-9


def test_each_speaks_every_period_and_nobody_too_late_for_an_answer() -> None:
    of = plan()
    for number in range(10):
        moments = [frame * FRAME_S for frame in of.utterances(number, clips=3)]
        assert LEAD_IN_S <= moments[0] <= LEAD_IN_S + of.period_s
        assert moments[-1] < of.ramp_s - of.joins_at(number) + of.seconds - ANSWER_S
        gaps = [b - a for a, b in pairwise(moments)]
        assert gaps == pytest.approx([of.period_s] * len(gaps), abs=FRAME_S)


def test_utterances_are_spread_over_the_period() -> None:
    of = plan(sessions=12)
    first = sorted(min(of.utterances(number, clips=3)) * FRAME_S - LEAD_IN_S for number in range(12))
    assert [int(moment) for moment in first] == list(range(12))


def test_a_seed_says_the_same_again() -> None:
    assert plan().utterances(4, clips=3) == plan().utterances(4, clips=3)
