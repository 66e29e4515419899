"""A conversation goes on while its records cannot be kept, and they are all there afterwards."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from agents.audio import Audio
from benchmarks.harness import Client, client, speech
from tests.conftest import StartServer
from tests.fakes.scripted_server import ScriptedServer, scripted_server
from tests.faults.live import Agent, answer, apply, ask, change, every_response_ended, of, speak
from tests.processes import Server, wait_until

LONG = " ".join(["Let me tell you all about it, one thing after the other."] * 5)
SMALL = 16 * 1024
"""Bytes: room for the log, and for no commit: each writes more pages of 4 KiB than that."""


@pytest.fixture(scope="module")
def providers() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        change(server, stt_ms=20, llm_first_ms=20, llm_tokens_per_s=200, tts_first_ms=20, tts_speed=50)
        yield server


@pytest.fixture(scope="module")
def question() -> Audio:
    return speech("What time is it there now?")


@pytest.fixture(scope="module")
def accounts(providers: ScriptedServer) -> dict[str, str]:
    return {"good": providers.base_url(reply="It is nine."), "long": providers.base_url(reply=LONG)}


@pytest.fixture(scope="module")
def shared(live_server_process: Server, accounts: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The server of all tests: its records are told apart by agent."""
    apply(live_server_process, accounts, [Agent("lock"), Agent("disk")], tmp_path_factory.mktemp("agents"))
    return live_server_process


@pytest.fixture
def own(start_server: StartServer, accounts: dict[str, str], tmp_path: Path) -> Server:
    """A server that a test may end."""
    running = start_server()
    apply(running, accounts, [Agent("long", llm="account: long, model: any")], tmp_path)
    return running


def rows(server: Server, query: str) -> list[Any]:
    with closing(sqlite3.connect(server.data / "repartee.sqlite3", timeout=10)) as database:
        return database.execute(query).fetchall()


@contextmanager
def locked_database(server: Server) -> Iterator[None]:
    """Another process, this one, is writing."""
    with closing(sqlite3.connect(server.data / "repartee.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


@contextmanager
def full_disk(server: Server) -> Iterator[None]:
    """No file of the server's can grow beyond `SMALL`: a limit that needs no root, and that a process may lift."""
    pid = server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (SMALL, before[1]))
    try:
        yield
    finally:
        if server.process.poll() is None:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


async def turns(me: Client, question: Audio, count: int) -> None:
    """Spoken turns, each answered as promptly as ever."""
    for _ in range(count):
        started = asyncio.get_running_loop().time()
        await speak(me, question)
        await me.until("response.output_audio.delta")
        assert asyncio.get_running_loop().time() - started < 4  # SQLite itself would wait for 5 s
        assert (await answer(me))["status"] == "completed"
        await me.until("repartee.turn")


def stored_turns(server: Server, agent: str) -> int:
    """Turns of which everything is there: the trace, and both items with their words."""
    (found,) = rows(
        server,
        f"""
        SELECT COUNT(*) FROM telemetry_turn AS turn
        WHERE agent = '{agent}' AND end_reason = 'completed' AND 2 = (
            SELECT COUNT(*) FROM voice_sessions_conversationitem AS item
            JOIN voice_sessions_itemtext AS words ON words.item_id = item.id
            WHERE item.session_id = turn.session AND item.turn_index = turn."index" AND words.text <> ''
        )""",  # noqa: S608 - our own names
    )
    return int(found[0])


def arrive(server: Server, agent: str, turns: int) -> None:
    """Records that waited are stored at the next attempt, which is at most ten seconds away."""
    wait_until(lambda: stored_turns(server, agent) == turns, within_s=20, what=f"the return of {turns} turns")


async def test_a_locked_database_is_waited_for_and_nothing_is_lost(shared: Server, question: Audio) -> None:
    async with client(shared.ws_url, shared.key, "lock") as me:
        await turns(me, question, 1)
        with locked_database(shared):
            started = asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() - started < 6:  # longer than SQLite itself waits
                await turns(me, question, 1)
            async with client(shared.ws_url, shared.key, "lock") as other:
                await turns(other, question, 1)
                assert every_response_ended(other)
            assert stored_turns(shared, "lock") <= 1
        await turns(me, question, 1)
        assert every_response_ended(me)
        total = len(of(me, "repartee.turn")) + 1
    await asyncio.to_thread(arrive, shared, "lock", total)


async def test_a_full_disk_is_waited_out_and_nothing_is_lost(shared: Server, question: Audio) -> None:
    logged = len(shared.log)
    async with client(shared.ws_url, shared.key, "disk") as me:
        await turns(me, question, 1)
        await asyncio.to_thread(arrive, shared, "disk", 1)
        with full_disk(shared):
            await turns(me, question, 2)
            async with client(shared.ws_url, shared.key, "disk") as other:
                await turns(other, question, 1)
            wait_until(lambda: "session records wait" in shared.log[logged:], within_s=20, what="the log line")
            await turns(me, question, 1)
            assert stored_turns(shared, "disk") == 1
        await turns(me, question, 1)
        assert every_response_ended(me)
    await asyncio.to_thread(arrive, shared, "disk", 6)
    assert shared.log[logged:].count("session records wait") == 1
    assert "Traceback" not in shared.log[logged:]


async def end_in_mid_reply(server: Server) -> None:
    """Ctrl-C while the agent speaks, and a clean end of both sides."""
    asked = 0.0
    ends: list[int] = []
    try:
        async with client(server.ws_url, server.key, "long") as me:
            await ask(me)
            await me.until("response.output_audio.delta")
            await asyncio.sleep(1)
            asked = time.monotonic()
            server.process.send_signal(signal.SIGINT)
            await me.until("nothing")
    except* ConnectionClosed as closed:
        ends = [end.rcvd.code for end in closed.exceptions if isinstance(end, ConnectionClosed) and end.rcvd]
    await asyncio.to_thread(server.process.wait, 10)
    assert time.monotonic() - asked < 2
    assert ends == [1012]
    assert server.process.returncode in (0, 130)
    assert "Traceback" not in server.log


async def test_ctrl_c_during_a_reply_keeps_its_trace(own: Server) -> None:
    await end_in_mid_reply(own)
    assert rows(own, "SELECT end_reason FROM telemetry_turn") in ([("session_closed",)], [("cancelled",)])
    (heard,) = rows(
        own, "SELECT interrupted, heard_ms < audio_ms FROM voice_sessions_conversationitem WHERE role = 'assistant'"
    )
    assert heard == (1, 1)
    assert rows(own, "SELECT end_reason, ended_at IS NOT NULL FROM voice_sessions_session") == [("shutdown", 1)]


async def test_ctrl_c_while_the_database_cannot_grow_spills_the_trace(own: Server) -> None:
    """The next start stores what lies there."""
    with full_disk(own):
        await end_in_mid_reply(own)
    spilled = "".join(path.read_text() for path in (own.data / "journal").rglob("*.jsonl"))
    kinds = [json.loads(line)[0] for line in spilled.splitlines()]
    assert kinds.count("turn") == 1
    assert kinds[-1] == "closed"
