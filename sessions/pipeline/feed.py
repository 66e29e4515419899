"""The feed: of each key the newest event that no decision has answered, and what is kept of those before it.

A newer event replaces an older one of its key, which is then never decided on: it is conflated. What must not be
lost of it, such as a mean, is kept as a series.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.errors import Overloaded
from agents.interfaces import FeedEvent, News
from agents.spec import FeedSpec
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.messages import PushEvent
from sessions.pipeline.series import Series, reserved_bytes
from telemetry import counters, names


@dataclass(slots=True)
class _Entry:
    """One key. `waiting` counts the events since the last decision on it; 0 is no news.

    `arrived` and `due` (inf without a deadline) are of the newest event, in seconds of the session's clock.
    """

    series: list[Series]
    data: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0
    arrived: float = 0.0
    due: float = math.inf
    waiting: int = 0
    last: Any = None


@dataclass(frozen=True, slots=True)
class Taken:
    """The news that one decision answers, which stands for `events` events.

    `expired` counts events that passed their deadline before any decision could begin, since the decision before.
    """

    news: News
    waiting: Mapping[str, int]
    arrived: float
    due: float
    expired: int

    @property
    def events(self) -> int:
        return sum(self.waiting.values())

    @property
    def conflated(self) -> int:
        return self.events - len(self.waiting)


class Feed:
    """Bounded in keys and in bytes; beyond that an event is refused, and what is there stays."""

    def __init__(self, spec: FeedSpec, bounds: Bounds, clock: Callable[[], float]) -> None:
        self._spec = spec
        self._bounds = bounds
        self._clock = clock
        self._reserved = reserved_bytes(spec.series)
        self._entries: dict[str, _Entry] = {}
        self._news: dict[str, None] = {}  # the longest waiting first
        self._bytes = 0
        self._expired = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def has_news(self) -> bool:
        return bool(self._news)

    def push(self, event: PushEvent) -> None:
        """Take an event, or with None as data forget its key. Overloaded if there is no room for it."""
        if event.data is None:
            self._forget(event.key)
            return
        entry = self._entries.get(event.key) or self._new_entry(event)
        grown = self._bytes + event.size - entry.size
        if grown > self._bounds.feed_bytes and event.size > entry.size:
            raise _full(f"the events of all keys would take more than {self._bounds.feed_bytes} bytes")
        self._bytes, entry.size = grown, event.size
        entry.data, entry.arrived = event.data, self._clock()
        deadline_ms = self._spec.deadline_ms if event.deadline_ms is None else event.deadline_ms
        entry.due = entry.arrived + deadline_ms / 1000 if deadline_ms else math.inf
        entry.waiting += 1
        self._news[event.key] = None
        for series in entry.series:
            series.push(event.data)

    def take(self) -> Taken | None:
        """The news to be decided on next, which then is none any more. What is past its deadline is passed over."""
        self._expire()
        if not self._news:
            return None
        keys = [next(iter(self._news))] if self._spec.take == "one" else list(self._news)
        entries = {key: self._entries[key] for key in keys}
        taken = Taken(
            News(tuple(_event(key, entry) for key, entry in entries.items()), self._latest()),
            {key: entry.waiting for key, entry in entries.items()},
            min(entry.arrived for entry in entries.values()),
            min(entry.due for entry in entries.values()),
            self._expired,
        )
        self._expired = 0
        for key in keys:
            self._settle(key)
        return taken

    def give_back(self, taken: Taken) -> None:
        """Nothing came of a decision: its news are news again, unless their key is forgotten."""
        kept = {key: waiting for key, waiting in taken.waiting.items() if key in self._entries}
        for key, waiting in kept.items():
            self._entries[key].waiting += waiting
        self._news = {**dict.fromkeys(kept), **self._news}

    def decided(self, taken: Taken, decision: Any) -> None:
        """Remember the last decision on each key of `taken`."""
        for key in taken.waiting:
            if key in self._entries:
                self._entries[key].last = decision

    def _new_entry(self, event: PushEvent) -> _Entry:
        if len(self._entries) >= self._bounds.feed_keys:
            raise _full(f"it holds {self._bounds.feed_keys} keys; push null to forget one")
        if self._bytes + self._reserved + event.size > self._bounds.feed_bytes:
            raise _full(f"the events of all keys would take more than {self._bounds.feed_bytes} bytes")
        self._bytes += self._reserved
        entry = self._entries[event.key] = _Entry([Series(spec) for spec in self._spec.series])
        return entry

    def _forget(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size + self._reserved
            self._news.pop(key, None)
            counters.count(names.FEED_EVENTS, entry.waiting, outcome="forgotten")

    def _expire(self) -> None:
        now = self._clock()
        for key in [key for key in self._news if self._entries[key].due <= now]:
            waiting = self._entries[key].waiting
            self._expired += waiting
            counters.count(names.FEED_EVENTS, waiting, outcome="expired")
            self._settle(key)

    def _settle(self, key: str) -> None:
        del self._news[key]
        self._entries[key].waiting = 0

    def _latest(self) -> dict[str, Mapping[str, Any]]:
        return {key: entry.data for key, entry in self._entries.items()}


def _event(key: str, entry: _Entry) -> FeedEvent:
    figures = {series.name: value for series in entry.series if (value := series.value()) is not None}
    return FeedEvent(key, entry.data, figures, entry.last)


def _full(reason: str) -> Overloaded:
    counters.count(names.OVERLOADED, what="feed")
    return Overloaded(f"The feed is full: {reason}.")
