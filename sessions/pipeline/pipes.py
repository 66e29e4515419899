"""Stages as async generators, bounded queues between them, one task group around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class _End:
    pass


_END = _End()


class Pipe(Generic[T]):
    """A bounded queue with an end. A full pipe makes `put` wait: that is the back-pressure."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self._queue: asyncio.Queue[T | _End] = asyncio.Queue(size)

    def __len__(self) -> int:
        return self._queue.qsize()

    async def put(self, item: T) -> None:
        await self._queue.put(item)

    async def close(self) -> None:
        """No more items; whoever reads sees the end after those already in."""
        await self._queue.put(_END)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if isinstance(item := await self._queue.get(), _End):
            self._queue.put_nowait(item)  # there is room: it was just taken out
            raise StopAsyncIteration
        return item


async def pump(stage: AsyncGenerator[T, None], pipe: Pipe[T]) -> None:
    """Run `stage` into `pipe`. The pipe ends only when the stage ended cleanly."""
    async with aclosing(stage):
        async for item in stage:
            await pipe.put(item)
    await pipe.close()


class Pipeline:
    """A task group of stages, each feeding the next through a pipe.

    The body consumes the last stage. Leaving the body ends all stages; a stage that fails cancels the
    body and the others, and its error leaves in the group's ExceptionGroup.
    """

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(kind, error, trace)

    def stage(self, name: str, stage: AsyncGenerator[T, None], size: int) -> AsyncIterator[T]:
        """Start `stage` and return what comes out of it, at most `size` items ahead of its reader."""
        pipe: Pipe[T] = Pipe(name, size)
        self._tasks.append(self._group.create_task(pump(stage, pipe), name=name))
        return pipe
