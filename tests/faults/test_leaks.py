"""Nothing is left of clients that come and go: no task, no session, no socket, no memory."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import AsyncGeneratorType
from typing import Any

import psutil
import pytest
import uvicorn
from asgiref.sync import ThreadSensitiveContext
from django.test import override_settings
from pytest_django.plugin import DjangoDbBlocker
from websockets.exceptions import ConnectionClosed

import project.asgi  # noqa: F401 - sets up logging, which must come before caplog does
from agents.as_code import apply_document
from agents.audio import Audio
from benchmarks.harness import RATE, Client, client, speech
from project import server as project_server
from sessions import host
from tests.fakes.scripted_server import ScriptedServer, scripted_server
from tests.faults.live import Agent, apply, ask, change, document
from tests.integration.databases import sqlite_url, using
from tests.processes import ROOT, Server, free_port

KEY = "rp_test_key_0123456789abcdef"
SPEECH = " ".join(["Let me tell you all about it, one thing after the other."] * 20)
SESSIONS = 200
AT_ONCE = 20
WARM = 40
LONGEST_S = 1.5


@pytest.fixture(scope="module")
def providers() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        change(server, stt_ms=50, llm_first_ms=50, llm_tokens_per_s=100, reply=SPEECH, tts_first_ms=50, tts_speed=20)
        yield server


@pytest.fixture(scope="module")
def question() -> Audio:
    return speech("Tell me everything.")


@asynccontextmanager
async def served_here(port: int) -> AsyncIterator[host.SessionHost]:
    """The real server on this event loop, where its tasks can be looked at.

    Its database thread is its own: the process's may hold a connection of an earlier test.
    """
    server = uvicorn.Server(project_server.config(host="127.0.0.1", port=port))
    async with ThreadSensitiveContext(), asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(), name="uvicorn")
        async with asyncio.timeout(60):
            while not (server.started and all(host.readiness().values())):  # noqa: ASYNC110 - models load in threads
                await asyncio.sleep(0.05)
        try:
            yield await host.current()
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
def chatty(tmp_path: Path, providers: ScriptedServer, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A database of this test's own with an agent that talks on and on."""
    with django_db_blocker.unblock(), using(sqlite_url(tmp_path)), override_settings(REPARTEE_DEV_API_KEY=KEY):
        apply_document(document({"good": providers.base_url()}, [Agent("chatty")]))
        yield


@contextmanager
def abandoned_generators() -> Iterator[list[str]]:
    """Names of our generators that were left to the garbage collector instead of being closed by their owner."""
    found: list[str] = []
    ours = (str(ROOT / "agents"), str(ROOT / "sessions"))
    hooks = sys.get_asyncgen_hooks()

    def note(generator: AsyncGenerator[Any, Any]) -> None:
        if isinstance(generator, AsyncGeneratorType) and generator.ag_code.co_filename.startswith(ours):
            found.append(generator.__qualname__)
        if hooks.finalizer is not None:
            hooks.finalizer(generator)

    sys.set_asyncgen_hooks(finalizer=note)
    try:
        yield found
    finally:
        sys.set_asyncgen_hooks(*hooks)


async def drop(port: int, question: Audio, moments: random.Random) -> None:
    """One client that leaves at a random moment: in the upgrade, in its question, in the reply, over the reply."""

    async def talk(me: Client) -> None:
        await ask(me)
        await me.quiet(moments.uniform(0, 500))
        await me.play(question)
        await me.quiet(10_000)

    rude = moments.random() < 0.5
    try:
        async with asyncio.timeout(moments.uniform(0.02, LONGEST_S)):
            async with client(f"ws://127.0.0.1:{port}", KEY, "chatty") as me:
                try:
                    await talk(me)
                finally:
                    if rude:
                        me.socket.transport.abort()
    except* (TimeoutError, ConnectionClosed):
        pass


async def come_and_go(port: int, question: Audio, count: int, moments: random.Random) -> None:
    for _ in range(count // AT_ONCE):
        async with asyncio.TaskGroup() as clients:
            for _ in range(AT_ONCE):
                clients.create_task(drop(port, question, moments))


def open_connections(port: int) -> int:
    """Of the server's side, in any state but listening and closed."""
    connections = psutil.Process().net_connections("tcp")
    return sum(c.laddr.port == port and c.status not in ("LISTEN", "TIME_WAIT") for c in connections)


def rss_mib() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 2**20


@pytest.mark.usefixtures("chatty")
async def test_two_hundred_sessions_dropped_at_random_moments_leave_nothing(
    question: Audio, caplog: pytest.LogCaptureFixture
) -> None:
    port, moments = free_port(), random.Random(7)
    async with served_here(port) as running:
        baseline = asyncio.all_tasks()
        with abandoned_generators() as abandoned:
            await come_and_go(port, question, WARM, moments)
            before = rss_mib()
            await come_and_go(port, question, SESSIONS - WARM, moments)
            async with asyncio.timeout(30):  # what aborted transports are given to linger
                while asyncio.all_tasks() - baseline or len(running) or open_connections(port):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            grown = rss_mib() - before
    assert not Counter(abandoned)
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    print(f"{SESSIONS - WARM} sessions dropped: memory {grown:+.1f} MiB")  # noqa: T201 - for those who run it with -s
    assert grown < 16


def test_clients_that_leave_during_the_handshake_are_no_error(live_server_process: Server) -> None:
    server = live_server_process
    logged = len(server.log)
    request = (
        "GET /v1/realtime?model=guide HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {server.key}\r\n\r\n"
    )
    for n in range(200):
        with socket.create_connection(("127.0.0.1", server.port)) as line:
            if n % 2:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by RST, not FIN
            line.sendall(request.encode())
            time.sleep(n % 20 / 1000)
    server.wait_for("/readyz", within_s=10)
    assert "Traceback" not in server.log[logged:]


async def test_fifty_idle_sessions_take_little_memory_each(
    live_server_process: Server, providers: ScriptedServer, tmp_path: Path
) -> None:
    server = live_server_process
    await asyncio.to_thread(apply, server, {"good": providers.base_url()}, [Agent("chatty")], tmp_path)
    process = psutil.Process(server.process.pid)

    async with AsyncExitStack() as stack:

        async def open_sessions(count: int) -> float:
            """MiB of the server with `count` sessions more, each of which has heard something."""
            for _ in range(count):
                me = await stack.enter_async_context(client(server.ws_url, server.key, "chatty"))
                await me.append(Audio.silence(1000, RATE))
            await asyncio.sleep(1)
            return float(process.memory_info().rss) / 2**20

        before = await open_sessions(10)
        each = (await open_sessions(50) - before) / 50
    print(f"{each:.2f} MiB for each idle session")  # noqa: T201
    assert each <= 2
