from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator

import pytest

from agents.errors import Overloaded, ProviderError, ProviderTimeout
from agents.providers.local.pool import NICER, Lane, Pool
from tests.fakes.waiting import until


class Job:
    """Work that lasts until it is released."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.release = threading.Event()
        self.ran = 0

    def __call__(self) -> str:
        self.ran += 1
        self.started.set()
        assert self.release.wait(10)
        return "done"


async def started(job: Job) -> None:
    assert await asyncio.to_thread(job.started.wait, 10)


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane("test", threads=1, queue=1)
    yield lane
    lane.close()


@pytest.fixture
def job() -> Iterator[Job]:
    job = Job()
    yield job
    job.release.set()


async def test_it_returns_the_result_and_passes_errors_on(lane: Lane) -> None:
    assert await lane.run(divmod, 7, 2, timeout_s=10) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await lane.run(divmod, 7, 0, timeout_s=10)
    assert lane.idle


async def test_one_job_more_than_threads_and_queue_hold_is_refused(lane: Lane, job: Job) -> None:
    first = lane.submit(job)
    await started(job)
    second = lane.submit(job)
    assert (lane.busy, lane.waiting) == (1, 1)
    with pytest.raises(Overloaded) as refusal:
        lane.submit(job)
    assert isinstance(refusal.value, ProviderError)
    job.release.set()
    assert [await first, await second] == ["done", "done"]


async def test_a_waiting_job_that_is_given_up_never_runs_and_frees_its_place(lane: Lane, job: Job) -> None:
    first = lane.submit(job)
    await started(job)
    given_up = Job()
    lane.submit(given_up).cancel()
    await asyncio.sleep(0)
    assert lane.waiting == 0
    last = lane.submit(job)
    job.release.set()
    assert [await first, await last] == ["done", "done"]
    assert given_up.ran == 0
    assert lane.dropped == 0


async def test_a_running_job_that_is_given_up_stays_busy_until_it_ends(lane: Lane, job: Job) -> None:
    result = lane.submit(job)
    await started(job)
    result.cancel()
    await asyncio.sleep(0)
    assert lane.busy == 1
    assert lane.dropped == 1
    job.release.set()
    await until(lambda: lane.idle)


async def test_a_slow_job_is_a_provider_timeout(lane: Lane, job: Job) -> None:
    with pytest.raises(ProviderTimeout, match="test model did not answer"):
        await lane.run(job, timeout_s=0.01)
    assert lane.busy + lane.waiting <= 1


async def test_a_closed_lane_takes_nothing_more(lane: Lane) -> None:
    lane.close()
    with pytest.raises(ProviderError, match="shutting down"):
        lane.submit(divmod, 1, 1)


async def test_a_long_transcription_does_not_hold_up_the_judgement_of_a_pause(job: Job) -> None:
    pool = Pool(queue=4)
    transcript = pool.stt.submit(job)
    await started(job)
    assert await pool.end_of_turn.run(divmod, 7, 2, timeout_s=10) == (3, 1)
    assert {stats.name: stats.busy for stats in pool.stats()}["stt"] == 1
    job.release.set()
    await transcript
    pool.close()


async def test_how_long_the_next_job_has_waited(lane: Lane, job: Job) -> None:
    working = lane.submit(job)
    await started(job)
    assert lane.oldest_s == 0.0
    waiting = lane.submit(job)
    await until(lambda: lane.oldest_s >= 0.05)
    waiting.cancel()
    await until(lambda: lane.oldest_s == 0.0)
    job.release.set()
    assert await working == "done"


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no niceness of its own")
async def test_a_model_gives_way_to_the_event_loop_where_both_want_a_core(lane: Lane) -> None:
    assert await lane.run(niceness, timeout_s=10) == min(19, niceness() + NICER)
