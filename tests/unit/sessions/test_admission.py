from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sessions.admission import ARRIVALS, REOPEN_AT, Door

LOOK_S = 0.05
LIMITS = {"lag": 20.0, "wait": 500.0}


def door(*, at_once: int = 10, per_s: float = 5.0, limits: dict[str, float] = LIMITS) -> Door:
    return Door(limits, at_once=at_once, per_s=per_s)


def pass_time(door: Door, seconds: float, **measured: float) -> None:
    for _ in range(round(seconds / LOOK_S)):
        door.observe({"lag": 0.0, "wait": 0.0, **measured}, LOOK_S)


def come_in(door: Door, most: int = 1_000) -> int:
    """How many come in now."""
    for n in range(most):
        if door.refusal():
            return n
        door.admit()
    return most


def test_it_closes_over_a_limit_and_says_which() -> None:
    one = door()
    pass_time(one, 3, wait=450)
    assert one.refusal() is None
    pass_time(one, 3, wait=600)
    assert one.refusal() == "wait"


def test_one_long_step_does_not_close_it() -> None:
    """A model that takes both cores for 300 ms and keeps the loop waiting for twice its limit."""
    one = door()
    pass_time(one, 0.3, lag=40)
    assert one.refusal() is None


def test_a_long_stall_closes_it_for_two_seconds() -> None:
    one = door()
    one.observe({"lag": 5_000.0, "wait": 0.0}, 5.0)
    assert one.refusal() == "lag"
    pass_time(one, 2)
    assert one.open


def test_it_opens_well_below_where_it_closed() -> None:
    one = door()
    pass_time(one, 3, lag=25)
    pass_time(one, 30, lag=20 * (REOPEN_AT + 0.05))
    assert one.refusal() == "lag"
    pass_time(one, 3, lag=20 * (REOPEN_AT - 0.05))
    assert one.open


def test_who_waited_outside_comes_in_one_by_one() -> None:
    """When it opens again it owes nothing to those refused meanwhile: no stampede."""
    one = door(at_once=10, per_s=5)
    pass_time(one, 5, lag=30)
    came = 0
    while not one.open:
        pass_time(one, LOOK_S)
        came += come_in(one)
    assert came == 0
    for _ in range(round(4 / LOOK_S)):
        pass_time(one, LOOK_S)
        came += come_in(one)
    assert 5 <= came <= 20


def test_the_fuller_it_is_the_fewer_come_in() -> None:
    def came_in_10_s(lag: float) -> int:
        one = door(at_once=1, per_s=5)
        pass_time(one, 5, lag=lag)
        came = 0
        for _ in range(round(10 / LOOK_S)):
            pass_time(one, LOOK_S, lag=lag)
            came += come_in(one)
        return came

    assert came_in_10_s(0) == 50
    assert came_in_10_s(10) == 25
    assert came_in_10_s(18) == 5


def test_a_limit_of_0_is_none() -> None:
    one = door(at_once=0, limits={"lag": 0.0, "wait": 0.0})
    pass_time(one, 5, lag=10_000, wait=10_000)
    assert come_in(one, most=5_000) == 5_000
    assert one.fullest is None


def test_no_arrivals_a_second_bounds_none() -> None:
    one = door(at_once=10, per_s=0)
    assert come_in(one, most=5_000) == 5_000


lags = st.lists(st.tuples(st.floats(0, 200), st.integers(0, 30)), max_size=60)


@given(lags)
def test_whatever_happens_no_more_come_in_than_the_rate_allows(script: list[tuple[float, int]]) -> None:
    one = door(at_once=10, per_s=5)
    seconds, came = 0.0, 0
    for lag, knocks in script:
        pass_time(one, 0.1, lag=lag)
        seconds += 0.1
        came += come_in(one, most=knocks)
        assert came <= 10 + 5 * seconds + 1e-6


@given(lags)
def test_whatever_happened_it_is_shut_while_full_and_opens_when_all_is_quiet(script: list[tuple[float, int]]) -> None:
    one = door()
    for lag, knocks in script:
        pass_time(one, 0.1, lag=lag)
        come_in(one, most=knocks)
        if max(one.used.values()) >= 1:
            assert one.refusal() == "lag"
    pass_time(one, 3)
    assert one.refusal() is None
    pass_time(one, 5, lag=21)
    assert one.refusal() == "lag"


def test_too_many_at_once_is_its_own_reason() -> None:
    one = door(at_once=10, per_s=5)
    assert come_in(one) == 10
    assert one.refusal() == ARRIVALS
    pass_time(one, 0.25)
    assert come_in(one) == 1
