"""How much a key may ask for, on a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.errors import TooManyRequests, TooManySessions
from sessions.limits import KeyLimiter, Limits
from telemetry import counters

T = TypeVar("T")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def now(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def counted(what: str) -> float:
    return counters.snapshot().get(("keys.limited", what), 0)


def test_a_minutes_requests_may_come_at_once_and_then_one_by_one() -> None:
    clock, before = Clock(), counted("requests")
    limiter, limits = KeyLimiter(clock=clock), Limits(requests_per_minute=60)
    left = [now(limiter.request("a", limits)).remaining for _ in range(60)]

    assert left == list(range(59, -1, -1))
    with pytest.raises(TooManyRequests) as refused:
        now(limiter.request("a", limits))
    assert refused.value.retry_after_s == 1
    assert refused.value.headers["x-ratelimit-remaining-requests"] == "0"
    assert counted("requests") == before + 1
    assert now(limiter.request("b", limits)).remaining == 59  # others are not hurt

    clock.now += 1
    assert now(limiter.request("a", limits)).headers == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "60000ms",
    }
    with pytest.raises(TooManyRequests):
        now(limiter.request("a", limits))
    clock.now += 60
    assert now(limiter.request("a", limits)).remaining == 59


def test_those_refused_do_not_make_the_wait_longer() -> None:
    clock = Clock()
    limiter, limits = KeyLimiter(clock=clock), Limits(requests_per_minute=1)
    now(limiter.request("a", limits))
    waits = []
    for _ in range(5):
        with pytest.raises(TooManyRequests) as refused:
            now(limiter.request("a", limits))
        waits.append(refused.value.retry_after_s)
        clock.now += 10

    assert waits == [60, 50, 40, 30, 20]


@given(limit=st.integers(1, 5_000), pauses=st.lists(st.floats(0, 5), max_size=60))
def test_what_is_said_to_remain_is_true(limit: int, pauses: list[float]) -> None:
    clock = Clock()
    limiter, limits = KeyLimiter(clock=clock), Limits(requests_per_minute=limit)
    taken = 0
    for pause in pauses:
        clock.now += pause
        try:
            quota = now(limiter.request("a", limits))
        except TooManyRequests as refused:
            clock.now += refused.retry_after_s
            now(limiter.request("a", limits))  # the wait that was told is enough
        else:
            assert 0 <= quota.remaining < limit
        taken += 1
    assert taken <= limit + (clock.now - 1_000) * limit / 60 + 1


def test_no_limit_is_no_limit_and_has_no_headers() -> None:
    limiter = KeyLimiter()

    assert {str(now(limiter.request("a", Limits())).headers) for _ in range(1_000)} == {"{}"}
    assert not limiter._made_up_at


def test_a_key_has_so_many_sessions_at_once() -> None:
    limiter, limits, before = KeyLimiter(), Limits(sessions_at_once=2), counted("sessions")

    async def check() -> None:
        async with limiter.session("a", limits), limiter.session("b", limits):
            async with limiter.session("a", limits):
                with pytest.raises(TooManySessions, match="has 2 sessions open"):
                    async with limiter.session("a", limits):
                        pytest.fail("a third session")
            with pytest.raises(RuntimeError):
                async with limiter.session("a", limits):
                    raise RuntimeError
            async with limiter.session("a", limits):
                pass

    now(check())
    assert counted("sessions") == before + 1
    assert not limiter._sessions


def test_the_memory_of_accounts_is_bounded_and_forgets_who_was_idle_longest() -> None:
    clock = Clock()
    limiter, limits = KeyLimiter(accounts=3, clock=clock), Limits(requests_per_minute=10)
    for account in ("a", "b", "c", "a", "d"):
        now(limiter.request(account, limits))

    assert list(limiter._made_up_at) == ["c", "a", "d"]
