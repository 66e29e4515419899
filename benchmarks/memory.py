"""Memory and tasks: a client that stops reading, idle sessions, sessions dropped at random moments.

python -m benchmarks.memory
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from websockets.asyncio.client import connect

from benchmarks.harness import RATE, Client, apply_agent, client, providers, speech
from tests.processes import Server, server

MINUTES_3 = " ".join(["Let me tell you all about it, one thing after the other, and so on."] * 45)


def rss_mb(running: Server) -> float:
    return float(psutil.Process(running.process.pid).memory_info().rss) / 2**20


@dataclass(frozen=True, slots=True)
class Unread:
    """Audio released to a client that had stopped reading, what of it came after the clear, and MiB gained."""

    released_ms: float
    elapsed_ms: float
    stale_ms: float
    grown_mib: float


@asynccontextmanager
async def unread(running: Server, agent: str, receive_buffer: int | None) -> AsyncIterator[Client]:
    """A client that reads nothing but what `read_on` reads; `receive_buffer` bytes in its kernel, or the default."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as line:
        if receive_buffer is not None:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        line.connect(("127.0.0.1", running.port))
        line.setblocking(False)
        headers = {"Authorization": f"Bearer {running.key}"}
        url = f"{running.ws_url}/v1/realtime?model={agent}"
        async with connect(
            url, sock=line, additional_headers=headers, compression=None, max_queue=1, proxy=None, close_timeout=1
        ) as connection:
            yield Client(connection)


async def read_on(me: Client, kind: str) -> list[dict[str, Any]]:
    """Everything up to the next event of `kind`."""
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while not seen or seen[-1]["type"] != kind:
            seen.append(json.loads(await me.socket.recv()))
    return seen


def audio_ms(events: list[dict[str, Any]], response_id: str) -> float:
    deltas = [e for e in events if e["type"] == "response.output_audio.delta" and e["response_id"] == response_id]
    return sum(len(base64.b64decode(e["delta"])) for e in deltas) * 1000 / (2 * RATE)


async def ask(me: Client) -> None:
    content = [{"type": "input_text", "text": "Tell me everything."}]
    await me.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
    await me.send("response.create")


async def peak_rss(running: Server, while_running: asyncio.Task[float]) -> float:
    peak = 0.0
    while not while_running.done():
        peak = max(peak, rss_mb(running))
        await asyncio.sleep(0.1)
    return peak


async def unread_speech(
    running: Server, *, agent: str = "bench", unread_s: float = 5, receive_buffer: int | None = None
) -> Unread:
    """A long reply to a client that stops reading at its first audio, says "Stop!" later, and then reads on.

    The clock of `elapsed_ms` runs from the first audio to the end of "Stop!". The reply after it is waited for.
    """
    stop = speech("Stop, please! That is enough.")

    async def say_stop(me: Client) -> float:
        await me.quiet(unread_s * 1000)
        said = await me.play(stop)
        await me.quiet(700)
        return said

    async with unread(running, agent, receive_buffer) as warm:  # connections to the providers are open
        await ask(warm)
        await read_on(warm, "response.output_audio.delta")
    async with unread(running, agent, receive_buffer) as me, asyncio.TaskGroup() as group:
        before = rss_mb(running)
        await ask(me)
        opening = await read_on(me, "response.output_audio.delta")
        began = time.monotonic()
        speaking = group.create_task(say_stop(me))
        peak = await peak_rss(running, speaking)
        waited = await read_on(me, "input_audio_buffer.speech_started")
        late = [*await read_on(me, "response.done"), *await read_on(me, "response.output_audio.delta")]
        response_id = opening[-1]["response_id"]
        return Unread(
            released_ms=audio_ms([*opening, *waited], response_id),
            elapsed_ms=(await speaking - began) * 1000,
            stale_ms=audio_ms(late, response_id),
            grown_mib=peak - before,
        )


async def print_unread_speech(running: Server) -> None:
    for name, receive_buffer in (("kernel's own buffer", None), ("8 KiB of buffer", 8192)):
        found = await unread_speech(running, receive_buffer=receive_buffer)
        print(
            f"unread three-minute speech, {name}: memory {found.grown_mib:+.2f} MB; {found.released_ms:.0f} ms of "
            f"audio released in {found.elapsed_ms:.0f} ms, {found.stale_ms:.0f} ms after the clear"
        )


async def idle_sessions(running: Server, count: int) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(10):
            await stack.enter_async_context(client(running.ws_url, running.key))
        await asyncio.sleep(1)
        before = rss_mb(running)
        for _ in range(count):
            one = await stack.enter_async_context(client(running.ws_url, running.key))
            await one.quiet(100)
        await asyncio.sleep(1)
        print(f"{count} further idle sessions: {(rss_mb(running) - before) / count:.2f} MB each")


async def dropped_sessions(running: Server, count: int, seed: int) -> None:
    moments = random.Random(seed)
    clip = speech("Tell me everything.")
    before = rss_mb(running)

    async def one() -> None:
        try:
            async with asyncio.timeout(moments.uniform(0.05, 3)), client(running.ws_url, running.key) as me:
                await me.play(clip)
                await me.quiet(10_000)
        except (TimeoutError, ExceptionGroup):
            pass

    for _ in range(count // 10):
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(one())
    await asyncio.sleep(2)
    process = psutil.Process(running.process.pid)
    established = [c for c in process.net_connections() if c.status == "ESTABLISHED"]
    print(
        f"{count} sessions dropped at random moments: {len(established)} sockets left open (pooled provider "
        f"connections), memory {rss_mb(running) - before:+.1f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle", type=int, default=50)
    parser.add_argument("--dropped", type=int, default=200)
    options = parser.parse_args()
    script = (
        "--stt-ms",
        "50",
        "--llm-first-ms",
        "50",
        "--llm-tokens-per-s",
        "200",
        "--tts-first-ms",
        "50",
        "--tts-speed",
        "40",
    )
    with (
        tempfile.TemporaryDirectory() as name,
        server(data=Path(name)) as running,
        providers(*script, "--reply", MINUTES_3) as base_url,
    ):
        running.wait_for("/readyz")
        apply_agent(running, base_url, Path(name))
        asyncio.run(print_unread_speech(running))
        asyncio.run(idle_sessions(running, options.idle))
        asyncio.run(dropped_sessions(running, options.dropped, seed=1))


if __name__ == "__main__":
    main()
