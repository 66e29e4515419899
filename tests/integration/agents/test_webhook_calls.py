"""A webhook's calls to a real server on this machine."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from agents.errors import ToolError
from agents.interfaces import ToolCall
from agents.spec import ToolRef
from agents.tools.toolbox import AgentToolbox, server_tools
from agents.tools.webhook import MAX_RESPONSE, Webhook, sign
from telemetry.trace import TurnMarks

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Received:
    url: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[Received]:
    """Takes HTTP requests, notes them, and lets `answer` write the rest."""
    received = Received()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        received.requests.append((headers, await reader.readexactly(int(headers["content-length"]))))
        try:
            await answer(writer)
        except ConnectionError:
            pass  # the client had enough
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        received.url = f"http://localhost:{port}/hook"
        yield received


def with_body(body: bytes, status: str = "200 OK", *headers: str) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return answer


async def test_a_call_is_one_signed_post() -> None:
    async with server(with_body(b'{"status": "on its way"}')) as received:
        webhook = Webhook("order", received.url, "s3cret", allow_private=True, clock=lambda: 1_700_000_000.9)
        result = await webhook.call("call_1", {"number": 7})
    assert result.text == '{"status": "on its way"}'
    ((headers, body),) = received.requests
    assert json.loads(body) == {"call_id": "call_1", "name": "order", "arguments": {"number": 7}}
    assert headers["content-type"] == "application/json"
    assert headers["host"].startswith("localhost:")
    assert headers["x-repartee-timestamp"] == "1700000000"
    assert headers["x-repartee-signature"] == sign("s3cret", "1700000000", body)


async def test_without_a_secret_nothing_is_signed() -> None:
    async with server(with_body(b"ok")) as received:
        await Webhook("order", received.url, allow_private=True).call("call_1", {})
    assert not any(name.startswith("x-repartee") for name in received.requests[0][0])


async def test_a_private_target_is_refused_without_a_connection() -> None:
    async with server(with_body(b"secret")) as received:
        with pytest.raises(ToolError, match="private network"):
            await Webhook("order", received.url).call("call_1", {})
    assert received.requests == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (with_body(b"", "302 Found", "location: http://127.0.0.1/elsewhere"), "status 302"),
        (with_body(b"no", "500 Internal Server Error"), "status 500"),
        (with_body(b"x" * (MAX_RESPONSE + 1)), "more than 64 KiB"),
        (with_body(gzip.compress(b"0" * 1_000_000), "200 OK", "content-encoding: gzip"), "compressed"),
        (with_body(b"", "garbage"), "could not be reached"),
    ],
)
async def test_what_is_not_a_plain_answer_is_a_tool_error(answer: Answer, message: str) -> None:
    async with server(answer) as received:
        with pytest.raises(ToolError, match=message):
            await Webhook("order", received.url, allow_private=True).call("call_1", {})
    assert len(received.requests) == 1  # nothing is tried again


async def test_an_answer_of_the_largest_size_is_taken() -> None:
    async with server(with_body(b"x" * MAX_RESPONSE)) as received:
        assert len((await Webhook("order", received.url, allow_private=True).call("call_1", {})).text) == MAX_RESPONSE


async def test_an_endless_answer_is_cut_off() -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    async with server(endless) as received:
        with pytest.raises(ToolError, match="more than 64 KiB"):
            await Webhook("order", received.url, allow_private=True).call("call_1", {})
    assert sent < 16 * 1024 * 1024


async def test_a_server_that_says_nothing_costs_the_tools_timeout() -> None:
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    async with server(silent) as received:
        ref = ToolRef(name="order", kind="webhook", url=received.url, timeout_s=0.2)
        toolbox = AgentToolbox(server_tools([ref], secrets={}, allow_private=True))
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(ToolError, match=r"0\.2 seconds"):
            await toolbox.run(ToolCall("call_1", "order", "{}"), TurnMarks(loop.time))
        assert loop.time() - began < 2


async def test_a_server_that_is_not_there_is_a_tool_error() -> None:
    async with server(with_body(b"")) as received:
        pass
    with pytest.raises(ToolError, match="could not be reached"):
        await Webhook("order", received.url, allow_private=True).call("call_1", {})
