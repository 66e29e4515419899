"""uvicorn's HTTP protocol, which notices a client that has vanished, or does not read.

Without it the kernel waits: two hours for a client that went silent, and for ever for one that reads nothing. The work
for such a client would go on for as long.
"""

from __future__ import annotations

import asyncio
import socket

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SILENT_S = 10
"""A connection silent for so long is probed, twice, this many seconds apart."""


class PacedHttpProtocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in tcp_options().items():
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
        super().connection_made(transport)


def tcp_options() -> dict[int, int]:
    """By their numbers, those that this system has. What is not taken within the write timeout ends the connection."""
    taken_ms = int(settings.REPARTEE_BOUNDS.write_timeout_s * 1000)
    wanted = {"TCP_KEEPIDLE": SILENT_S, "TCP_KEEPINTVL": SILENT_S, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": taken_ms}
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}
