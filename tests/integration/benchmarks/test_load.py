"""The load generator against the bare relay: what must be so at any speed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.load.plan import Plan
from benchmarks.load.run import load
from tests.processes import ROOT, end, free_port

ANSWER_MS = 900


@pytest.fixture
def relay() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.relay", "--answer-ms", str(ANSWER_MS)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().decode().strip()
    finally:
        end(process)


def test_every_utterance_is_answered_once_and_whole(relay: str) -> None:
    run = load(Plan(relay, sessions=3, seconds=12.0, dialect="relay", ramp_s=0.5, period_s=4.0, processes=2))
    assert (run.summary.held, run.summary.unanswered, run.summary.cut) == (3, 0, 0)
    turns = [turn for visit in run.visits for turn in visit.turns]
    assert len(turns) >= 3
    assert {turn.heard_ms for turn in turns} == {ANSWER_MS}
    assert all(turn.first_audio and turn.said and turn.first_audio > turn.said for turn in turns)
    assert [visit.session for visit in run.visits] == [0, 1, 2]


def test_where_nothing_listens_every_client_fails_and_says_why() -> None:
    run = load(Plan(f"ws://127.0.0.1:{free_port()}", sessions=2, seconds=1.0, dialect="relay", ramp_s=0.1))
    assert (run.summary.held, run.summary.failed) == (0, 2)
    assert "no client ever spoke" in run.void
    assert all("refused" in visit.detail.lower() for visit in run.visits)
