"""Streams over real sockets, under both servers: prompt, patient, and over when their reader is gone."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import httpx
import pytest

from tests.fakes.scripted_server import ScriptedServer, scripted_server
from tests.faults.live import Agent, apply, change
from tests.integration.test_servers import DAPHNE
from tests.processes import Server, manage, wait_until
from tests.processes import server as running

UVICORN = ("-m", "project.server", "--host", "127.0.0.1", "--port", "{port}")
GAP_MS = 100
WORDS = "One two three four five six seven eight nine ten eleven twelve."
COUNT = len(WORDS.split())
KEEPALIVE_S = 0.15
WITHIN_S = 10.0
"""A client that leaves is gone for the language model's server, too, which never ends by itself. How soon, is measured
by benchmarks/disconnect.py."""


@pytest.fixture(scope="module")
def providers() -> Iterator[ScriptedServer]:
    with scripted_server() as one:
        change(one, reply="word " * 8_000)
        yield one


@pytest.fixture(scope="module", params=["uvicorn", "daphne"])
def server(
    request: pytest.FixtureRequest, providers: ScriptedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Its keep-alive comments come after `KEEPALIVE_S`, it gives a reader 1 s, and it makes six answers at once."""
    folder = tmp_path_factory.mktemp(request.param)
    manage(folder, "migrate")
    with running(
        command=UVICORN if request.param == "uvicorn" else DAPHNE,
        data=folder,
        DJANGO_SETTINGS_MODULE="project.settings",
        REPARTEE_KEEPALIVE_S=str(KEEPALIVE_S),
        REPARTEE_WRITE_TIMEOUT_S="1",
        REPARTEE_TEXT_REPLIES="6",
    ) as one:
        one.wait_for("/healthz")
        steady = {"llm_first_ms": GAP_MS, "llm_tokens_per_s": 1000 / GAP_MS, "reply": WORDS}
        scripts: dict[str, dict[str, object]] = {
            "steady": steady,
            "slow": steady | {"llm_tokens_per_s": 3},
            "late": steady | {"llm_first_ms": 500, "llm_tokens_per_s": 0},
            "late-and-down": steady | {"llm_first_ms": 500, "fault": "stall", "fault_after": 0},
            "endless": {"llm_first_ms": GAP_MS, "llm_tokens_per_s": 1000 / GAP_MS},
            "flood": {"llm_first_ms": 0, "llm_tokens_per_s": 0},
        }
        accounts = {"good": providers.base_url(), **{name: providers.base_url(**s) for name, s in scripts.items()}}
        agents = [Agent(name, llm=f"account: {name}, model: any") for name in scripts]
        apply(one, accounts, agents, folder, hasty=["late-and-down"])
        yield one
        assert "Traceback" not in one.log


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {server.key}"}
    async with httpx.AsyncClient(base_url=f"{server.url}/v1", headers=headers, timeout=20) as client:
        yield client


def chat(agent: str, **rest: Any) -> dict[str, Any]:
    return {"model": agent, "messages": [{"role": "user", "content": "Count!"}], **rest}


def ask(agent: str, **rest: Any) -> dict[str, Any]:
    return {"model": agent, "input": "Count!", **rest}


async def eventually(condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_until, condition, within_s=30, what=what)


def begun(providers: ScriptedServer, since: int) -> list[dict[str, Any]]:
    """Requests that the model's server has begun to answer."""
    return [entry for entry in providers.log(since) if entry["status"] is not None]


async def gone(providers: ScriptedServer, request_id: int) -> float:
    """When the model's server saw its client leave, by the monotonic clock."""
    return await asyncio.to_thread(providers.wait_for_disconnect, request_id, within_s=20)


async def take_a_place(http: httpx.AsyncClient, held: AsyncExitStack) -> None:
    """One of the server's six, which it may still be about to free."""
    async with asyncio.timeout(20):
        while True:
            answer = await held.enter_async_context(http.stream("POST", "/responses", json=ask("endless", stream=True)))
            if answer.status_code == 200:
                return
            await asyncio.sleep(0.05)


