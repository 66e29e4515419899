"""uvicorn's WebSocket protocol with little room between us and the wire.

Audio that lies in a socket's buffers cannot be taken back when the user interrupts. Linux accepts up to
4 MB before it makes a sender wait: more than a minute of speech.
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

UNSENT = 16 * 1024
"""Bytes that wait for the line: a quarter of a second of 24 kHz PCM in base64."""
SEND_BUFFER = 32 * 1024
"""Bytes with those under way, until they are acknowledged. Linux doubles it, and 64 KiB carry 24 kHz over a round trip
of 900 ms; with half of it, 600 ms were a gap every half second."""
LINGER_S = 5.0
"""What a client gets to read the last words of a connection."""


class PacedWebSocketProtocol(WebSocketsSansIOProtocol):
    """One client's connection, which waits to send as soon as the client is a quarter of a second behind."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).set_write_buffer_limits(high=UNSENT)
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # Linux and macOS
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        super().connection_made(transport)

    async def send(self, message: ASGISendEvent) -> None:
        """uvicorn passes over the accept of a client that is just leaving, and takes what follows for a mistake."""
        if self.transport.is_closing():
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # refused, and properly so: uvicorn would log an error

    async def run_asgi(self) -> None:
        """A closing transport waits for its buffer to empty, and a client that does not read never empties it."""
        await super().run_asgi()
        self.loop.call_later(LINGER_S, self.transport.abort)
