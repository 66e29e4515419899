"""Newest wins for each key, no event is decided on twice, and the last of each key always is."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import Overloaded
from agents.spec import FeedSpec, SeriesSpec
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.feed import Feed, Taken
from sessions.pipeline.messages import PushEvent
from sessions.pipeline.series import BYTES_A_NUMBER
from telemetry import counters, names


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def feed(clock: Clock | None = None, bounds: Bounds | None = None, **spec: Any) -> Feed:
    return Feed(FeedSpec(mode="text", **spec), bounds or Bounds(), clock or Clock())


def push(to: Feed, key: str, size: int = 10, deadline_ms: int | None = None, **data: Any) -> None:
    to.push(PushEvent(key, data, size, deadline_ms))


def taken(of: Feed) -> Taken:
    news = of.take()
    assert news is not None
    return news


def answered(news: Taken) -> dict[str, int]:
    return {event.key: event.data["n"] for event in news.news.changed}


Op = tuple[str, str]
OPS = st.lists(st.tuples(st.sampled_from(["push", "push", "push", "take", "forget", "back"]), st.sampled_from("abc")))


@given(OPS, st.sampled_from(["all", "one"]))
def test_newest_wins_nothing_is_decided_twice_and_every_last_event_is(ops: list[Op], take: str) -> None:
    one = feed(take=take, deadline_ms=0)
    newest: dict[str, int] = {}
    since: dict[str, int] = {}
    decided: list[tuple[str, int]] = []
    begun: Taken | None = None

    def decide() -> Taken | None:
        news = one.take()
        if news is not None:
            assert all(newest[key] == n for key, n in answered(news).items())
            assert news.waiting == {key: since.pop(key) for key in news.waiting}
            decided.extend(answered(news).items())
        return news

    for n, (op, key) in enumerate(ops):
        match op:
            case "push":
                push(one, key, n=n)
                newest[key], since[key] = n, since.get(key, 0) + 1
            case "forget":
                one.push(PushEvent(key, None))
                newest.pop(key, None)
                since.pop(key, None)
                begun = None
            case "take":
                begun = decide()
            case "back" if begun is not None:
                one.give_back(begun)
                for name, n_back in answered(begun).items():
                    if (name, n_back) in decided:
                        decided.remove((name, n_back))
                    since[name] = since.get(name, 0) + begun.waiting[name]
                begun = None
    while decide():
        pass
    assert len(decided) == len(set(decided))
    assert {key: max(n for k, n in decided if k == key) for key in newest} == newest
    assert not one.has_news


def test_a_decision_takes_all_news_or_that_of_the_key_that_waits_longest() -> None:
    for take, expected in (("all", [{"a": 3, "b": 2}]), ("one", [{"a": 3}, {"b": 2}])):
        one = feed(take=take)
        for n, key in enumerate(["a", "a", "b", "a"]):
            push(one, key, n=n)
        found = []
        while (news := one.take()) is not None:
            found.append(answered(news))
            assert set(news.news.latest) == {"a", "b"}
        assert found == expected


def test_what_was_conflated_is_counted() -> None:
    one = feed()
    for n in range(5):
        push(one, "a", n=n)
    push(one, "b", n=9)
    news = taken(one)
    assert (news.events, news.conflated, news.expired) == (6, 4, 0)


def test_the_deadline_is_the_agents_unless_the_event_has_its_own() -> None:
    clock = Clock()
    one = feed(clock, deadline_ms=500)
    push(one, "a")
    clock.now = 0.2
    push(one, "b", deadline_ms=100)
    news = taken(one)
    assert news.arrived == 0.0
    assert news.due == pytest.approx(0.3)
    push(one, "a", deadline_ms=0)
    assert taken(one).due == float("inf")


def test_a_newer_event_has_a_deadline_of_its_own() -> None:
    clock = Clock()
    one = feed(clock, deadline_ms=100)
    push(one, "a", n=1)
    clock.now = 0.09
    push(one, "a", n=2)
    clock.now = 0.15
    assert answered(taken(one)) == {"a": 2}


def test_what_is_past_its_deadline_is_not_decided_on_but_told_and_kept_as_the_latest() -> None:
    clock = Clock()
    one = feed(clock, deadline_ms=100)
    before = counters.snapshot().get((names.FEED_EVENTS, "expired"), 0)
    push(one, "a", n=1)
    push(one, "a", n=2)
    clock.now = 0.2
    assert one.take() is None
    push(one, "b", n=3)
    news = taken(one)
    assert (answered(news), news.expired, news.news.latest["a"]) == ({"b": 3}, 2, {"n": 2})
    assert counters.snapshot()[names.FEED_EVENTS, "expired"] == before + 2


def test_the_last_decision_on_a_key_comes_with_its_next_event() -> None:
    one = feed(take="one")
    push(one, "a")
    push(one, "b")
    one.decided(taken(one), {"action": "buy"})
    push(one, "a")
    assert [taken(one).news.changed[0].last for _ in range(2)] == [None, {"action": "buy"}]


def test_series_are_kept_of_every_event_also_of_conflated_ones() -> None:
    kinds: tuple[Literal["mean", "ewma", "min", "max", "previous"], ...] = ("mean", "ewma", "min", "max", "previous")
    one = feed(series=tuple(SeriesSpec(name=kind, of="quote.bid", kind=kind, span=3) for kind in kinds))
    found = []
    for bid in (1, 5, 3, 9):
        push(one, "a", quote={"bid": bid})
        push(one, "a", other=True)
        push(one, "a", quote={"bid": "many"})
        found.append(taken(one).news.changed[0].series)
    assert found[0] == {"mean": 1, "ewma": 1, "min": 1, "max": 1}
    assert found[3] == {"mean": pytest.approx(17 / 3), "ewma": 6, "min": 3, "max": 9, "previous": 1}


def test_a_number_that_no_float_can_hold_counts_as_none() -> None:
    one = feed(series=(SeriesSpec(name="mean", of="x", kind="mean", span=3),))
    for number in (10**400, 2, -(10**400)):
        push(one, "a", x=number)
    assert taken(one).news.changed[0].series == {"mean": 2}


def test_keys_are_bounded_and_can_be_forgotten() -> None:
    one = feed(bounds=Bounds(feed_keys=2))
    before = counters.snapshot().get((names.OVERLOADED, "feed"), 0)
    push(one, "a", n=1)
    push(one, "b", n=1)
    with pytest.raises(Overloaded, match="2 keys; push null to forget one"):
        push(one, "c", n=1)
    push(one, "a", n=2)
    assert answered(taken(one)) == {"a": 2, "b": 1}
    one.push(PushEvent("a", None))
    push(one, "c", n=3)
    assert (len(one), answered(taken(one))) == (2, {"c": 3})
    assert counters.snapshot()[names.OVERLOADED, "feed"] == before + 1


def test_bytes_are_bounded_and_freed() -> None:
    one = feed(bounds=Bounds(feed_bytes=100))
    push(one, "a", size=60, n=1)
    with pytest.raises(Overloaded, match="more than 100 bytes"):
        push(one, "b", size=50)
    with pytest.raises(Overloaded, match="more than 100 bytes"):
        push(one, "a", size=101)
    assert answered(taken(one)) == {"a": 1}
    push(one, "a", size=50)
    push(one, "b", size=50)
    one.push(PushEvent("a", None))
    push(one, "c", size=50)
    assert len(one) == 2


def test_what_series_will_take_is_reserved_from_the_first_event_on() -> None:
    series = (SeriesSpec(name="slow", of="x", kind="mean", span=100),)
    one = feed(bounds=Bounds(feed_bytes=101 * BYTES_A_NUMBER + 50), series=series)
    push(one, "a", size=50)
    with pytest.raises(Overloaded):
        push(one, "b", size=1)
