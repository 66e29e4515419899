"""The arithmetic of the table: strangers, accounts of a turn, the climb to capacity, slopes and cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.load.figures import Summary, Turn
from benchmarks.table.account import accounted
from benchmarks.table.density import held, largest
from benchmarks.table.memory import slope_mb
from benchmarks.table.rows import Row, Spread, compared, markdown, times
from benchmarks.table.watch import Process, Watch, parsed, strangers

TREE = {
    1: Process(0, "init", 1.0),
    2: Process(0, "kthreadd", 0.0),
    20: Process(2, "ksoftirqd/0", 9.0),
    100: Process(1, "the table", 5.0),
    101: Process(100, "a server", 5.0),
    102: Process(101, "its worker", 5.0),
    200: Process(1, "a stranger", 2.0),
}


def test_strangers_are_neither_ours_nor_the_kernels() -> None:
    later = {pid: Process(one.parent, one.name, one.cpu_s + 0.5) for pid, one in TREE.items()}
    assert strangers(TREE, later, us=100) == {"init": 0.5, "a stranger": 0.5}


def test_a_stranger_that_has_just_come_counts_from_its_start() -> None:
    later = TREE | {300: Process(1, "new", 0.3)}
    assert strangers(TREE, later, us=100)["new"] == 0.3


def test_a_process_may_be_called_anything() -> None:
    line = "7 (a ) b) S 3 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 100 0 0"
    assert parsed(line) == Process(parent=3, name="a ) b", cpu_s=3.0)


def test_a_run_is_void_by_five_seconds_of_a_tenth_not_by_a_blink() -> None:
    blink = Watch([0.0, 0.0, 0.4, 0.0, 0.0, 0.0], ["shell"] * 6)
    assert blink.fault() == ""
    busy = Watch([0.0, 0.1, 0.1, 0.2, 0.1, 0.1], ["x", "x", "x", "a compiler", "x", "x"])
    assert busy.fault() == "others took 12% of a core (a compiler)"


def entry(path: str, **times_s: Any) -> dict[str, Any]:
    return {"path": f"/v1/{path}", **times_s}


LOG = [
    entry("audio/transcriptions", received=8.0, last_byte=8.1),
    entry("audio/transcriptions", received=10.05, last_byte=10.15),
    entry("chat/completions", received=10.245, pieces=[10.44, 10.45, 10.47, 10.49]),
    entry("audio/speech", received=10.493, first_byte=10.593, asked={"input": "one two three"}),
]


def test_a_turns_time_is_accounted_for_to_the_millisecond() -> None:
    account = accounted(Turn(said=10.0, silence=10.24, first_audio=10.6), LOG, silence_ms=200)
    assert account is not None
    assert account.detection == pytest.approx(40.0)
    assert account.hear_think == pytest.approx(5.0)
    assert account.think_speak == pytest.approx(3.0)
    assert account.speak_client == pytest.approx(7.0)
    assert account.all_else == pytest.approx(15.0)


def test_a_server_that_does_not_say_when_it_decided_did_when_it_asked_for_the_words() -> None:
    account = accounted(Turn(said=9.8, first_audio=10.6), LOG, silence_ms=200)
    assert account is not None
    assert account.detection == pytest.approx(50.0)
    assert account.hear_think == pytest.approx(95.0)


def test_the_words_are_those_that_were_answered_not_asked_for_in_vain() -> None:
    log = [entry("audio/transcriptions", received=10.01, last_byte=None), *LOG]
    assert accounted(Turn(said=10.0, silence=10.24, first_audio=10.6), log, silence_ms=200) == accounted(
        Turn(said=10.0, silence=10.24, first_audio=10.6), LOG, silence_ms=200
    )


def test_there_is_no_account_of_a_turn_without_an_answer() -> None:
    assert accounted(Turn(said=10.0), LOG, silence_ms=200) is None
    assert accounted(Turn(said=20.0, first_audio=21.0), LOG, silence_ms=200) is None


@pytest.mark.parametrize("capacity", [0, 3, 4, 5, 9, 31, 60, 199, 200, 1000])
def test_the_climb_finds_the_capacity_within_five_percent_and_never_more(capacity: int) -> None:
    asked: list[int] = []

    def holds(sessions: int) -> bool:
        asked.append(sessions)
        return sessions <= capacity

    found = largest(holds, first=4, most=200)
    best = min(capacity, 200) if capacity >= 4 else 0
    assert best - max(1, 0.05 * best) <= found <= best
    assert len(asked) == len(set(asked)) <= 12


SEEN = Summary(
    held=8, refused=0, failed=0, turns=24, unanswered=0, cut=0, p50_ms=840, p95_ms=900, worst_ms=950, gap_ms=20
)


@pytest.mark.parametrize(
    "worse", [{"p95_ms": 950.1}, {"gap_ms": 60.1}, {"unanswered": 1}, {"refused": 1}, {"failed": 1}, {"p95_ms": None}]
)
def test_sessions_hold_only_if_all_of_them_are_well(worse: dict[str, Any]) -> None:
    assert held(SEEN, alone_p95_ms=850)
    assert not held(replace(SEEN, **worse), alone_p95_ms=850)


def test_a_slope_is_per_session() -> None:
    assert slope_mb((10, 300.0), (50, 420.0)) == 3.0


def test_cells_have_p50_p95_and_their_distance() -> None:
    spread = Spread.of([float(n) for n in range(100, 201)])
    assert str(spread) == "150 / 195 ms, jitter 45, worst 200, n 101"
    row = compared("f", Spread.of([400.0]), Spread.of([1000.0]), reach="≤ 1")
    assert row.ratio == "2.50 ×"
    assert compared("f", None, None).cells == ("f", "–", "–", "–", "–", "–")
    assert times(60, 8) == "7.5 ×"
    assert markdown([Row("f", "a")]).splitlines()[2] == "| f | a | – | – | – | – |"
