"""The most sessions that one core holds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from benchmarks.load.figures import Summary
from benchmarks.stand import SILENCE_MS, Agent, Stand, pipecat, relay, repartee, scripted
from benchmarks.table.bench import Bench
from benchmarks.table.rows import Row, times
from benchmarks.table.usage import using

SLOWER_MS: Final = 100.0
GAP_MS: Final = 60.0
PERIOD_S: Final = 10.0
FIRST: Final = 30
PEERS_FIRST: Final = 4
"""Sessions that a climb begins with."""
ALONE: Final = 3
"""Times as long as a run of one session is elsewhere."""
AGENTS: Final = (
    Agent("bench"),
    Agent("semantic", detection=f"{{type: semantic_vad, silence_duration_ms: {SILENCE_MS}}}"),
)


def largest(holds: Callable[[int], bool], *, first: int, most: int, grain: float = 0.05) -> int:
    """The largest number that held, at most `most`; 0 if not even `first` did.

    It doubles until one does not hold, and then halves what lies between down to `grain` of it.
    """
    good, bad = 0, first
    while bad <= most and holds(bad):
        good, bad = bad, min(2 * bad, most) if bad < most else most + 1
    while good and bad - good > max(1, grain * good):
        middle = (good + bad) // 2
        good, bad = (middle, bad) if holds(middle) else (good, middle)
    return good


def held(seen: Summary, alone_p95_ms: float) -> bool:
    """All were let in and answered, nearly as soon as one alone, and without a hole to be heard."""
    return (
        seen.refused + seen.failed + seen.unanswered == 0
        and seen.p95_ms is not None
        and seen.p95_ms <= alone_p95_ms + SLOWER_MS
        and seen.gap_ms <= GAP_MS
    )


@dataclass(slots=True)
class Climb:
    """Loads one server with more and more sessions; `at` has the summary of the last run with each number."""

    bench: Bench
    stand: Stand
    part: str = "density"
    agent: str = ""
    alone_p95_ms: float = 0.0
    at: dict[int, Summary] = field(default_factory=dict)

    def alone(self) -> None:
        """What one session sees, in turns enough for a p95."""
        seen = self._run(1, seconds=ALONE * self.bench.sizes.seconds, period_s=5.5, warm_turns=1)
        self.alone_p95_ms = seen.p95_ms or 0.0

    def holds(self, sessions: int) -> bool:
        """Twice, if at first it did not: the machine may have hiccuped."""
        return any(self._held_once(sessions) for _ in range(2))

    def _held_once(self, sessions: int) -> bool:
        seconds = self.bench.sizes.crowd_seconds
        return held(
            self._run(sessions, seconds=seconds, ramp_s=2.0 + sessions / 10, period_s=PERIOD_S), self.alone_p95_ms
        )

    def _run(self, sessions: int, **values: float) -> Summary:
        changes: dict[str, object] = {**values, **({"agent": self.agent} if self.agent else {})}
        with using(self.stand.pid) as used:
            run = self.bench.load(self.part, self.stand, sessions=sessions, **changes)
        self.bench.say(f"  the server's core: {used.busiest():.0%}")
        self.at[sessions] = run.summary
        return run.summary

    def climb(self, first: int) -> int:
        self.alone()
        found = largest(self.holds, first=first, most=self.bench.sizes.most_sessions)
        self.bench.say(f"density: {self.stand.name} {self.agent} holds {found}")
        return found

    def at_most(self, sessions: int) -> str:
        seen = self.at.get(sessions)
        return f"p95 {seen.p95_ms:.0f} ms, gap {seen.gap_ms:.0f} ms" if seen and seen.p95_ms else "none held"


def measure(bench: Bench) -> list[Row]:
    """The servers come one after the other: each climb is long, and each run in it is judged for itself."""
    with ExitStack() as up:
        base_url = up.enter_context(scripted())
        peer = Climb(bench, up.enter_context(pipecat(base_url))) if bench.peer else None
        theirs = peer.climb(first=PEERS_FIRST) if peer else 0
        stand = up.enter_context(repartee(base_url, AGENTS))
        ours = Climb(bench, stand, agent="bench")
        mine = ours.climb(first=FIRST)
        semantic = Climb(bench, stand, agent="semantic")
        with_model = semantic.climb(first=FIRST)
        floor = Climb(bench, up.enter_context(relay(answer_ms=2_500)), part="floor")
        floor.holds(max(mine, with_model, theirs, 1))
    bench.capacity.update({"Repartee": mine, "Pipecat": theirs})
    figure = "sessions a core, p95 within 100 ms of one session's, no gap over 60 ms"
    at = max(floor.at)
    return [
        Row(
            name,
            f"{most} ({climb.at_most(most)})",
            f"{theirs} ({peer.at_most(theirs)})" if peer else "–",
            times(most, theirs),
            f"at {at}: {floor.at_most(at)}",
            "≥ 60",
        )
        for name, climb, most in ((figure, ours, mine), (f"{figure}, with the end-of-turn model", semantic, with_model))
    ]
