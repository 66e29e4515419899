"""Counts and levels of this process, with fixed names, for /metrics to show.

Names and the one attribute each may carry are in `telemetry.names`; an unknown name is a bug and raises
KeyError. Past `MAX_SERIES` values of an attribute the rest count as "other".
"""

from __future__ import annotations

import threading
from typing import Final

from telemetry.names import COUNTERS, GAUGES

MAX_SERIES: Final = 64
Series = tuple[str, str]

_lock = threading.Lock()
_values: dict[Series, float] = {}


def count(name: str, amount: float = 1, **attribute: str) -> None:
    """Add to a counter: count("queue.dropped", pipe="audio_in")."""
    with _lock:
        series = _series(name, COUNTERS[name], attribute)
        _values[series] = _values.get(series, 0) + amount


def gauge(name: str, value: float, **attribute: str) -> None:
    """Set a level: gauge("queue.depth", 3, pipe="speech")."""
    with _lock:
        _values[_series(name, GAUGES[name], attribute)] = value


def value(name: str, attribute: str = "") -> float:
    """One value; 0 before anything was counted."""
    return _values.get((name, attribute), 0)


def snapshot() -> dict[Series, float]:
    """Every value so far, by (name, value of its attribute or "")."""
    with _lock:
        return dict(_values)


def _series(name: str, key: str | None, attribute: dict[str, str]) -> Series:
    if set(attribute) != ({key} if key else set()):
        raise KeyError(f"{name} takes {key or 'no attribute'}, not {sorted(attribute)}")
    series = (name, attribute[key] if key else "")
    if series not in _values and sum(held == name for held, _ in _values) >= MAX_SERIES:
        return (name, "other")
    return series
