"""HTTP requests of bounded size and patience, before anybody asks who is calling.

Django writes a body to disk, however long it is and however slowly it comes, and only then looks at the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from agents.errors import ClientError
from sessions.errors import TooLarge, TooSlow, answer_to, request_id
from sessions.pipeline.bounds import Bounds

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

LINGER_S = 1.0
"""How long a client whose request was refused may go on sending; what comes is thrown away."""


class BoundedRequests:
    """`app` with bodies of at most `body_bytes`, each sent within `body_s`. What is refused ends the connection."""

    def __init__(self, app: Application, bounds: Bounds) -> None:
        self._app = app
        self._bounds = bounds

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        body = _Body(receive, self._bounds)
        try:
            if _declared(scope) > self._bounds.body_bytes:
                raise TooLarge
            await self._app(scope, body.receive, send)
        except (TooLarge, TooSlow) as refusal:
            await _answer(receive, send, refusal)


class _Body:
    """What a client sends; once the body is whole, only that it has gone."""

    def __init__(self, receive: Receive, bounds: Bounds) -> None:
        self._receive = receive
        self._left = bounds.body_bytes
        self._deadline = asyncio.get_running_loop().time() + bounds.body_s
        self._whole = False

    async def receive(self) -> Message:
        if self._whole:
            return await self._next()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._next()
        except TimeoutError:
            raise TooSlow from None
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise TooLarge
        self._whole = not message.get("more_body", False)
        return message

    async def _next(self) -> Message:
        message: Message = await self._receive()
        return message


def _declared(scope: Mapping[str, Any]) -> int:
    """The length that the head gives; the server has refused one that is no number."""
    given = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(given) if given.isdigit() else 0


async def _answer(receive: Receive, send: Send, refusal: ClientError) -> None:
    """Answer, and hear the client out for a moment before the connection is closed.

    Were it closed with something unread, the client's system would throw the answer away (RFC 9112, 9.6).
    """
    answer = answer_to(refusal)
    body = msgspec.json.encode(answer.body)
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        "X-Request-Id": request_id(),
    }
    lines = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": lines})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": "http.response.body", "body": b""})
