"""How far this process is behind, and whether it takes new sessions: `Headroom` measures, and the `Door` decides."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Final, NoReturn

from agents.providers.local.pool import Pool
from sessions.admission import ARRIVALS, Door
from sessions.errors import ServerFull
from sessions.pipeline.bounds import Bounds
from telemetry import counters, names

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.05
COME_BACK_S = (4, 8)
"""Seconds after which those refused may try again, spread so that they do not come back together."""

LOOP_LAG: Final = "loop_lag_ms"
LOOP_BUSY: Final = "loop_busy"
AUDIO_LATENESS: Final = "audio_lateness_ms"
MODEL_WAIT: Final = "model_wait_ms"
MEASURES: Final = (LOOP_LAG, LOOP_BUSY, AUDIO_LATENESS, MODEL_WAIT)
"""What is measured, each by the name of its limit in `Bounds`."""


class Headroom:
    """Measured by `watch`, on the event loop that it is about. `door` says whether a session may come in.

    While `loading` only arrivals count: models hold the loop up as they are loaded, which says nothing of the callers.
    """

    def __init__(self, bounds: Bounds, pool: Pool, *, clock: Callable[[], float] = time.monotonic) -> None:
        limits = {name: float(getattr(bounds, name)) for name in MEASURES}
        self.door = Door(limits, at_once=bounds.arrivals_at_once, per_s=bounds.arrivals_per_s)
        self.loading = False
        self._pool = pool
        self._clock = clock
        self._audio = (0.0, 0.0)
        self._busy_s = 0.0

    def require_open(self) -> None:
        """`ServerFull` if the process is behind. How many have just come in does not matter to small requests."""
        reason = self.door.refusal()
        if reason is not None and reason != ARRIVALS:
            refuse(reason)

    async def watch(self) -> None:
        """Measure until cancelled. How late each look is says how long anything waits for the loop."""
        last = self._clock()
        self._busy_s, self._audio = time.thread_time(), _audio_sent()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = self._clock()
            self.look(now - last)
            last = now

    def look(self, elapsed_s: float) -> None:
        """Take in what happened in the last `elapsed_s` seconds."""
        was_open = self.door.open
        self.door.observe(self._measured(elapsed_s), elapsed_s)
        for name, share in self.door.used.items():
            counters.gauge(names.HEADROOM_USED, round(share, 3), of=name)
        counters.gauge(names.HEADROOM_OPEN, float(self.door.open))
        if was_open != self.door.open:
            about = {"used": {name: round(share, 2) for name, share in self.door.used.items()}}
            log.warning("new sessions are refused" if was_open else "new sessions are taken again", extra=about)

    def _measured(self, elapsed_s: float) -> dict[str, float]:
        busy_s, audio = time.thread_time(), _audio_sent()
        deltas, late_ms = audio[0] - self._audio[0], audio[1] - self._audio[1]
        found = {
            LOOP_LAG: max(0.0, elapsed_s - LOOK_EVERY_S) * 1000,
            LOOP_BUSY: (busy_s - self._busy_s) / elapsed_s,
            AUDIO_LATENESS: late_ms / deltas if deltas else 0.0,
            MODEL_WAIT: max(lane.oldest_s for lane in self._pool.lanes) * 1000,
        }
        self._busy_s, self._audio = busy_s, audio
        return dict.fromkeys(found, 0.0) if self.loading else found


def refuse(reason: str) -> NoReturn:
    """Count a session that finds no room, and raise `ServerFull`."""
    counters.count(names.OVERLOADED, what=reason)
    raise ServerFull(1 if reason == ARRIVALS else random.randint(*COME_BACK_S))  # noqa: S311 - no secret


def _audio_sent() -> tuple[float, float]:
    """Audio deltas so far, and by how many ms in all they were late."""
    return counters.value(names.AUDIO_DELTAS), counters.value(names.AUDIO_LATENESS)
