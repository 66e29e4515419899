"""When audio may leave: in step with the ear, a little ahead of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from agents.interfaces import Speech
from telemetry import counters, names

CLOCK_GRAIN_MS = 0.1
"""Shorter waits than this are not worth a turn of the event loop."""


class Pacer:
    """Lets audio go so that the listener always has about `lead_ms` in hand, and never much more.

    `play_end` is the moment at which all that was released will have been played, if the client plays
    from the first delta on. What is unplayed at any moment follows from it, and so does what was heard.
    Audio is due when its time in the schedule has come and it is there; `lateness_ms` is the latest that
    any left after that. Gaps because it was not there in time are `underrun_ms`.
    """

    def __init__(self, lead_ms: float, clock: Callable[[], float]) -> None:
        self.lead_ms = lead_ms
        self.released_ms = 0.0
        self.underrun_ms = 0.0
        self.lateness_ms = 0.0
        self.play_end: float | None = None
        self._clock = clock
        self._open = asyncio.Event()
        self._open.set()

    @property
    def held(self) -> bool:
        return not self._open.is_set()

    def hold(self) -> None:
        """Release nothing more until `resume`; what is with the client plays on."""
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

    def unplayed_ms(self) -> float:
        """Released but, by this estimate, not heard yet."""
        if self.play_end is None:
            return 0.0
        return min(max(0.0, (self.play_end - self._clock()) * 1000), self.released_ms)

    def heard_ms(self) -> float:
        return self.released_ms - self.unplayed_ms()

    async def release(self, ms: float) -> None:
        """Wait until `ms` of audio may go, and count them as gone."""
        due = self._clock()
        while True:
            if self.held:
                await self._open.wait()
                due = self._clock()
            ahead_ms = 0.0 if self.play_end is None else (self.play_end - self._clock()) * 1000 - self.lead_ms
            if ahead_ms <= CLOCK_GRAIN_MS:
                break
            due = self._clock() + ahead_ms / 1000
            await asyncio.sleep(ahead_ms / 1000)
        now = self._clock()
        late_ms = (now - due) * 1000
        self.lateness_ms = max(self.lateness_ms, late_ms)
        counters.count(names.AUDIO_DELTAS)
        counters.count(names.AUDIO_LATENESS, late_ms)
        if self.play_end is None:
            self.play_end = now
        elif now > self.play_end:
            self.underrun_ms += (now - self.play_end) * 1000
            self.play_end = now
        self.play_end += ms / 1000
        self.released_ms += ms


async def recut(speech: AsyncGenerator[Speech, None], *, first_ms: float, ms: float) -> AsyncGenerator[Speech, None]:
    """The same speech in pieces of at most `ms`, the very first at most `first_ms`. Nothing is held back."""
    limit = first_ms
    async with aclosing(speech):
        async for piece in speech:
            rest = piece.audio
            while rest.samples:
                step = max(1, round(limit * rest.rate / 1000))
                yield Speech(rest.slice(0, step), piece.segment_id, piece.text_offset if rest is piece.audio else None)
                rest, limit = rest.slice(step), ms
