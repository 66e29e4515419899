"""Spread a plan over processes, and put together what they saw."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks.load.dialects import dialect
from benchmarks.load.driver import Driven
from benchmarks.load.figures import Lateness, Summary, Visit, summarised
from benchmarks.load.material import material
from benchmarks.load.plan import Plan
from tests.processes import ROOT

START_S = 2.0
"""What a fresh process needs before its first client may come."""


@dataclass(frozen=True, slots=True)
class Run:
    """`void` says why the figures stand for nothing, or is empty. `cpu` is the busiest process's share of a core."""

    plan: Plan
    summary: Summary
    lateness: Lateness | None
    cpu: float
    void: str
    visits: list[Visit]

    def told(self) -> str:
        """In a line."""
        seen = self.summary
        latency = "no answer" if seen.p50_ms is None else f"{seen.p50_ms:.0f} / {seen.p95_ms:.0f} ms"
        return (
            f"{self.plan.sessions} sessions: {latency}; {seen.turns} turns, {seen.unanswered} unanswered, "
            f"{seen.cut} cut, {seen.refused} refused; gap {seen.gap_ms:.0f} ms"
        )


def load(plan: Plan) -> Run:
    """Blocks until the run is over: a moment for the processes to start, the ramp, and the seconds asked for."""
    clips = material(dialect(plan).rate, pause_ms=plan.pause_ms)
    began = time.monotonic() + START_S
    processes = [_started() for _ in range(plan.processes)]
    try:
        for number, process in enumerate(processes):
            assert process.stdin is not None
            pickle.dump((plan, number, clips, began), process.stdin)
            process.stdin.close()
        return _together(plan, [_answer(process) for process in processes])
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _started() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.load.process"]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _answer(process: subprocess.Popen[bytes]) -> Driven:
    assert process.stdout is not None
    with process.stdout as pipe:
        driven: Driven = pickle.load(pipe)  # noqa: S301 - from a process of ours
    return driven


def _together(plan: Plan, parts: list[Driven]) -> Run:
    visits = sorted((visit for part in parts for visit in part.visits), key=lambda visit: visit.session)
    late_ms = [late for part in parts for late in part.late_ms]
    lateness = Lateness.of(late_ms) if late_ms else None
    return Run(
        plan=plan,
        summary=summarised(visits),
        lateness=lateness,
        cpu=max(part.cpu for part in parts),
        void=lateness.fault() if lateness else "no client ever spoke",
        visits=visits,
    )
