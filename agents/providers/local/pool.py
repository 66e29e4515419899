"""Threads for inference: bounded lanes, so that a short job never queues behind a long one.

A thread cannot be cancelled. A caller that leaves takes its job out of the queue; if the job already
runs, its result is dropped, and its slot counts as busy until the thread has finished.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

from agents.errors import Overloaded, ProviderError, ProviderTimeout

NICER = 10
"""Levels of niceness by which a model's thread is below the event loop's: that is to have a core the moment it asks."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class LaneFull(ProviderError, Overloaded):
    """Too many requests wait for this model. A fallback may serve; else the caller comes back later."""


class Lane:
    """`threads` workers behind a queue of at most `queue` jobs; one more raises LaneFull.

    `waiting`, `busy` and `dropped` (results nobody wanted any more, since the start) may be read at any time.
    """

    def __init__(self, name: str, *, threads: int, queue: int) -> None:
        self.name = name
        self.waiting = 0
        self.busy = 0
        self.dropped = 0
        self._queue = queue
        self._threads = threads
        self._lock = threading.Lock()
        self._closed = False
        self._tickets = itertools.count()
        self._since: dict[int, float] = {}
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"repartee-{name}", initializer=_give_way)

    @property
    def idle(self) -> bool:
        return self.waiting + self.busy == 0

    @property
    def oldest_s(self) -> float:
        """Seconds that the job has waited which is next; 0 when none waits."""
        with self._lock:
            return time.monotonic() - next(iter(self._since.values())) if self._since else 0.0

    def submit(self, fn: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Queue `fn(*args)`. Cancelling the future gives the job up."""
        with self._lock:
            if self._closed:
                raise ProviderError("The models are shutting down.", provider=self.name)
            if self.busy + self.waiting >= self._threads + self._queue:
                raise LaneFull(provider=self.name)
            self.waiting += 1
            ticket = next(self._tickets)
            self._since[ticket] = time.monotonic()
        job = self._executor.submit(self._work, ticket, functools.partial(fn, *args))
        job.add_done_callback(functools.partial(self._left_the_queue, ticket))
        result = asyncio.wrap_future(job)
        result.add_done_callback(lambda future: self._given_up(job) if future.cancelled() else None)
        return result

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts, timeout_s: float) -> T:
        """The result of `fn(*args)`; ProviderTimeout after `timeout_s` seconds of queueing and work."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self.submit(fn, *args)
        except TimeoutError as error:
            message = f"The {self.name} model did not answer within {timeout_s:g} s."
            raise ProviderTimeout(message, provider=self.name) from error

    def close(self) -> None:
        """Drop what waits and take nothing more. Threads at work finish their one job."""
        with self._lock:
            self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _work(self, ticket: int, call: Callable[[], T]) -> T:
        with self._lock:
            del self._since[ticket]
            self.waiting -= 1
            self.busy += 1
        try:
            return call()
        finally:
            with self._lock:
                self.busy -= 1

    def _left_the_queue(self, ticket: int, job: ThreadFuture[T]) -> None:
        if job.cancelled():
            with self._lock:
                del self._since[ticket]
                self.waiting -= 1

    def _given_up(self, job: ThreadFuture[T]) -> None:
        if not job.cancelled():
            with self._lock:
                self.dropped += 1


def _give_way() -> None:
    """Let the event loop go first on a core that both want. Only Linux knows the niceness of a thread."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + NICER))


@dataclass(frozen=True, slots=True)
class LaneStats:
    name: str
    waiting: int
    busy: int
    dropped: int


class Pool:
    """The lanes of one process: judging a pause, transcribing, speaking, thinking.

    One takes much longer than another, so each kind has its own thread and the operating system shares the cores
    among them. The VAD has none: it runs on the event loop, in less time than the way to a thread and back takes.
    """

    def __init__(self, queue: int) -> None:
        self.end_of_turn = Lane("end_of_turn", threads=1, queue=queue)
        self.stt = Lane("stt", threads=1, queue=queue)
        self.tts = Lane("tts", threads=1, queue=queue)
        self.llm = Lane("llm", threads=1, queue=queue)

    @property
    def lanes(self) -> tuple[Lane, ...]:
        return (self.end_of_turn, self.stt, self.tts, self.llm)

    def stats(self) -> list[LaneStats]:
        return [LaneStats(lane.name, lane.waiting, lane.busy, lane.dropped) for lane in self.lanes]

    def close(self) -> None:
        for lane in self.lanes:
            lane.close()
