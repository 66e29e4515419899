"""What a session has put off: messages to itself, at a later time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

M = TypeVar("M")


class Timers(Generic[M]):
    """Posts messages later, unless the session has ended by then."""

    def __init__(self, post: Callable[[M], None]) -> None:
        self._post = post
        self._running: list[tuple[float, asyncio.TimerHandle]] = []

    def later(self, seconds: float, message: M) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(seconds, self._post, message)
        # uvloop's handle of a timer without delay does not know when it is due
        self._running = [(at, other) for at, other in self._running if at > loop.time()]
        self._running.append((loop.time() + seconds, timer))
        return timer

    def cancel(self) -> None:
        for _, timer in self._running:
            timer.cancel()
