"""The seed of Repartee: three minutes of speech are generated in seconds, and the client stops reading."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import connect

from agents.audio import Audio
from benchmarks.harness import RATE, Client, speech
from tests.fakes.scripted_server import ScriptedServer, scripted_server
from tests.faults.live import PAUSE_MS, Agent, apply, ask, change
from tests.processes import Server

Event = dict[str, Any]
LEAD_MS = 300
DELTA_MS = 100
UNREAD_S = 5.0
SPEECH = " ".join(["Let me tell you all about it, one thing after the other, and so on."] * 45)
"""207 s at the scripted voice's 15 characters a second."""


@pytest.fixture(scope="module")
def providers() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        words_per_s = len(SPEECH.split()) / 5
        change(server, llm_first_ms=20, llm_tokens_per_s=words_per_s, reply=SPEECH)
        change(server, stt_ms=20, tts_first_ms=20, tts_speed=0)
        yield server


@pytest.fixture(scope="module")
def server(live_server_process: Server, providers: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Server:
    apply(live_server_process, {"good": providers.base_url()}, [Agent("endless")], tmp_path_factory.mktemp("agents"))
    return live_server_process


@asynccontextmanager
async def unread(server: Server, agent: str, receive_buffer: int | None) -> AsyncIterator[Client]:
    """A client that reads nothing but what `read_on` reads; `receive_buffer` bytes in its kernel, or the default."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as line:
        if receive_buffer is not None:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        line.connect(("127.0.0.1", server.port))
        line.setblocking(False)
        headers = {"Authorization": f"Bearer {server.key}"}
        url = f"{server.ws_url}/v1/realtime?model={agent}&repartee=1"
        async with connect(
            url, sock=line, additional_headers=headers, compression=None, max_queue=1, proxy=None, close_timeout=1
        ) as connection:
            yield Client(connection)


async def read_on(me: Client, kind: str) -> tuple[float, list[Event]]:
    """Everything up to the next event of `kind`, and when that was read."""
    seen: list[Event] = []
    async with asyncio.timeout(20):
        while not seen or seen[-1]["type"] != kind:
            seen.append(json.loads(await me.socket.recv()))
    return time.monotonic(), seen


async def watch(process: psutil.Process) -> AsyncIterator[float]:
    """MiB of the process, ten times a second."""
    while True:
        yield process.memory_info().rss / 2**20
        await asyncio.sleep(0.1)


async def peak_rss(process: psutil.Process, while_running: asyncio.Task[float]) -> float:
    peak = 0.0
    async for rss in watch(process):
        peak = max(peak, rss)
        if while_running.done():
            return peak
    return peak


async def quiet_then_stop(me: Client, stop: Audio) -> float:
    """The microphone: silence, then "Stop!" in real time. The moment at which it was said."""
    await me.quiet(UNREAD_S * 1000)
    said = await me.play(stop)
    await me.quiet(PAUSE_MS)
    return said


def audio_ms(events: list[Event], response_id: str) -> float:
    deltas = [e for e in events if e["type"] == "response.output_audio.delta" and e["response_id"] == response_id]
    return sum(len(e["delta"]) * 3 / 4 for e in deltas) * 1000 / (2 * RATE)


@pytest.mark.parametrize("receive_buffer", [None, 8192], ids=["the-kernel-reads-on", "the-line-is-full"])
async def test_nothing_piles_up_for_a_client_that_stops_reading(
    server: Server, receive_buffer: int | None
) -> None:
    stop = speech("Stop, please! That is enough.")
    process = psutil.Process(server.process.pid)
    async with unread(server, "endless", receive_buffer) as warm:  # the provider's connection is open
        await ask(warm)
        await read_on(warm, "response.output_audio.delta")
    async with unread(server, "endless", receive_buffer) as me:
        before = process.memory_info().rss / 2**20
        await ask(me)
        first, opening = await read_on(me, "response.output_audio.delta")
        speaking = asyncio.create_task(quiet_then_stop(me, stop))
        peak = await peak_rss(process, speaking)
        _, unheard = await read_on(me, "input_audio_buffer.speech_started")
        response_id = opening[-1]["response_id"]
        released_ms = audio_ms([*opening, *unheard], response_id)
        played_ms = (await speaking - first) * 1000
        print(f"released {released_ms:.0f} ms by {played_ms:.0f} ms; memory {peak - before:+.2f} MiB")  # noqa: T201
        assert released_ms <= played_ms + LEAD_MS + DELTA_MS
        _, rest = await read_on(me, "response.done")
        assert rest[-1]["response"]["status"] == "cancelled"
        _, later = await read_on(me, "response.output_audio.delta")
        assert audio_ms([*rest, *later], response_id) == 0
        assert peak - before <= 2
