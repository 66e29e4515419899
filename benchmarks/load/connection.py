"""A WebSocket client that costs little: frames made beforehand go straight to the transport."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


def on_the_wire(opcode: Opcode, message: bytes) -> bytes:
    """A whole masked frame. Sent many times over, its mask stays the same: nothing here needs protection."""
    return Frame(opcode, message).serialize(mask=True)


class Connection(asyncio.Protocol):
    """Tells `heard` of each message and when it came, and `ended` once: with an HTTP status if it was refused."""

    def __init__(
        self,
        uri: str,
        headers: Mapping[str, str],
        *,
        opened: Callable[[], None],
        heard: Callable[[float, bytes], None],
        ended: Callable[[int, Mapping[str, str]], None],
    ) -> None:
        self._websocket = ClientProtocol(parse_uri(uri), max_size=None)
        self._headers = headers
        self._opened, self._heard, self._ended = opened, heard, ended
        self._refusal: Response | None = None
        self._parts: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    async def open(self) -> None:
        """Connect; OSError if nothing listens there."""
        uri = self._websocket.uri
        await asyncio.get_running_loop().create_connection(lambda: self, uri.host, uri.port)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP has no other
        self._transport = transport
        request = self._websocket.connect()
        request.headers.update(self._headers)
        self._websocket.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._websocket.receive_data(data)
        for event in self._websocket.events_received():
            match event:
                case Response() if event.status_code == 101:
                    self._opened()
                case Response():
                    self._refusal = event
                case Frame() if event.opcode in DATA:
                    self._parts.append(bytes(event.data))
                    if event.fin:
                        message, self._parts = b"".join(self._parts), []
                        self._heard(now, message)
        self._flush()

    def eof_received(self) -> None:
        self._websocket.receive_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        refused = self._refusal
        self._ended(refused.status_code if refused else 0, dict(refused.headers) if refused else {})

    def send(self, wire: bytes) -> None:
        """What `on_the_wire` made."""
        if self._transport is not None:
            self._transport.write(wire)

    @property
    def waiting_bytes(self) -> int:
        """What the server has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def close(self) -> None:
        if self._transport is not None:
            self._websocket.send_close(1000)
            self._flush()
            self._transport.close()

    def _flush(self) -> None:
        assert self._transport is not None
        for data in self._websocket.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()
