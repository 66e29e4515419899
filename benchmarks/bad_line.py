"""A bad line: TCP that delivers everything late, unevenly, and now and then nothing at all for half a second.

    async with BadLine(server_port, Weather(seed=1)) as port: ...     # on a loop
    with bad_line(server_port, Weather(seed=1)) as port: ...          # on a thread of its own

What enters at a moment comes out 150 ± 80 ms later, each way, so a round trip takes 300 ms in the mean. Order is
kept, as TCP keeps it: what is late holds up what is behind it. The seed and the moment alone decide, whatever is sent.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal, Self

Way = Literal["up", "down"]
SLOT_S = 0.02
CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Weather:
    """`delay_ms` ± `jitter_ms` each way, drawn anew every 20 ms; for `stall_ms` nothing comes out either way.

    Between two stalls lies a time drawn from `calm_s`, in seconds. With `stall_ms=0` there are none.
    """

    seed: int = 1
    delay_ms: float = 150.0
    jitter_ms: float = 80.0
    stall_ms: float = 500.0
    calm_s: tuple[float, float] = (4.0, 8.0)

    def out_at(self, way: Way, at: float) -> float:
        """When what enters `at` seconds after the start comes out, if nothing before it is later."""
        uneven = random.Random(f"{self.seed} {way} {int(at / SLOT_S)}").uniform(-1, 1)
        out = at + (self.delay_ms + uneven * self.jitter_ms) / 1000
        for began, ended in self.stalls():
            if began > out:
                break
            if out < ended:
                return ended
        return out

    def round_trip_s(self, at: float) -> float:
        """What takes a question, entering at `at` in the midst of others, that is answered at once and so too."""
        return self._behind_others("down", self._behind_others("up", at)) - at

    def _behind_others(self, way: Way, at: float) -> float:
        longest = (self.delay_ms + self.jitter_ms + self.stall_ms) / 1000
        return max(self.out_at(way, at - n * SLOT_S) for n in range(int(min(at, longest) / SLOT_S) + 1))

    def stalls(self) -> Iterator[tuple[float, float]]:
        """When each begins and ends."""
        draw, at = random.Random(f"{self.seed} stalls"), 0.0
        while self.stall_ms:
            at += draw.uniform(*self.calm_s)
            yield at, at + self.stall_ms / 1000
            at += self.stall_ms / 1000


GOOD = Weather(delay_ms=0, jitter_ms=0, stall_ms=0)


class BadLine:
    """Carries connections to `target_port` on this machine; the clock of its weather starts when it opens."""

    def __init__(self, target_port: int, weather: Weather) -> None:
        self.weather, self.began = weather, 0.0
        self._target = target_port

    async def __aenter__(self) -> int:
        self.began = time.monotonic()
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        with suppress(asyncio.CancelledError):  # which asyncio's streams would log as an error when the line closes
            async with asyncio.TaskGroup() as group:
                self._deliver("up", reader, far_writer, group)
                self._deliver("down", far_reader, writer, group)

    def _deliver(
        self, way: Way, source: asyncio.StreamReader, sink: asyncio.StreamWriter, group: asyncio.TaskGroup
    ) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        group.create_task(self._enter(way, source, under_way))
        group.create_task(self._leave(under_way, sink))

    async def _enter(
        self, way: Way, source: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        data = b"-"
        while data:
            try:
                data = await source.read(CHUNK)
            except ConnectionError:
                data = b""
            under_way.put_nowait((self.weather.out_at(way, time.monotonic() - self.began), data))

    async def _leave(self, under_way: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter) -> None:
        while True:
            out, data = await under_way.get()
            await asyncio.sleep(self.began + out - time.monotonic())
            if not data:
                break
            sink.write(data)
        sink.close()


class _Thread(threading.Thread):
    def __init__(self, line: BadLine) -> None:
        super().__init__(daemon=True)
        self.port = 0
        self._line = line
        self._ready = threading.Event()

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        async with self._line as self.port:
            self._ready.set()
            await self._closing.wait()

    def __enter__(self) -> Self:
        self.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self.join(10)


@contextmanager
def bad_line(target_port: int, weather: Weather) -> Iterator[int]:
    """The port of a bad line to `target_port`."""
    with _Thread(BadLine(target_port, weather)) as line:
        yield line.port
