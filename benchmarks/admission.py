"""More callers than a server can serve: are they refused, and do those inside notice?

    python -m benchmarks.admission                   # finds the capacity first: minutes
    python -m benchmarks.admission --capacity 60

One server with the limits it ships with, and one that takes everybody, take turns on one core; clients and scripted
providers have the other. Each round: a few callers alone, then 1.5 times the capacity with and without limits. The
capacity is the most sessions that were all taken by the open server with a p95 within 20 % of that of a few.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Final

from benchmarks.load.figures import Visit, percentile
from benchmarks.load.run import Run
from benchmarks.stand import Stand, repartee, scripted
from tests.processes import GUARDED_DOOR

FEW: Final = 4
OFFERED: Final = 1.5
WITHIN: Final = 1.2
STEP: Final = 10
RAMP_PER_S: Final = 10


def offer(stand: Stand, sessions: int, seconds: float) -> Run:
    """Callers who come ten a second."""
    return stand.load(sessions=sessions, seconds=seconds, ramp_s=max(1.0, sessions / RAMP_PER_S))


def p95(run: Run) -> float:
    return run.summary.p95_ms if run.summary.p95_ms is not None else float("inf")


def capacity(stand: Stand, few: Run, seconds: float) -> int:
    """The most sessions, in steps of ten, whose p95 is within 20 % of that of a few."""
    found, sessions = FEW, STEP
    while p95(run := offer(stand, sessions, seconds)) <= WITHIN * p95(few) and not run.summary.failed:
        print(line(f"{sessions} callers", run, few), flush=True)
        found, sessions = sessions, sessions + STEP
    print(line(f"{sessions} callers: too many", run, few), flush=True)
    return found


def line(what: str, run: Run, few: Run) -> str:
    seen = run.summary
    text = f"{what:36s} held {seen.held:3d}  refused {seen.refused:3d}  failed {seen.failed:2d}  turns {seen.turns:4d}"
    if seen.p50_ms is not None:
        text += f"   p50 {seen.p50_ms:6.0f} ({seen.p50_ms / (few.summary.p50_ms or 1):4.2f})"
        text += f"   p95 {p95(run):6.0f} ({p95(run) / p95(few):4.2f})   worst {seen.worst_ms:6.0f}"
        text += f"   gap {seen.gap_ms:4.0f}   unanswered {seen.unanswered}"
    return text + (f"   VOID: {run.void}" if run.void else "")


def refusals(runs: list[Run]) -> str:
    refused: list[Visit] = [visit for run in runs for visit in run.visits if visit.outcome == "refused"]
    if not refused:
        return "nobody was refused"
    waits = [visit.waited_ms for visit in refused]
    asked_back = sorted({f"{visit.status} {visit.retry_after} s" for visit in refused})
    late = sum(ms > 100 for ms in waits)
    return (
        f"refused in ms: p50 {percentile(waits, 0.5):.1f}   p95 {percentile(waits, 0.95):.1f}   worst {max(waits):.1f}"
        f"   over 100 ms: {late} of {len(waits)}   {', '.join(asked_back)}"
    )


def rounds(guarded: Stand, unguarded: Stand, callers: int, count: int, seconds: float) -> Iterator[tuple[str, Run]]:
    for _ in range(count):
        yield "a few", offer(guarded, FEW, seconds)
        yield "with limits", offer(guarded, callers, seconds)
        yield "taking everybody", offer(unguarded, callers, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--capacity", type=int, help="sessions; found if it is not given")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=40, help="of each run, once all are there")
    parser.add_argument("--out", type=Path, help="every run, turn by turn, as JSON")
    options = parser.parse_args()
    with ExitStack() as started:
        base_url = started.enter_context(scripted())
        guarded = started.enter_context(repartee(base_url, settings=GUARDED_DOOR))
        unguarded = started.enter_context(repartee(base_url))
        few = offer(guarded, FEW, options.seconds)
        print(line("a few", few, few), flush=True)
        most = options.capacity or capacity(unguarded, few, options.seconds)
        callers = round(OFFERED * most)
        print(f"capacity {most}, offered {callers}; load of the machine {os.getloadavg()[0]:.1f}", flush=True)
        runs: dict[str, list[Run]] = {"a few": [few]}
        for name, run in rounds(guarded, unguarded, callers, options.rounds, options.seconds):
            runs.setdefault(name, []).append(run)
            print(line(name, run, runs["a few"][-1]), flush=True)
        print(refusals(runs["with limits"]))
    if options.out:
        options.out.write_text(json.dumps([asdict(run) for run in chain(*runs.values())]))


if __name__ == "__main__":
    main()
