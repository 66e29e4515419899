"""`task.delay()` without a broker: one thread, in order, and a bounded queue in front of it."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from typing import Any, TypeAlias

from celery import current_app
from celery.contrib.django.task import DjangoTask
from celery.result import AsyncResult
from celery.utils import uuid
from django.conf import settings
from django.db import connections

from agents.errors import Overloaded

log = logging.getLogger(__name__)

MOST_WAITING = 1_000

Job: TypeAlias = tuple[Any, tuple[Any, ...], dict[str, Any], str]


class JobThread:
    """Runs jobs one after another. A full queue raises Overloaded; what waits is lost when the process ends."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Job] = queue.Queue(MOST_WAITING)
        self._started = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        job_id = uuid()
        try:
            self._waiting.put_nowait((task, args, kwargs, job_id))
        except queue.Full as error:
            raise Overloaded("Too many background jobs are waiting.") from error
        self._start()
        return job_id

    def join(self) -> None:
        """Wait until every job that was submitted has run."""
        self._waiting.join()

    def _start(self) -> None:
        with self._started:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="background-jobs", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            task, args, kwargs, job_id = self._waiting.get()
            try:
                task.apply(args, kwargs, task_id=job_id)  # catches and logs what the task raises
            finally:
                connections.close_all()
                self._waiting.task_done()


local_jobs = JobThread()


class BackgroundTask(DjangoTask[..., Any]):
    """A Celery task that needs no broker to be called. Of Celery's options only a broker's worker knows."""

    def apply_async(
        self, args: tuple[Any, ...] | None = None, kwargs: dict[str, Any] | None = None, *given: Any, **options: Any
    ) -> AsyncResult[Any]:
        if settings.REDIS_URL or self.app.conf.task_always_eager:
            return super().apply_async(args, kwargs, *given, **options)
        return AsyncResult(local_jobs.submit(self, args or (), kwargs or {}), app=self.app)


async def _repeat(task: Any, every_s: float, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            task.delay(*args, **kwargs)
        except Overloaded:
            log.warning("periodic job skipped", extra={"job": task.name})


async def run_periodic_jobs() -> None:
    """CELERY_BEAT_SCHEDULE, run by this process where no broker, and so no `celery beat`, is there to do it.

    A schedule is a number of seconds. Runs until it is cancelled.
    """
    if settings.REDIS_URL:
        return
    current_app.loader.import_default_modules()
    async with asyncio.TaskGroup() as timers:
        for entry in settings.CELERY_BEAT_SCHEDULE.values():
            args, kwargs = tuple(entry.get("args", ())), dict(entry.get("kwargs", {}))
            timers.create_task(_repeat(current_app.tasks[entry["task"]], float(entry["schedule"]), args, kwargs))
