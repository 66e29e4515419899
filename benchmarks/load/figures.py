"""What clients noted, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Literal

Outcome = Literal["held", "refused", "failed"]

LATE_P99_MS = 5.0
LATE_WORST_MS = 40.0


def percentile(values: Sequence[float], share: float) -> float:
    """By linear interpolation; one value is its own percentile."""
    if len(values) < 2:
        return values[0]
    return quantiles(values, n=1000, method="inclusive")[max(0, min(998, round(share * 1000) - 1))]


@dataclass(slots=True)
class Playout:
    """A loudspeaker that plays what comes at once, and goes on where it stopped: no jitter buffer.

    `worst_gap_ms` is the longest it was silent in the middle; `heard_ms` is what it got.
    """

    heard_ms: float = 0.0
    worst_gap_ms: float = 0.0
    _plays_until: float | None = None

    def take(self, at: float, ms: float) -> None:
        """`ms` of audio that came `at` seconds."""
        if self._plays_until is not None:
            self.worst_gap_ms = max(self.worst_gap_ms, (at - self._plays_until) * 1000)
        self._plays_until = max(at, self._plays_until or at) + ms / 1000
        self.heard_ms += ms


@dataclass(slots=True)
class Turn:
    """An utterance and what came back before the next; times in seconds of CLOCK_MONOTONIC.

    `said`: its last sample left. `counts`: all clients were there. `speech`, `silence`: the server noticed.
    `replies`, `ends`: those begun, and ends of speech decided, since its first sample.
    """

    said: float | None = None
    counts: bool = False
    speech: float | None = None
    silence: float | None = None
    first_audio: float | None = None
    replies: int = 0
    ends: int = 0
    heard_ms: float = 0.0
    worst_gap_ms: float = 0.0

    @property
    def cut(self) -> bool:
        """It was taken to be over before it was."""
        return self.replies > 1 or self.ends > 1

    @property
    def voice_to_voice_ms(self) -> float | None:
        if self.said is None or self.first_audio is None:
            return None
        return (self.first_audio - self.said) * 1000


@dataclass(slots=True)
class Visit:
    """One client. `waited_ms`: to the open connection, or to the refusal. `waiting_bytes`: not taken at the end."""

    session: int
    outcome: Outcome = "failed"
    waited_ms: float = 0.0
    status: int = 0
    retry_after: str = ""
    detail: str = ""
    turns: list[Turn] = field(default_factory=list)
    waiting_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Lateness:
    """By how many ms frames left after their moment: the load generator's own fault."""

    p50_ms: float
    p99_ms: float
    worst_ms: float

    @classmethod
    def of(cls, values_ms: Sequence[float]) -> Lateness:
        return cls(percentile(values_ms, 0.5), percentile(values_ms, 0.99), max(values_ms))

    def fault(self) -> str:
        """Why the run is void, or nothing."""
        if self.p99_ms > LATE_P99_MS:
            return f"the clients were late: p99 {self.p99_ms:.1f} ms"
        if self.worst_ms > LATE_WORST_MS:
            return f"a client was {self.worst_ms:.0f} ms late"
        return ""


@dataclass(frozen=True, slots=True)
class Summary:
    """Of the turns that count. `unanswered` were not answered before the next utterance; `gap_ms` is the worst."""

    held: int
    refused: int
    failed: int
    turns: int
    unanswered: int
    cut: int
    p50_ms: float | None
    p95_ms: float | None
    worst_ms: float | None
    gap_ms: float

    @property
    def jitter_ms(self) -> float | None:
        return None if self.p50_ms is None or self.p95_ms is None else self.p95_ms - self.p50_ms


def summarised(visits: Iterable[Visit]) -> Summary:
    visits = list(visits)
    turns = [turn for visit in visits for turn in visit.turns if turn.counts]
    waits = [wait for turn in turns if (wait := turn.voice_to_voice_ms) is not None]
    outcomes = [visit.outcome for visit in visits]
    return Summary(
        held=outcomes.count("held"),
        refused=outcomes.count("refused"),
        failed=outcomes.count("failed"),
        turns=len(turns),
        unanswered=len(turns) - len(waits),
        cut=sum(turn.cut for turn in turns),
        p50_ms=percentile(waits, 0.5) if waits else None,
        p95_ms=percentile(waits, 0.95) if waits else None,
        worst_ms=max(waits, default=None),
        gap_ms=max((turn.worst_gap_ms for turn in turns), default=0.0),
    )
