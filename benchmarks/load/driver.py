"""A process of clients: one loop sends every frame that is due, and notes how late it was."""

from __future__ import annotations

import asyncio
import gc
import heapq
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvloop

from benchmarks.load.dialects import dialect
from benchmarks.load.figures import Visit
from benchmarks.load.material import Material
from benchmarks.load.plan import Plan
from benchmarks.load.session import Session, Wires

LONGEST_NAP_S = 0.005
"""A client that joins meanwhile is not late by more."""
SHORTEST_NAP_S = 0.001
"""The grain of the event loop's timers."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What one process did. `late_ms` has a value a frame; `cpu` is its share of one core."""

    visits: list[Visit]
    late_ms: list[float]
    cpu: float


def drive(plan: Plan, process: int, clips: Material, began: float) -> Driven:
    """Run this process's share of the plan, whose clock starts at `began` (CLOCK_MONOTONIC)."""
    if plan.core is not None:
        os.sched_setaffinity(0, {plan.core})
    return uvloop.run(_drive(plan, process, clips, began))


async def _drive(plan: Plan, process: int, clips: Material, began: float) -> Driven:
    speaks = dialect(plan)
    made = Wires(speaks, clips)
    sessions = [Session(plan, number, speaks, made, began) for number in plan.share(process)]
    gc.collect()
    gc.freeze()
    gc.disable()  # a collection would make every client late at once; a run is short
    await asyncio.sleep(began - time.monotonic())
    used = time.process_time()
    async with _joining(plan, sessions, began):
        late_ms = await _send_until(began + plan.ramp_s + plan.seconds, sessions)
    cpu = (time.process_time() - used) / (plan.ramp_s + plan.seconds)
    for session in sessions:
        session.close()
    return Driven([session.visit for session in sessions], late_ms, cpu)


@asynccontextmanager
async def _joining(plan: Plan, sessions: list[Session], began: float) -> AsyncGenerator[None]:
    async def join(session: Session) -> None:
        await asyncio.sleep(began + plan.joins_at(session.visit.session) - time.monotonic())
        await session.open()

    async with asyncio.TaskGroup() as group:
        joining = [group.create_task(join(session)) for session in sessions]
        yield
        for task in joining:
            task.cancel()


async def _send_until(end: float, sessions: list[Session]) -> list[float]:
    """Send what is due until `end`; by how many ms each frame was late."""
    late_ms: list[float] = []
    waiting = set(sessions)
    line: list[tuple[float, int, Session]] = []
    while (now := time.monotonic()) < end:
        for session in [one for one in waiting if one.due is not None]:
            waiting.remove(session)
            heapq.heappush(line, (session.due or now, session.visit.session, session))
        while line and line[0][0] <= now:
            due, number, session = heapq.heappop(line)
            if session.due is None:  # it was closed
                continue
            session.tick()
            now = time.monotonic()
            late_ms.append((now - due) * 1000)
            heapq.heappush(line, (session.due, number, session))
        next_due = line[0][0] if line else end
        await asyncio.sleep(min(max(next_due - now, SHORTEST_NAP_S), LONGEST_NAP_S))
    return late_ms