async def data_of(response: httpx.Response) -> AsyncIterator[tuple[float, Any]]:
    """What the lines of a stream say and when they came; a comment says None."""
    async for line in response.aiter_lines():
        if line.startswith(":"):
            yield time.monotonic(), None
        elif line.startswith("data: {"):
            yield time.monotonic(), json.loads(line.removeprefix("data: "))


def word(data: Any) -> str | None:
    """The word in an event of either dialect."""
    if data is None:
        return None
    if "choices" in data:
        return data["choices"][0]["delta"].get("content") or None
    return data["delta"] if data["type"] == "response.output_text.delta" else None


@asynccontextmanager
async def half_read(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> AsyncIterator[list[Any]]:
    """Events of a stream up to its third word; the connection is closed at the end of the block."""
    async with http.stream("POST", path, json=body) as response:
        events, words = [], 0
        async for _, data in data_of(response):
            events.append(data)
            words += word(data) is not None
            if words == 3:
                break
        yield events


PATHS = pytest.mark.parametrize(
    ("path", "body"), [("/chat/completions", chat("steady", stream=True)), ("/responses", ask("steady", stream=True))]
)
ENDLESS = pytest.mark.parametrize(
    ("path", "body"), [("/chat/completions", chat("endless", stream=True)), ("/responses", ask("endless", stream=True))]
)


@PATHS
async def test_each_word_arrives_when_it_was_said(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    async with http.stream("POST", path, json=body) as response:
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["x-request-id"]
        times = [at for at, data in [pair async for pair in data_of(response)] if word(data)]
    gaps = [(after - before) * 1000 for before, after in itertools.pairwise(times)]
    assert len(times) == COUNT
    assert times[-1] - times[0] > 0.5 * (COUNT - 1) * GAP_MS / 1000  # in no lump
    assert statistics.median(gaps) == pytest.approx(GAP_MS, rel=0.3)


@pytest.mark.parametrize(
    ("path", "body"), [("/chat/completions", chat("late", stream=True)), ("/responses", ask("late", stream=True))]
)
async def test_while_the_model_thinks_there_are_comments(
    http: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    started = time.monotonic()
    async with http.stream("POST", path, json=body) as response:
        events = [data async for _, data in data_of(response)]
    assert 1 <= events.count(None) <= (time.monotonic() - started) / KEEPALIVE_S
    assert "".join(filter(None, map(word, events))) == WORDS


async def test_a_failure_after_a_long_wait_comes_in_the_stream(http: httpx.AsyncClient) -> None:
    async with http.stream("POST", "/chat/completions", json=chat("late-and-down", stream=True)) as response:
        assert response.status_code == 200
        lines = [line async for line in response.aiter_lines() if line]
    assert lines[1] == ": keep-alive"
    assert json.loads(lines[-2].removeprefix("data: "))["error"]["code"] == "provider_timeout"
    assert lines[-1] == "data: [DONE]"


@ENDLESS
async def test_a_reader_who_leaves_ends_the_work(
    http: httpx.AsyncClient, providers: ScriptedServer, path: str, body: dict[str, Any]
) -> None:
    request_id = providers.last_id()
    async with half_read(http, path, body):
        pass
    left = time.monotonic()
    assert await gone(providers, request_id) - left < WITHIN_S


@pytest.mark.parametrize(("path", "body"), [("/chat/completions", chat("endless")), ("/responses", ask("endless"))])
async def test_a_client_who_does_not_wait_ends_the_work(
    http: httpx.AsyncClient, providers: ScriptedServer, path: str, body: dict[str, Any]
) -> None:
    request_id = providers.last_id()
    asking = asyncio.create_task(http.post(path, json=body))
    await eventually(lambda: len(providers.log(request_id)) == 1, "the model is asked")
    asking.cancel()
    left = time.monotonic()
    assert await gone(providers, request_id) - left < WITHIN_S


async def test_an_interruption_from_another_connection(http: httpx.AsyncClient, providers: ScriptedServer) -> None:
    request_id = providers.last_id()
    async with http.stream("POST", "/responses", json=ask("endless", stream=True)) as response:
        events, response_id, asked_at = [], "", 0.0
        async for _, data in data_of(response):
            events.append(data)
            if word(data) and not response_id:
                response_id, asked_at = events[0]["response"]["id"], time.monotonic()
                cancelled = await http.post(f"/responses/{response_id}/cancel")
                assert cancelled.json()["status"] == "cancelled"
    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["status"] == "cancelled"
    assert await gone(providers, request_id) - asked_at < WITHIN_S


async def test_a_response_in_the_background_is_resumed(http: httpx.AsyncClient) -> None:
    """As a browser does it: from the last event it has, by the header that its EventSource sends."""
    async with half_read(http, "/responses", ask("slow", stream=True, background=True)) as first:
        pass
    response_id, last = first[0]["response"]["id"], first[-1]["sequence_number"]
    polled = (await http.get(f"/responses/{response_id}")).json()
    assert (polled["status"], polled["background"]) == ("in_progress", True)
    async with http.stream(
        "GET", f"/responses/{response_id}?stream=true", headers={"Last-Event-ID": str(last)}
    ) as response:
        rest = [pair async for pair in data_of(response) if pair[1] is not None]
    events = [*filter(None, first), *(data for _, data in rest)]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert "".join(filter(None, map(word, events))) == WORDS
    assert rest[-1][0] - rest[0][0] > GAP_MS / 1000  # it went on live


async def test_who_leaves_a_second_reading_ends_nothing(http: httpx.AsyncClient) -> None:
    async with http.stream("POST", "/responses", json=ask("steady", stream=True)) as response:
        events: list[Any] = []
        async for _, data in data_of(response):
            events.append(data)
            if len(events) == 5:
                other = f"/responses/{events[0]['response']['id']}?stream=true&starting_after=2"
                async with http.stream("GET", other) as second:
                    assert (await anext(data_of(second)))[1]["sequence_number"] == 3
    assert events[-1]["type"] == "response.completed"


async def test_a_full_server_says_when_to_come_back(http: httpx.AsyncClient) -> None:
    async with AsyncExitStack() as held:
        for _ in range(6):
            await take_a_place(http, held)
        refused = await http.post("/chat/completions", json=chat("steady"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "server_overloaded")
        assert refused.headers["retry-after"]
    async with AsyncExitStack() as held:
        await take_a_place(http, held)


async def test_many_who_leave_at_any_moment_leave_nothing(http: httpx.AsyncClient, providers: ScriptedServer) -> None:
    since, chance = providers.last_id(), random.Random(1)

    async def come_and_go() -> None:
        body = chat("endless", stream=chance.random() < 0.5)
        with suppress(TimeoutError):
            async with asyncio.timeout(chance.uniform(0.01, 0.4)):
                await http.post("/chat/completions", json=body)

    for _ in range(20):
        await asyncio.gather(*(come_and_go() for _ in range(4)))
    assert len(begun(providers, since)) > 10
    await eventually(lambda: all(one["disconnected"] is not None for one in begun(providers, since)), "the end of all")
    async with AsyncExitStack() as held:  # all places are free again
        for _ in range(6):
            await take_a_place(http, held)


async def test_a_reader_who_reads_nothing_is_cut_off(
    http: httpx.AsyncClient, server: Server, providers: ScriptedServer
) -> None:
    """The model's server is read to its end meanwhile: it does not wait for the reader. daphne takes all and waits."""
    request_id = providers.last_id()
    body = json.dumps(ask("flood", stream=True)).encode()
    head = f"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.key}\r\n"
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await eventually(lambda: any(one["last_byte"] for one in providers.log(request_id)), "all that the model says")
        await asyncio.sleep(4)
        if "daphne" not in str(server.data):
            assert await asyncio.to_thread(_bytes_left, deaf) < 1_500_000
    assert (await http.post("/responses", json=ask("steady"))).status_code == 200
    assert "Traceback" not in server.log


def _bytes_left(deaf: socket.socket) -> int:
    """What a socket still has to give before it turns out to be dead."""
    deaf.settimeout(5)
    count = 0
    try:
        while data := deaf.recv(65_536):
            count += len(data)
    except ConnectionError:
        pass
    return count
