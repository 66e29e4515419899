from __future__ import annotations

from typing import Any

import pytest

from agents.audio import Audio
from sessions.transports.websocket import MAX_MESSAGE_CHARS, WebSocketTransport
from tests.fakes.asgi import AsgiClient

WITH_DENIAL: dict[str, Any] = {"extensions": {"websocket.http.response": {}}}


async def opened(client: AsgiClient) -> WebSocketTransport:
    transport = WebSocketTransport({}, client.receive, client.send)
    assert await transport.connected()
    await transport.accept("realtime")
    return transport


async def test_it_carries_text_and_bytes_both_ways() -> None:
    client = AsgiClient.saying("one", b"two")
    transport = await opened(client)

    assert [message async for message in transport] == ["one", b"two"]
    assert client.sent == [{"type": "websocket.accept", "subprotocol": "realtime"}]


async def test_it_sends_and_closes() -> None:
    client = AsgiClient.saying()
    transport = await opened(client)
    await transport.send("text")
    await transport.send(b"bytes")
    await transport.close(1013, "ä" * 100)
    await transport.send("too late")

    assert client.sent[1:] == [
        {"type": "websocket.send", "text": "text"},
        {"type": "websocket.send", "bytes": b"bytes"},
        {"type": "websocket.close", "code": 1013, "reason": "ä" * 61},
    ]


async def test_audio_has_no_path_of_its_own() -> None:
    transport = await opened(AsgiClient.saying())

    with pytest.raises(TypeError):
        await transport.send(Audio.silence(20, 24_000))


async def test_a_message_beyond_the_limit_closes_the_connection() -> None:
    client = AsgiClient.saying("x" * MAX_MESSAGE_CHARS, "x" * (MAX_MESSAGE_CHARS + 1), "never read")
    transport = await opened(client)

    assert [len(message) async for message in transport] == [MAX_MESSAGE_CHARS]
    assert client.sent[-1]["code"] == 1009


async def test_sending_to_a_client_that_has_gone_is_no_error() -> None:
    client = AsgiClient.saying("one", vanishes_after=1)
    transport = await opened(client)
    await transport.send("lost")
    await transport.close(1000)

    assert [message async for message in transport] == []
    assert [message["type"] for message in client.sent] == ["websocket.accept"]


async def test_a_client_may_leave_before_it_is_accepted() -> None:
    client = AsgiClient([{"type": "websocket.disconnect"}])

    assert not await WebSocketTransport({}, client.receive, client.send).connected()


async def test_the_upgrade_is_refused_where_the_server_can() -> None:
    client = AsgiClient.saying()
    transport = WebSocketTransport(WITH_DENIAL, client.receive, client.send)

    assert await transport.connected()
    assert await transport.refuse(401, {"X-Request-Id": "r"}, b"{}")
    assert client.sent == [
        {"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-request-id", b"r")]},
        {"type": "websocket.http.response.body", "body": b"{}"},
    ]


@pytest.mark.parametrize("scope", [{}, {"extensions": None}])
async def test_it_says_when_the_server_cannot_refuse(scope: dict[str, None]) -> None:
    client = AsgiClient.saying()

    assert not await WebSocketTransport(scope, client.receive, client.send).refuse(401, {}, b"")
    assert client.sent == []
