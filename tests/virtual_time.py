"""An event loop whose time passes only when everybody sleeps.

A conversation of a minute runs in milliseconds and comes out the same each time. Nothing that really
waits (sockets, threads) belongs on this loop.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class _Jump(selectors.SelectSelector):
    """Instead of waiting for a time-out, lets that time have passed."""

    jumped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("Everybody waits and no timer is set: a deadlock.")
        self.jumped += max(0.0, timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._jump.jumped


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on virtual time starting at 0. No task may outlive it."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_alone(main))


async def _alone(main: Coroutine[Any, Any, T]) -> T:
    result = await main
    left: Mapping[str, object] = {
        task.get_name(): task.get_coro() for task in asyncio.all_tasks() if task is not asyncio.current_task()
    }
    if left:
        raise AssertionError(f"Tasks were left running: {left}")
    return result
