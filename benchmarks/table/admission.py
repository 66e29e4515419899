"""One and a half times the capacity offered: are those inside kept from harm, and how soon are the others told?"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from benchmarks.load.figures import percentile
from benchmarks.load.run import Run
from benchmarks.stand import Stand, pipecat, repartee, scripted
from benchmarks.table.bench import Bench
from benchmarks.table.rows import Row
from tests.processes import GUARDED_DOOR

FEW: Final = 4
OFFERED: Final = 1.5
RAMP_PER_S: Final = 10
ASSUMED: Final = {"Repartee": 60, "Pipecat": 10}
"""Sessions, where the density part did not measure them in the same command."""


def measure(bench: Bench) -> list[Row]:
    with ExitStack() as up:
        base_url = up.enter_context(scripted())
        ours = _offered(bench, up.enter_context(repartee(base_url, settings=GUARDED_DOOR)))
        peer = _offered(bench, up.enter_context(pipecat(base_url))) if bench.peer else "–"
    return [
        Row(
            "1.5 × the capacity offered",
            ours,
            peer,
            reach="admitted within 20 % of their latency, the rest refused within 100 ms",
        )
    ]


def _offered(bench: Bench, stand: Stand) -> str:
    most = bench.capacity.get(stand.name) or ASSUMED[stand.name]
    few = _run(bench, stand, FEW)
    return told(few, _run(bench, stand, round(OFFERED * most)))


def _run(bench: Bench, stand: Stand, sessions: int) -> Run:
    ramp_s = max(1.0, sessions / RAMP_PER_S)
    return bench.load("admission", stand, sessions=sessions, seconds=bench.sizes.crowd_seconds, ramp_s=ramp_s)


def told(few: Run, many: Run) -> str:
    """What became of the many, in a cell."""
    seen = many.summary
    text = f"{many.plan.sessions} came: {seen.held} held, {seen.refused} refused, {seen.failed} failed"
    if seen.p50_ms and seen.p95_ms and few.summary.p50_ms and few.summary.p95_ms:
        text += (
            f"; p50 {seen.p50_ms:.0f} ms ({seen.p50_ms / few.summary.p50_ms:.2f} × that of {few.plan.sessions}), "
            f"p95 {seen.p95_ms:.0f} ms ({seen.p95_ms / few.summary.p95_ms:.2f} ×), {seen.unanswered} unanswered"
        )
    waits = [visit.waited_ms for visit in many.visits if visit.outcome == "refused"]
    if waits:
        text += f"; refused in p50 {percentile(waits, 0.5):.1f}, worst {max(waits):.0f} ms"
    return text
