"""One client in this process that speaks when it is told to, and sends the room meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle

from benchmarks.load.connection import Connection, on_the_wire
from benchmarks.load.dialects import Dialect, Heard, Kind, dialect
from benchmarks.load.plan import FRAME_S, Plan


class Caller:
    """`heard` is everything the server said, and when (seconds of CLOCK_MONOTONIC)."""

    def __init__(self, connection: Connection, speaks: Dialect, room: Sequence[bytes]) -> None:
        self.heard: list[tuple[float, Heard]] = []
        self._connection, self._speaks = connection, speaks
        self._room = cycle([self._wire(frame) for frame in room])
        self._saying: deque[bytes] = deque()
        self._due = time.monotonic()
        self._news = asyncio.Event()
        self._silent = asyncio.Event()

    def say(self, clip: Sequence[bytes]) -> float:
        """Begin with the next frame; the moment, soon, at which its first sample is spoken."""
        self._saying.extend(self._wire(frame) for frame in clip)
        self._silent.clear()
        return self._due

    async def said(self) -> None:
        """Until everything has been said."""
        await self._silent.wait()

    def hear(self, at: float, heard: Heard) -> None:
        self.heard.append((at, heard))
        self._news.set()

    def since(self, moment: float, kind: Kind) -> list[float]:
        """When events of a kind came, from `moment` on."""
        return [at for at, heard in self.heard if at >= moment and heard.kind == kind]

    async def until(self, kind: Kind, since: float, *, within_s: float) -> float | None:
        """When the first event of a kind since then came, or None if none does in time."""
        try:
            async with asyncio.timeout(within_s):
                while not (found := self.since(since, kind)):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None
        return found[0]

    async def stream(self) -> None:
        """Send a frame whenever a microphone has filled one."""
        self._due = time.monotonic()
        while True:
            wire = self._saying.popleft() if self._saying else next(self._room)
            self._due += FRAME_S
            await asyncio.sleep(self._due - time.monotonic())
            self._connection.send(wire)
            if not self._saying:
                self._silent.set()

    def _wire(self, pcm: bytes) -> bytes:
        return on_the_wire(self._speaks.opcode, self._speaks.frame(pcm))


@asynccontextmanager
async def calling(plan: Plan, room: Sequence[bytes]) -> AsyncGenerator[Caller]:
    """A caller whose server listens to it."""
    speaks = dialect(plan)
    uri, headers = speaks.address(plan)
    opened, ended = asyncio.Event(), asyncio.Event()

    def heard(at: float, message: bytes) -> None:
        if (found := speaks.hear(message)) is not None:
            one.hear(at, found)

    connection = Connection(uri, headers, opened=opened.set, heard=heard, ended=lambda *_: ended.set())
    one = Caller(connection, speaks, room)
    await connection.open()
    async with asyncio.timeout(10):
        await opened.wait()
    if speaks.greets and await one.until("ready", 0.0, within_s=10) is None:
        raise ConnectionError(f"{plan.url} opened no session")
    async with asyncio.TaskGroup() as group:
        streaming = group.create_task(one.stream())
        yield one
        streaming.cancel()
        connection.close()
