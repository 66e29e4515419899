"""Memory and tasks: a client that stops reading, idle sessions, sessions dropped at random moments.

python -m benchmarks.memory
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
from websockets.asyncio.client import connect

from benchmarks.harness import apply_agent, client, providers, speech
from tests.processes import Server, server

MINUTES_3 = " ".join(["Let me tell you all about it, one thing after the other, and so on."] * 45)


def rss_mb(running: Server) -> float:
    return float(psutil.Process(running.process.pid).memory_info().rss) / 2**20


async def unread_speech(running: Server) -> None:
    """Three minutes of speech are generated within five seconds for a client that stops reading."""
    headers = {"Authorization": f"Bearer {running.key}"}
    async with client(running.ws_url, running.key) as me:  # the process is warm
        await me.quiet(200)
        await me.play(speech("Tell me everything."))
        await me.quiet_until("response.output_audio.delta")
    await asyncio.sleep(1)
    before = rss_mb(running)
    url = f"{running.ws_url}/v1/realtime?model=bench&repartee=1"
    async with connect(url, additional_headers=headers, compression=None, proxy=None, max_queue=1) as socket:
        await socket.send(
            '{"type":"conversation.item.create","item":{"type":"message","role":"user",'
            '"content":[{"type":"input_text","text":"Tell me everything."}]}}'
        )
        await socket.send('{"type":"response.create"}')
        peak = before
        for _ in range(80):
            await asyncio.sleep(0.1)
            peak = max(peak, rss_mb(running))
    print(f"unread three-minute speech: server memory {before:.1f} MB, at most {peak - before:+.2f} MB over 8 s")


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
        asyncio.run(unread_speech(running))
        asyncio.run(idle_sessions(running, options.idle))
        asyncio.run(dropped_sessions(running, options.dropped, seed=1))


if __name__ == "__main__":
    main()
