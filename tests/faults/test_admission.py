"""A server with more to do than it can: who asks to come in hears so at once, and who is inside stays."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from benchmarks.harness import client, speech
from tests.conftest import StartServer
from tests.fakes.scripted_server import ScriptedServer
from tests.faults.live import Agent, answer, apply, audio_ms, change, speak, words
from tests.processes import GUARDED_DOOR, ROOT, Server, end, wait_until

REPLY = "Sure, it is nine. Or ten."
CALLERS = 4


@contextmanager
def flood(server: Server, agent: str) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.fakes.flood", server.ws_url, server.key, agent, str(CALLERS)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"connected\n"
        try:
            yield
        finally:
            end(process, signal.SIGTERM)


async def knock(server: Server, key: str) -> tuple[InvalidStatus | None, float]:
    """How the server refuses a caller, None if it does not, and the milliseconds until it has answered."""
    began = time.monotonic()
    try:
        async with connect(
            f"{server.ws_url}/v1/realtime?model=calm", additional_headers={"Authorization": f"Bearer {key}"}, proxy=None
        ):
            return None, (time.monotonic() - began) * 1000
    except InvalidStatus as refused:
        return refused, (time.monotonic() - began) * 1000


@pytest.mark.timeout(120)
async def test_a_server_behind_refuses_at_once_and_keeps_those_inside(
    start_server: StartServer, provider_server: ScriptedServer
) -> None:
    change(provider_server, stt_ms=20, llm_first_ms=20, llm_tokens_per_s=200, tts_first_ms=20, reply=REPLY)
    server = start_server(**GUARDED_DOOR | {"REPARTEE_LOOP_BUSY": "0.4"})
    apply(server, {"good": provider_server.base_url()}, [Agent("calm"), Agent("flooded")], server.data)
    clip = speech("Can you tell me about it?")
    async with client(server.ws_url, server.key, "calm") as inside:
        with flood(server, "flooded"):
            wait_until(lambda: server.get("/readyz?room")[0] == 503, within_s=20, what="closing the door")
            refused = [await knock(server, key) for key in (server.key, "sk_stranger") for _ in range(5)]
            await speak(inside, clip)
            spoken = await answer(inside)
        wait_until(lambda: server.get("/readyz?room")[0] == 200, within_s=20, what="opening it again")
        let_in, _ = await knock(server, server.key)

    for error, _ in refused:
        assert error is not None
        assert error.response.status_code == 503
        assert 4 <= int(error.response.headers["Retry-After"]) <= 8
        assert json.loads(error.response.body or b"")["error"]["code"] == "server_overloaded"
    assert median(ms for _, ms in refused) < 100
    assert words(inside, spoken) == REPLY
    assert audio_ms(inside, spoken) > 1_000
    assert server.get("/readyz")[0] == 200
    assert let_in is None
    assert "new sessions are refused" in server.log
    assert "Traceback" not in server.log


async def test_a_stampede_comes_in_little_by_little(start_server: StartServer, provider_server: ScriptedServer) -> None:
    """Sessions that have just begun cost nothing yet: nobody can tell how many of them are too many."""
    server = start_server(REPARTEE_ARRIVALS_AT_ONCE="3", REPARTEE_ARRIVALS_PER_S="2")
    apply(server, {"good": provider_server.base_url()}, [Agent("calm")], server.data)
    await asyncio.sleep(1)
    async with client(server.ws_url, server.key, "calm"):
        began = time.monotonic()
        answers = [await knock(server, server.key) for _ in range(40)]
        seconds = time.monotonic() - began

    assert 2 <= sum(error is None for error, _ in answers) <= 2 + 2 * seconds + 1
    assert {error.response.headers["Retry-After"] for error, _ in answers if error} == {"1"}
