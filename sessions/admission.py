"""Whether a new session may come in: a policy with no clock and no I/O.

What a process measures of itself is held against limits, as shares of them: 1.0 is full, whatever the unit. A door
that has closed opens again well below that. A session costs nothing until its user speaks, so measures lag behind
arrivals; those are counted too, and the fuller it is inside, the fewer may come at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

SMOOTHING_S = 1.0
"""Measures are averaged over about this long: one long step of a model is no overload."""
MOST = 4.0
"""No single look counts for more than this share, so that a long stall is forgotten in two seconds."""
REOPEN_AT = 0.7
ARRIVALS = "arrivals"


class Door:
    """`limits` by the name of what is measured; 0 is no limit. `used` has the smoothed share of each.

    `at_once` sessions may come in together, and then `per_s` a second, less by the share that is used; with 0 of
    either as many as like.
    """

    def __init__(self, limits: Mapping[str, float], *, at_once: int, per_s: float) -> None:
        self.used = {name: 0.0 for name, limit in limits.items() if limit}
        self.open = True
        self._limits = limits
        self._at_once, self._per_s = at_once if per_s else 0, per_s
        self._arrivals = float(at_once)
        self._because = ARRIVALS

    @property
    def fullest(self) -> str | None:
        """What leaves the least room; None if there are no limits."""
        return max(self.used, key=self.used.__getitem__, default=None)

    def observe(self, measured: Mapping[str, float], elapsed_s: float) -> None:
        """What was measured over the last `elapsed_s` seconds, each in the unit of its limit."""
        weight = 1 - math.exp(-elapsed_s / SMOOTHING_S)
        for name, used in self.used.items():
            self.used[name] = used + (min(measured[name] / self._limits[name], MOST) - used) * weight
        share = max(self.used.values(), default=0.0)
        if share >= 1.0:
            self.open, self._because, self._arrivals = False, str(self.fullest), 0.0
        elif share < REOPEN_AT:
            self.open = True
        if self.open:
            self._arrivals = min(self._at_once, self._arrivals + elapsed_s * self._per_s * (1 - share))

    def refusal(self) -> str | None:
        """Why nobody may come in just now: the name of what is measured, or `ARRIVALS`; None if one more may."""
        if not self.open:
            return self._because
        return ARRIVALS if self._at_once and self._arrivals < 1 else None

    def admit(self) -> None:
        """Count one who came in."""
        self._arrivals = max(0.0, self._arrivals - 1)
