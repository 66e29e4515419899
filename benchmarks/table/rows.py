"""A figure of ours beside the peer's and the floor's, and how it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.load.figures import percentile

HEAD = ("figure", "Repartee", "Pipecat", "ratio", "floor", "to reach")


@dataclass(frozen=True, slots=True)
class Spread:
    """Of `n` values in `unit`."""

    p50: float
    p95: float
    worst: float
    n: int
    unit: str = "ms"

    @classmethod
    def of(cls, values: Sequence[float], unit: str = "ms") -> Spread | None:
        if not values:
            return None
        return cls(percentile(values, 0.5), percentile(values, 0.95), max(values), len(values), unit)

    @property
    def jitter(self) -> float:
        return self.p95 - self.p50

    def __str__(self) -> str:
        digits = 0 if self.p50 >= 100 else 1
        return (
            f"{self.p50:.{digits}f} / {self.p95:.{digits}f} {self.unit}, "
            f"jitter {self.jitter:.{digits}f}, worst {self.worst:.{digits}f}, n {self.n}"
        )


@dataclass(frozen=True, slots=True)
class Row:
    """`ratio` says how many times ours is better, where both have one number that says so."""

    figure: str
    ours: str
    peer: str = "–"
    ratio: str = "–"
    floor: str = "–"
    reach: str = "–"

    @property
    def cells(self) -> tuple[str, ...]:
        return (self.figure, self.ours, self.peer, self.ratio, self.floor, self.reach)


def compared(
    figure: str, ours: Spread | None, peer: Spread | None = None, *, floor: Spread | None = None, reach: str = "–"
) -> Row:
    """A row of latencies: the ratio is that of the medians."""
    ratio = f"{peer.p50 / ours.p50:.2f} ×" if ours and peer and ours.p50 > 0 else "–"
    return Row(figure, _text(ours), _text(peer), ratio, _text(floor), reach)


def times(better: float, worse: float) -> str:
    return f"{better / worse:.1f} ×" if worse > 0 else "–"


def markdown(rows: Sequence[Row]) -> str:
    lines = [HEAD, tuple("---" for _ in HEAD), *(row.cells for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _text(spread: Spread | None) -> str:
    return "–" if spread is None else str(spread)
