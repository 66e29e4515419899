"""What a transport is: how messages move, and nothing of what they mean."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from sessions.protocols.base import WireMessage


class Transport(Protocol):
    ended_by: str
    """Why there are no more messages: "client_gone", or "shutdown" when this server is about to end."""

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """The client's messages; ends when it is gone."""

    async def send(self, message: WireMessage) -> None:
        """Wait until the message is handed on. A client that does not read makes this wait."""

    async def close(self, code: int, reason: str = "") -> None: ...
