"""The server's side of ASGI, scripted: what a client sends, and what was sent to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class AsgiClient:
    """`vanishes_after` sends, each further one fails as it does when the client has gone."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    vanishes_after: int | None = None
    sent: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def saying(cls, *texts: str | bytes, vanishes_after: int | None = None) -> AsgiClient:
        events: Iterable[dict[str, Any]] = (
            {"type": "websocket.receive", "text": text}
            if isinstance(text, str)
            else {"type": "websocket.receive", "bytes": text, "text": None}
            for text in texts
        )
        ends = {"type": "websocket.disconnect", "code": 1000}
        return cls([{"type": "websocket.connect"}, *events, ends], vanishes_after)

    async def receive(self) -> dict[str, Any]:
        return self.messages.pop(0)

    async def send(self, message: Any) -> None:
        if self.vanishes_after is not None and len(self.sent) >= self.vanishes_after:
            raise OSError("the client has gone")
        self.sent.append(dict(message))
