"""A reader of a stream on virtual time: how long what is sent may wait to be taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from sessions.text_views import _impatient
from telemetry import counters, names
from tests import virtual_time

LIMIT_S = 10.0
EVENT = b"x" * 1_000_000


def cut_off() -> float:
    return counters.snapshot().get((names.SLOW_CLIENTS, ""), 0)


async def one_event() -> AsyncGenerator[bytes, None]:
    yield EVENT


def test_who_reads_a_long_event_slowly_gets_all_of_it() -> None:
    async def run() -> None:
        before, request = cut_off(), asyncio.create_task(asyncio.sleep(1_000))
        taken = b""
        async with aclosing(_impatient(one_event(), request, LIMIT_S)) as pieces:
            async for piece in pieces:
                taken += piece
                await asyncio.sleep(0.9 * LIMIT_S)
        await request
        assert taken == EVENT
        assert cut_off() == before

    virtual_time.run(run())


def test_who_takes_nothing_is_cut_off_and_counted() -> None:
    async def run() -> None:
        before, request = cut_off(), asyncio.create_task(asyncio.sleep(1_000))
        async with aclosing(_impatient(one_event(), request, LIMIT_S)) as pieces:
            await anext(pieces)
            await asyncio.sleep(1.1 * LIMIT_S)
        assert request.cancelled()
        assert cut_off() == before + 1

    virtual_time.run(run())


def test_who_left_with_something_untaken_is_not_counted_as_slow() -> None:
    async def run() -> None:
        before, request = cut_off(), asyncio.create_task(asyncio.sleep(1))
        pieces = _impatient(one_event(), request, LIMIT_S)
        await anext(pieces)
        await asyncio.sleep(2 * LIMIT_S)
        assert request.done()
        assert cut_off() == before
        await pieces.aclose()

    virtual_time.run(run())
