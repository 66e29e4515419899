"""An HTTP answer whose every piece has its moment, and which notices at once when the client leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from benchmarks.providers.log import PIECES, Entry
from benchmarks.providers.script import Script

DRIP_BYTES = 7
DRIP_AUDIO_BYTES = 661
DRIP_S = 0.001


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of the body, due `at_ms` after the request's last byte."""

    at_ms: float
    data: bytes


class Timed(Response):
    """Sends `pieces` on schedule, with the script's fault among them."""

    def __init__(
        self,
        pieces: Iterable[Piece],
        entry: Entry,
        script: Script,
        *,
        media_type: str,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.status_code = status
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)
        self._pieces = pieces
        self._entry = entry
        self._script = script
        entry.status = status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(self._write(send))
            watching = tasks.create_task(self._watch(receive, writing))
            writing.add_done_callback(lambda _: watching.cancel())

    async def _watch(self, receive: Receive, writing: asyncio.Task[None]) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if self._entry.last_byte is None:
            self._entry.disconnected = time.monotonic()
        writing.cancel()

    async def _write(self, send: Send) -> None:
        begun = False
        async for data in self._on_time():
            if not begun:
                begun = True
                self._entry.first_byte = time.monotonic()
                await self._begin(send)
            self._entry.sent_bytes += len(data)
            if len(self._entry.pieces) < PIECES:
                self._entry.pieces.append(time.monotonic())
            await send({"type": "http.response.body", "body": data, "more_body": True})
        if not begun:
            await self._begin(send)
        if self._script.fault == "disconnect":
            return  # uvicorn closes the connection of an answer left unfinished
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        self._entry.last_byte = time.monotonic()

    async def _begin(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _on_time(self) -> AsyncIterator[bytes]:
        start = self._entry.body or self._entry.received
        for number, piece in enumerate(self._pieces):
            if number == self._script.fault_after:
                match self._script.fault:
                    case "stall":
                        await asyncio.get_running_loop().create_future()
                    case "garbage":
                        yield b'data: {"choices": [{"delta"\n\n'
                    case "disconnect":
                        return
            await until(start + piece.at_ms / 1000)
            if self._script.fault == "drip":
                step = DRIP_BYTES if len(piece.data) < 1000 else DRIP_AUDIO_BYTES
                for at in range(0, len(piece.data), step):
                    yield piece.data[at : at + step]
                    await asyncio.sleep(DRIP_S)
            else:
                yield piece.data


async def until(moment: float) -> None:
    """Timers may fire a little early; this does not return early."""
    while (left := moment - time.monotonic()) > 0:  # noqa: ASYNC110 - it waits for a time, not an event
        await asyncio.sleep(left)
