"""Connections to an agent's providers, opened while nobody waits for them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine

from telemetry import counters, names


class Warmth:
    """`renew` is called when a turn is coming: as a session begins, as its user begins to speak, or goes on.

    Whoever speaks does so for longer than a connection takes, so nothing polls, and what a server or an
    interruption has closed is there again in time.
    """

    def __init__(self, prepare: Callable[[], Coroutine[None, None, Counter[str]]] | None) -> None:
        self._prepare = prepare
        self._task: asyncio.Task[None] | None = None

    def renew(self, group: asyncio.TaskGroup) -> None:
        """Open in `group` what is missing, unless that is being done."""
        if self._prepare is not None and (self._task is None or self._task.done()):
            self._task = group.create_task(_counted(self._prepare()), name="prepare")


async def _counted(preparing: Coroutine[None, None, Counter[str]]) -> None:
    for outcome, count in (await preparing).items():
        counters.count(names.PROVIDER_CONNECTIONS, count, outcome=outcome)
