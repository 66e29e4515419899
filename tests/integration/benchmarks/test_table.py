"""Each part of the table at its smallest: that it runs, and what must be so at any speed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.stand import Stand, relay, repartee, scripted
from benchmarks.table import admission, barge_in, density, latency, memory
from benchmarks.table.bench import Bench, Sizes

TINY = Sizes(rounds=1, seconds=19.0, crowd_seconds=17.0, talk_seconds=9.0, memory_sessions=(1, 2), most_sessions=2)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, TINY, attempts=1, keep_void=True, peer=False)


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with scripted(barge_in.REPLY, transcript=barge_in.WORDS) as url:
        yield url


@pytest.fixture(scope="module")
def stand(base_url: str) -> Iterator[Stand]:
    agents = (*latency.AGENTS, *barge_in.AGENTS)
    with repartee(base_url, agents) as running:
        yield running


def test_a_case_of_latency_has_its_turns_and_their_accounts(bench: Bench, base_url: str, stand: Stand) -> None:
    case = latency.Case(stand, "ten")
    latency.take_turn(bench, case, base_url)
    assert len(case.first) == 1
    assert len(case.waits) == len(case.accounts) >= 1
    for account, wait in zip(case.accounts, case.waits, strict=True):
        assert account.think_speak > 0
        assert account.speak_client > 0
        assert account.all_else < wait
    raw = [json.loads(line) for line in (bench.folder / "latency.jsonl").read_text().splitlines()]
    assert [(run["name"], run["plan"]["agent"]) for run in raw] == [("Repartee", "ten")]


def test_who_is_spoken_over_falls_silent_and_says_no_more(base_url: str, stand: Stand) -> None:
    side = barge_in.Side("server-vad", replace(stand.plan, extensions=True, agent="server-vad"))
    heat = side.interrupted(count=3, seed=1)
    assert heat.stopped() == len(heat.overs) == 3
    assert heat.stale() == 0
    for over in heat.overs:
        assert over.hold_ms is not None
        assert over.clear_ms is not None
        assert 0 < over.hold_ms <= over.clear_ms


def test_the_climb_ends_at_the_most_it_may_try(bench: Bench) -> None:
    with relay(answer_ms=500) as floor:
        climb = density.Climb(bench, floor)
        climb.alone_p95_ms = 10_000.0
        assert density.largest(climb.holds, first=1, most=TINY.most_sessions) in (1, 2)
    assert climb.at[1].held == 1


def test_everybody_who_came_is_in_the_cell_on_admission(bench: Bench, stand: Stand) -> None:
    few, many = (bench.load("admission", stand, sessions=n, seconds=9.0, ramp_s=1.0, agent="ten") for n in (1, 3))
    assert admission.told(few, many).startswith("3 came: 3 held, 0 refused, 0 failed")


def test_memory_is_read_with_all_sessions_there(bench: Bench) -> None:
    memory.slope(bench, relay)
    found = [json.loads(line) for line in (bench.folder / "memory.jsonl").read_text().splitlines()]
    assert [(run["sessions"], run["held"]) for run in found] == [(1, 1), (2, 2)]
    assert all(run["rss_mb"][-2] > 1 for run in found)
