"""How latencies spread, from the exact values: percentiles are never averaged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """`jitter` is p95 - p50, in the unit of the values."""

    count: int
    p50: int
    p95: int
    p99: int

    @property
    def jitter(self) -> int:
        return self.p95 - self.p50


def spread(values: Iterable[int]) -> Spread | None:
    """The spread of `values`, or None when there are none."""
    ordered = sorted(values)
    if not ordered:
        return None
    return Spread(len(ordered), *(percentile(ordered, share) for share in (50, 95, 99)))


def percentile(ordered: Sequence[int], percent: int) -> int:
    """The nearest-rank percentile of ascending values: one that was really measured."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(rank, 1) - 1]
