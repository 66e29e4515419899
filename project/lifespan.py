"""The process's life: what opens before the first connection and drains after the last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from project.jobs import run_periodic_jobs
from sessions import host

Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]


class Lifespan:
    """ASGI lifespan. Servers that send none (daphne) let the session host open at its first connection."""

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        async with host.lifespan(), asyncio.TaskGroup() as tasks:
            periodic = tasks.create_task(run_periodic_jobs())
            await send({"type": "lifespan.startup.complete"})
            await receive()  # lifespan.shutdown
            periodic.cancel()
        await send({"type": "lifespan.shutdown.complete"})
