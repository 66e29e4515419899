"""A client on a WebSocket, over the receive and send callables of ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Literal

from agents.audio import Audio
from sessions.protocols.base import WireMessage

AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[AsgiMessage], Awaitable[None]]

MAX_MESSAGE_CHARS = 24 * 1024 * 1024
"""The longest message taken from a client: one append carries up to 15 MiB, which is 20 MiB in base64."""
REASON_BYTES = 123  # RFC 6455, 5.5.1
TOO_BIG = 1009
RESTART = 1012
"""What uvicorn reports of the connections that it closes when it ends."""


class WebSocketTransport:
    """Hands each message on at once and holds none, so `send` waits for as long as the client does not read.

    Once the client has gone, `send` and `close` do nothing: the end of the iteration tells of it.
    """

    def __init__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._state: Literal["connecting", "open", "closed"] = "connecting"
        self.ended_by = "client_gone"

    async def connected(self) -> bool:
        """Wait for the client's request to connect; False if it left meanwhile."""
        message = await self._receive()
        return bool(message["type"] == "websocket.connect")

    async def accept(self, subprotocol: str | None) -> None:
        self._state = "open"
        await self._put({"type": "websocket.accept", "subprotocol": subprotocol})

    async def refuse(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """Answer the upgrade with an HTTP response; False if the server cannot do that (daphne)."""
        if "websocket.http.response" not in (self._scope.get("extensions") or {}):
            return False
        lines = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
        self._state = "open"
        await self._put({"type": "websocket.http.response.start", "status": status, "headers": lines})
        await self._put({"type": "websocket.http.response.body", "body": body})
        self._state = "closed"
        return True

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while self._state == "open":
            message = await self._receive()
            if message["type"] != "websocket.receive":
                self._state = "closed"
                if message.get("code") == RESTART:
                    self.ended_by = "shutdown"
                return
            text: str | None = message.get("text")
            data: str | bytes = message["bytes"] if text is None else text
            if len(data) > MAX_MESSAGE_CHARS:
                await self.close(TOO_BIG, f"a message may have at most {MAX_MESSAGE_CHARS} bytes")
                return
            yield data

    async def send(self, message: WireMessage) -> None:
        match message:
            case str():
                await self._put({"type": "websocket.send", "text": message})
            case bytes():
                await self._put({"type": "websocket.send", "bytes": message})
            case Audio():
                raise TypeError("A WebSocket has no media path: the protocol must encode audio.")

    async def close(self, code: int, reason: str = "") -> None:
        short = reason.encode()[:REASON_BYTES].decode(errors="ignore")
        await self._put({"type": "websocket.close", "code": code, "reason": short})
        self._state = "closed"

    async def _put(self, message: AsgiMessage) -> None:
        if self._state != "open":
            return
        try:
            await self._send(message)
        except OSError:  # how servers say that the client has gone
            self._state = "closed"
