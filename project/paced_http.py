"""uvicorn's HTTP protocol, which notices a client that has vanished, does not read, or never says what it wants.

Without it the kernel waits: two hours for a client that went silent, and for ever for one that reads nothing. The work
for such a client would go on for as long; and uvicorn waits for ever for the rest of a request's head.
"""

from __future__ import annotations

import asyncio
import socket

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SILENT_S = 10
"""A connection silent for so long is probed, twice, this many seconds apart."""


class PacedHttpProtocol(HttpToolsProtocol):
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in tcp_options().items():
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
        super().connection_made(transport)
        self._waits_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._waits_for_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._has_head()
        super().on_headers_complete()

    def _has_head(self) -> None:
        if self._patience is not None:
            self._patience.cancel()

    def _waits_for_head(self) -> None:
        """For as long as the bound says; then the connection is closed."""
        self._has_head()
        self._patience = self.loop.call_later(settings.REPARTEE_BOUNDS.head_s, self.transport.close)


def tcp_options() -> dict[int, int]:
    """By their numbers, those that this system has. What is not taken within the write timeout ends the connection."""
    taken_ms = int(settings.REPARTEE_BOUNDS.write_timeout_s * 1000)
    wanted = {"TCP_KEEPIDLE": SILENT_S, "TCP_KEEPINTVL": SILENT_S, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": taken_ms}
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}
