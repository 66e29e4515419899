from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery import shared_task

from agents.errors import Overloaded
from project import jobs
from project.jobs import JobThread, run_periodic_jobs
from tests.virtual_time import run


class Recorder:
    """What a job needs of a Celery task."""

    name = "recorder"

    def __init__(self, work: Callable[..., None] = lambda *_: None) -> None:
        self.ran: list[tuple[Any, ...]] = []
        self.threads: set[str] = set()
        self._work = work

    def apply(self, args: tuple[Any, ...], kwargs: dict[str, Any], task_id: str) -> SimpleNamespace:
        self._work(*args)
        self.ran.append(args)
        self.threads.add(threading.current_thread().name)
        return SimpleNamespace(id=task_id)


def test_jobs_run_in_order_in_one_thread_that_is_not_ours() -> None:
    task, thread = Recorder(), JobThread()
    for number in range(20):
        thread.submit(task, (number,), {})
    thread.join()
    assert task.ran == [(number,) for number in range(20)]
    assert task.threads == {"background-jobs"}


def test_a_full_queue_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MOST_WAITING", 2)
    started, release = threading.Event(), threading.Event()

    def work(*_: object) -> None:
        started.set()
        release.wait(5)

    task, thread = Recorder(work), JobThread()
    thread.submit(task, (1,), {})
    assert started.wait(5)
    thread.submit(task, (2,), {})
    thread.submit(task, (3,), {})
    with pytest.raises(Overloaded):
        thread.submit(task, (4,), {})
    release.set()
    thread.join()
    assert task.ran == [(1,), (2,), (3,)]


ticks: list[tuple[str, float]] = []


@shared_task
def tick(name: str) -> None:
    ticks.append((name, asyncio.get_running_loop().time()))


def test_the_schedule_is_kept_without_a_broker(settings: Any) -> None:
    settings.CELERY_BEAT_SCHEDULE = {
        "often": {"task": tick.name, "schedule": 20.0, "args": ("often",)},
        "seldom": {"task": tick.name, "schedule": 30.0, "kwargs": {"name": "seldom"}},
    }
    ticks.clear()

    async def for_a_minute() -> None:
        async with asyncio.TaskGroup() as tasks:
            periodic = tasks.create_task(run_periodic_jobs())
            await asyncio.sleep(61)
            periodic.cancel()

    run(for_a_minute())
    assert sorted(ticks) == [("often", 20.0), ("often", 40.0), ("often", 60.0), ("seldom", 30.0), ("seldom", 60.0)]


def test_with_a_broker_the_schedule_is_left_to_celery_beat(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:6379/0"
    run(run_periodic_jobs())
