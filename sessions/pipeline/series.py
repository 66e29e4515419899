"""Running figures of the numbers in a key's events: cheap to keep, worked out when they are asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from agents.spec import SeriesSpec

BYTES_A_NUMBER = 32
"""What a number that is kept takes: the float, and its place in a deque."""


class Series:
    """One figure. It is there from the first number on; "previous" once it can look `span` events back."""

    __slots__ = ("_alpha", "_ewma", "_kept", "_kind", "_path", "name")

    def __init__(self, spec: SeriesSpec) -> None:
        self.name = spec.name
        self._kind = spec.kind
        self._path = spec.of.split(".")
        self._alpha = 2 / (spec.span + 1)
        self._ewma: float | None = None
        self._kept: deque[float] = deque(maxlen=spec.span + 1 if spec.kind == "previous" else spec.span)

    def push(self, data: Mapping[str, Any]) -> None:
        """Take the number from an event's data; an event without it, or with one no float can hold, changes nothing."""
        number = _number(data, self._path)
        if number is None:
            return
        if self._kind != "ewma":
            self._kept.append(number)
        elif self._ewma is None:
            self._ewma = number
        else:
            self._ewma += self._alpha * (number - self._ewma)

    def value(self) -> float | None:
        kept = self._kept
        match self._kind:
            case "ewma":
                return self._ewma
            case "previous":
                return kept[0] if len(kept) == kept.maxlen else None
            case _ if not kept:
                return None
            case "mean":
                return sum(kept) / len(kept)
            case "min":
                return min(kept)
            case "max":
                return max(kept)


def reserved_bytes(specs: Sequence[SeriesSpec]) -> int:
    """What the series of one key take once they are full."""
    return sum(BYTES_A_NUMBER * (1 if spec.kind == "ewma" else spec.span + 1) for spec in specs)


def _number(data: Any, path: Sequence[str]) -> float | None:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    if not isinstance(data, int | float) or isinstance(data, bool):
        return None
    try:
        return float(data)
    except OverflowError:
        return None
