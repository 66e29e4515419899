"""Clients that err, flood, stall and vanish, against a real server over real sockets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agents.audio import Audio
from tests.processes import Server

Event = dict[str, Any]
MIB = 1024 * 1024
RATE = 24_000


@asynccontextmanager
async def connected(server: Server, *, model: str = "guide", **headers: str) -> AsyncIterator[ClientConnection]:
    given = {"Authorization": f"Bearer {server.key}", **headers}
    url = f"{server.ws_url}/v1/realtime?model={model}"
    async with connect(url, additional_headers=given, compression=None, max_size=None, proxy=None) as socket:
        assert json.loads(await socket.recv())["type"] == "session.created"
        yield socket


async def send(socket: ClientConnection, kind: str, **fields: Any) -> None:
    await socket.send(json.dumps({"type": kind, **fields}))


async def until(socket: ClientConnection, kind: str) -> Event:
    async with asyncio.timeout(20):
        while True:
            event: Event = json.loads(await socket.recv())
            if event["type"] == kind:
                return event


async def still_serves(socket: ClientConnection) -> None:
    await send(socket, "session.update", session={"type": "realtime"})
    await until(socket, "session.updated")


async def ignore_the_end(sending: Awaitable[None]) -> None:
    """The server may close before it has taken everything."""
    with contextlib.suppress(ConnectionClosed):
        await sending


def error_of(refused: InvalidStatus) -> Event:
    error: Event = json.loads(refused.response.body or b"{}")["error"]
    return error


async def test_a_wrong_key_is_refused_before_the_upgrade(live_server_process: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connected(live_server_process, Authorization="Bearer sk_wrong"):
            pass
    assert refused.value.response.status_code == 401
    assert error_of(refused.value)["code"] == "invalid_api_key"
    assert "sk_wrong" not in live_server_process.log


async def test_a_missing_key_is_refused(live_server_process: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connected(live_server_process, Authorization=""):
            pass
    assert refused.value.response.status_code == 401


async def test_an_unknown_agent_is_refused_with_those_that_exist(live_server_process: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connected(live_server_process, model="nobody"):
            pass
    assert refused.value.response.status_code == 404
    assert "guide" in error_of(refused.value)["message"]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "invalid_json"),
        ("[]", "invalid_json"),
        ('{"type": "no.such.event"}', "unknown_event"),
        ('{"type": "input_audio_buffer.append"}', "missing_required_parameter"),
        ('{"type": "input_audio_buffer.append", "audio": "!!!"}', "invalid_value"),
        ('{"type": "input_audio_buffer.append", "audio": "AAAA"}', "invalid_value"),
        ('{"type": "input_audio_buffer.append", "audio": 7}', "invalid_type"),
        (b"\xff\xfe\x00", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
    ],
)
async def test_a_malformed_message_is_an_error_and_the_session_goes_on(
    live_server_process: Server, message: str | bytes, code: str
) -> None:
    async with connected(live_server_process) as socket:
        await socket.send(message)
        error = (await until(socket, "error"))["error"]
        assert error["code"] == code
        assert error["message"]
        await still_serves(socket)


async def test_the_largest_message_is_taken_and_a_larger_one_closes_1009(live_server_process: Server) -> None:
    async with connected(live_server_process) as socket:
        await send(socket, "session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
        await until(socket, "session.updated")
        # 15 MiB of audio are more than two utterances may hold: taken, heard, and answered with a clear error for each
        await send(socket, "input_audio_buffer.append", audio=base64.b64encode(bytes(15 * MIB)).decode())
        assert (await until(socket, "error"))["error"]["code"] == "input_audio_buffer_full"
        await send(socket, "input_audio_buffer.append", audio=base64.b64encode(bytes(17 * MIB)).decode())
        while (refusal := (await until(socket, "error"))["error"])["code"] == "input_audio_buffer_full":
            pass
        assert "15" in refusal["message"]
        await still_serves(socket)
        async with asyncio.TaskGroup() as group:
            group.create_task(ignore_the_end(socket.send(" " * (24 * MIB + 1))))
            with pytest.raises(ConnectionClosed) as closed:
                await until(socket, "nothing")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_a_frame_bomb_is_refused_piece_by_piece_and_others_are_served(live_server_process: Server) -> None:
    async with connected(live_server_process) as bomber, connected(live_server_process) as other:

        async def bomb() -> None:
            for _ in range(20_000):
                await bomber.send('{"type":"conversation.item.retrieve","item_id":"none"}')

        async def count_answers() -> int:
            answers = 0
            async with asyncio.timeout(60):
                while answers < 20_000:
                    answers += json.loads(await bomber.recv())["type"] == "error"
            return answers

        async with asyncio.TaskGroup() as group:
            group.create_task(bomb())
            group.create_task(count_answers())
            started = asyncio.get_running_loop().time()
            await still_serves(other)
            assert asyncio.get_running_loop().time() - started < 5
        await still_serves(bomber)


async def test_minutes_of_silence_sent_at_once_make_no_turn(live_server_process: Server) -> None:
    async with connected(live_server_process) as socket:
        minute = base64.b64encode(Audio.silence(60_000, RATE).pcm).decode()
        for _ in range(3):
            await send(socket, "input_audio_buffer.append", audio=minute)
        await send(socket, "input_audio_buffer.commit")
        error = await until(socket, "error")
        assert error["error"]["code"] == "input_audio_buffer_commit_empty"


async def test_a_client_that_vanishes_mid_reply_leaves_nothing_behind(live_server_process: Server) -> None:
    process = psutil.Process(live_server_process.process.pid)

    def open_sockets() -> int:
        return sum(c.status in ("ESTABLISHED", "CLOSE_WAIT") for c in process.net_connections())

    before = open_sockets()
    for _ in range(10):
        async with connected(live_server_process) as socket:
            await send(socket, "response.create")
            await until(socket, "response.output_audio.delta")
            socket.transport.abort()
    async with asyncio.timeout(10):
        while open_sockets() > before:  # noqa: ASYNC110 - another process closes them
            await asyncio.sleep(0.1)
    async with connected(live_server_process) as socket:
        await still_serves(socket)


async def test_a_client_that_never_reads_is_closed(start_server: Any) -> None:
    server: Server = start_server(REPARTEE_WRITE_TIMEOUT_S="1", REPARTEE_EVENTS_OUT="64")
    url = f"{server.ws_url}/v1/realtime?model=guide"
    headers = {"Authorization": f"Bearer {server.key}"}
    async with connect(
        url, additional_headers=headers, compression=None, max_queue=1, proxy=None, close_timeout=2
    ) as socket:

        async def flood() -> None:
            async with asyncio.timeout(30):
                while True:  # every one of these is answered, and no answer is read
                    await send(socket, "session.update", session={"type": "realtime"})

        with pytest.raises(ConnectionClosed):
            await flood()
    async with connected(server) as socket:
        await still_serves(socket)
