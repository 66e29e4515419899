"""The Realtime API on a running server: what only a real socket can show."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.conftest import StartServer
from tests.fakes.waiting import until
from tests.invariants import Invariants
from tests.processes import Server

FOUR_MEGABYTES = 4 * 1024 * 1024


class Line:
    """A socket, and the check of all that comes out of it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.rules = Invariants()

    async def send(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, **fields}
        self.rules.sent(event)
        await self.socket.send(json.dumps(event))

    async def until(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while True:
                message = await self.socket.recv()
                assert isinstance(message, str), "never a binary frame"
                if (event := self.rules.see(message))["type"] == kind:
                    return dict(event)

    async def ask(self, text: str) -> dict[str, Any]:
        content = [{"type": "input_text", "text": text}]
        await self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await self.send("response.create", response={"output_modalities": ["text"]})
        response: dict[str, Any] = (await self.until("response.done"))["response"]
        return response


@asynccontextmanager
async def called(server: Server, query: str = "model=guide") -> AsyncIterator[Line]:
    headers = {"Authorization": f"Bearer {server.key}"}
    async with connect(f"{server.ws_url}/v1/realtime?{query}", additional_headers=headers) as socket:
        yield Line(socket)


@pytest.mark.parametrize(
    "model", ["gpt-realtime", "gpt-realtime-2.1", "gpt-4o-realtime-preview", "gpt-4o-mini-realtime-preview-2024-12-17"]
)
async def test_openais_models_are_known_by_their_own_names(live_server_process: Server, model: str) -> None:
    async with called(live_server_process, f"model={model}") as me:
        assert (await me.until("session.created"))["session"]["model"] == model
        await me.send("session.update", session={"type": "realtime", "model": "gpt-realtime-mini"})
        assert (await me.until("session.updated"))["session"]["model"] == model


@pytest.mark.parametrize("query", ["intent=transcription", "intent=transcription&model=gpt-4o-transcribe&other=1"])
async def test_a_transcription_session_needs_no_model(live_server_process: Server, query: str) -> None:
    async with called(live_server_process, query) as me:
        session = (await me.until("session.created"))["session"]
        assert session["type"] == "transcription"
        asked = {"model": "gpt-4o-mini-transcribe", "language": "en"}
        await me.send("session.update", session={"type": "transcription", "audio": {"input": {"transcription": asked}}})
        session = (await me.until("session.updated"))["session"]
        assert session["audio"]["input"]["transcription"] == asked


async def test_four_megabytes_come_in_one_frame_and_pings_are_answered_meanwhile(live_server_process: Server) -> None:
    async with called(live_server_process) as me:
        assert me.socket.protocol.extensions == []
        await me.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
        silence = base64.b64encode(bytes(FOUR_MEGABYTES // 4 * 3)).decode()
        await me.send("input_audio_buffer.append", audio=silence)
        pong = await me.socket.ping()
        await me.send("input_audio_buffer.clear")
        async with asyncio.timeout(5):
            await pong
        await me.until("input_audio_buffer.cleared")
        assert (await me.ask("What is Repartee?"))["status"] == "completed"
        me.rules.end()


async def test_fields_that_mean_nothing_are_logged_by_name(live_server_process: Server) -> None:
    async with called(live_server_process) as me:
        for _ in range(2):
            await me.send("session.update", session={"type": "realtime", "colour_of_voice": "canary-blue"})
            await me.until("session.updated")
    await until(lambda: "colour_of_voice" in live_server_process.log)
    assert live_server_process.log.count("colour_of_voice") == 1
    assert "session fields unknown" in live_server_process.log
    assert "canary-blue" not in live_server_process.log


async def test_a_session_that_expires_says_so_and_closes(start_server: StartServer) -> None:
    server = start_server(REPARTEE_SESSION_S="2")
    async with called(server) as me:
        session = (await me.until("session.created"))["session"]
        assert session["expires_at"] > 0
        error = (await me.until("error"))["error"]
        assert error["code"] == "session_expired"
        with pytest.raises(ConnectionClosed):
            await me.until("anything")
        assert me.socket.close_code == 1000
