from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from agents.providers.local.pool import Pool
from sessions.errors import ServerFull
from sessions.headroom import AUDIO_LATENESS, LOOP_BUSY, LOOP_LAG, MODEL_WAIT, Headroom, refuse
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.pacing import Pacer


@asynccontextmanager
async def watched(**bounds: float) -> AsyncIterator[tuple[Headroom, Pool]]:
    """A process's headroom, watched on this very loop; only the limits given are set."""
    none = dict.fromkeys((LOOP_LAG, LOOP_BUSY, AUDIO_LATENESS, MODEL_WAIT), 0.0)
    pool = Pool(queue=8)
    headroom = Headroom(Bounds(**{**none, **bounds}), pool)  # type: ignore[arg-type]  # floats all
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(headroom.watch())
            yield headroom, pool
            watching.cancel()
    finally:
        pool.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait, and let the loop rest meanwhile."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is watched sets no events
            await asyncio.sleep(0.02)


def work(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1_000))


async def keep_busy(headroom: Headroom, step_s: float) -> None:
    """Hold the loop for `step_s` seconds at a time until the door closes."""
    async with asyncio.timeout(20):
        while headroom.door.open:
            work(step_s)
            await asyncio.sleep(0)


@pytest.mark.parametrize("measure", [LOOP_LAG, LOOP_BUSY])
async def test_a_loop_that_has_too_much_to_do(measure: str) -> None:
    limit = {LOOP_LAG: 10.0, LOOP_BUSY: 0.2}[measure]
    async with watched(**{measure: limit}) as (headroom, _):
        await asyncio.sleep(0.2)
        assert headroom.door.refusal() is None
        await keep_busy(headroom, step_s=0.03)
        assert headroom.door.refusal() == measure
        await until(lambda: headroom.door.open)


async def test_jobs_that_wait_for_a_model() -> None:
    async with watched(**{MODEL_WAIT: 100.0}) as (headroom, pool):
        go = threading.Event()
        jobs = [pool.stt.submit(go.wait, 20) for _ in range(2)]
        await until(lambda: headroom.door.refusal() == MODEL_WAIT)
        go.set()
        await asyncio.gather(*jobs)
        await until(lambda: headroom.door.open)


async def test_audio_that_leaves_late() -> None:
    """A client's audio was due; the loop was busy with something else."""
    async with watched(**{AUDIO_LATENESS: 20.0}) as (headroom, _):
        pacer = Pacer(0, time.monotonic)

        async def speak() -> None:
            while headroom.door.open:
                await pacer.release(20)

        async with asyncio.TaskGroup() as group:
            group.create_task(speak())
            await keep_busy(headroom, step_s=0.08)
        assert headroom.door.refusal() == AUDIO_LATENESS


async def test_those_refused_do_not_come_back_together() -> None:
    def asked_back() -> int:
        with pytest.raises(ServerFull) as refused:
            refuse(LOOP_LAG)
        return refused.value.retry_after_s

    assert len({asked_back() for _ in range(50)}) > 2


async def test_while_models_are_loaded_only_arrivals_count() -> None:
    async with watched(**{LOOP_LAG: 1.0}, arrivals_at_once=2, arrivals_per_s=50.0) as (headroom, _):
        headroom.loading = True
        headroom.door.admit()
        headroom.door.admit()
        assert headroom.door.refusal() == "arrivals"
        for _ in range(5):
            time.sleep(0.1)  # noqa: ASYNC251 - what a model does to the loop
            await asyncio.sleep(0.06)
        assert headroom.door.refusal() is None
        headroom.loading = False
        await keep_busy(headroom, step_s=0.03)
