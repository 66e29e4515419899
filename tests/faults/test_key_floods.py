"""A key that asks for more than it may: it is told so, what it has goes on, and others notice nothing."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress

import pytest
from websockets.exceptions import InvalidStatus

from tests import processes
from tests.faults.test_hostile_clients import connected, still_serves
from tests.processes import Server, manage

SESSIONS, REQUESTS = 3, 50
FLOOD = 150


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with processes.server(data=tmp_path_factory.mktemp("floods")) as running:
        running.wait_for("/readyz")
        yield running


def new_key(server: Server, *limits: str) -> str:
    printed = manage(server.data, "apikey", "create", "flooder", *limits)
    found = re.search(r"sk_[\w-]+", printed)
    assert found is not None
    return found[0]


async def opens_again(server: Server, key: dict[str, str]) -> None:
    """The places of sessions that have ended are free, or about to be."""
    async with asyncio.timeout(20):
        while True:
            with suppress(InvalidStatus):
                async with connected(server, **key) as socket:
                    await still_serves(socket)
                    return
            await asyncio.sleep(0.1)


async def slow_answer(server: Server, until: asyncio.Event) -> float:
    """Seconds that another key's running session took to answer, at p95."""
    took: list[float] = []
    async with connected(server) as socket:
        while not (until.is_set() and took):
            began = time.monotonic()
            await still_serves(socket)
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.02)
    return sorted(took)[len(took) * 95 // 100]


async def test_a_key_with_all_its_sessions_gets_no_more_and_keeps_those(server: Server) -> None:
    key = await asyncio.to_thread(new_key, server, "--sessions", str(SESSIONS), "--requests", "0")
    mine, over = {"Authorization": f"Bearer {key}"}, asyncio.Event()
    refused: Counter[int] = Counter()

    async def knock() -> None:
        with pytest.raises(InvalidStatus) as answer:
            async with connected(server, **mine):
                pass
        refused[answer.value.response.status_code] += 1
        assert int(answer.value.response.headers["Retry-After"]) >= 1

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        held = [await stack.enter_async_context(connected(server, **mine)) for _ in range(SESSIONS)]
        watching = group.create_task(slow_answer(server, over))
        for _ in range(FLOOD // 10):
            await asyncio.gather(*(knock() for _ in range(10)))
        for socket in held:
            await still_serves(socket)
        over.set()
    assert refused == {429: FLOOD}
    assert watching.result() < 2
    await opens_again(server, mine)


async def test_a_key_beyond_its_requests_waits_and_others_do_not(server: Server) -> None:
    key = await asyncio.to_thread(new_key, server, "--scope", "text", "--requests", str(REQUESTS))
    over = asyncio.Event()

    def flood() -> Counter[int]:
        headers = {"Authorization": f"Bearer {key}"}
        return Counter(server.get("/v1/models", headers)[0] for _ in range(FLOOD))

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(slow_answer(server, over))
        answers = await asyncio.to_thread(flood)
        others = await asyncio.to_thread(server.get, "/v1/models", {"Authorization": f"Bearer {server.key}"})
        over.set()
    assert set(answers) == {200, 429}
    assert REQUESTS <= answers[200] < FLOOD
    assert others[0] == 200
    assert watching.result() < 2
