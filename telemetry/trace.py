"""The moments of one turn, and what follows from them."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from telemetry.critical_path import Step
from telemetry.latencies import derive
from telemetry.names import TURN_CLOSE, TURN_OPEN, EndReason, Initiator, Kind, Provenance

SCHEMA: Final = 1
PROCESS_KEY: Final = os.urandom(32)


class TurnMarks:
    """Collects the moments of one turn, in seconds of the session's monotonic clock.

    Whoever does a thing stamps it, at about 0.1 µs a stamp; everything else is derived when the turn is
    over. Names are those of `telemetry.names`; numbered ones read "llm[0].first_token".
    """

    __slots__ = ("at", "clock", "counts", "facts")

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.at: dict[str, float] = {}
        self.facts: dict[str, str | float] = {}
        self.counts: dict[str, int] = {}

    def stamp(self, mark: str, at: float | None = None) -> None:
        """Record that `mark` happened, now or at `at`. Only the first time counts."""
        if mark not in self.at:
            self.at[mark] = self.clock() if at is None else at

    def move(self, mark: str, at: float | None = None) -> None:
        """As `stamp`, but the last time counts."""
        self.at[mark] = self.clock() if at is None else at

    def number(self, group: str) -> int:
        """The next index of `group` ("llm", "tool"): 0, 1, 2 …"""
        n = self.counts.get(group, 0)
        self.counts[group] = n + 1
        return n

    def fact(self, name: str, value: str | float) -> None:
        """Record an attribute of the turn, such as the model that answered."""
        self.facts[name] = value

    def add(self, name: str, amount: float) -> None:
        """Add to a numeric fact, such as tokens used."""
        held = self.facts.get(name, 0)
        self.facts[name] = amount if isinstance(held, str) else held + amount

    def join(self, turn: TurnMarks) -> None:
        """These are of `turn`: from here on both are one. What `turn` has stamped already stays."""
        for mark, at in self.at.items():
            turn.stamp(mark, at)
        turn.facts.update(self.facts)
        for group, count in self.counts.items():
            turn.counts[group] = max(count, turn.counts.get(group, 0))
        self.at, self.facts, self.counts = turn.at, turn.facts, turn.counts


@dataclass(frozen=True, slots=True)
class Anchor:
    """One instant on both clocks: Unix time in ns, and seconds of the session's monotonic clock."""

    time_ns: int
    monotonic: float

    @classmethod
    def now(cls, clock: Callable[[], float]) -> Anchor:
        return cls(time.time_ns(), clock())


@dataclass(frozen=True, slots=True)
class TurnTrace:
    """A finished turn: its marks in µs from its opening, and what they say.

    `started_ns` is the Unix time of the opening. A latency (µs) that could not be measured is absent;
    the durations of `path` sum to exactly latencies["voice_to_voice"]. `provenance` is None when there
    is no voice_to_voice, and `kind` or `end_reason` says why.
    """

    session_id: str
    index: int
    trace_id: str
    span_id: str
    agent: str
    agent_version: int
    transport: str
    kind: Kind
    initiator: Initiator
    end_reason: EndReason
    started_ns: int
    marks: dict[str, int]
    facts: dict[str, str | float]
    latencies: dict[str, int]
    provenance: Provenance | None
    stop_provenance: Provenance | None
    path: tuple[Step, ...]
    schema: int = SCHEMA

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe data; `from_dict` reads it back."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TurnTrace:
        """Raises ValueError for a schema this release does not know, or for data that is not a trace."""
        if data.get("schema") != SCHEMA:
            raise ValueError(f"trace schema {data.get('schema')!r} is not {SCHEMA}")
        return msgspec.convert(dict(data), cls)


def trace_ids(session_id: str, index: int, key: bytes) -> tuple[str, str]:
    """(trace id, root span id) of a turn in hex, known as soon as it opens and never showing the session's id."""
    digest = hashlib.blake2b(f"{session_id}\n{index}".encode(), key=key[:64], digest_size=24).hexdigest()
    return digest[:32], digest[32:]


def close_turn(
    marks: TurnMarks,
    *,
    anchor: Anchor,
    session_id: str,
    index: int,
    agent: str,
    agent_version: int,
    transport: str,
    kind: Kind,
    initiator: Initiator,
    end_reason: EndReason,
    trace_key: bytes = PROCESS_KEY,
) -> TurnTrace:
    """The trace of a turn that is over. Stamps `turn_close`, unless that is done already.

    `trace_key` makes the ids: the same key and turn give the same ids in every process.
    """
    marks.stamp(TURN_CLOSE)
    opened = marks.at.get(TURN_OPEN, min(marks.at.values()))
    offsets = {name: round((at - opened) * 1_000_000) for name, at in sorted(marks.at.items(), key=lambda m: m[1])}
    facts = {name: value for name, value in marks.facts.items() if isinstance(value, str) or math.isfinite(value)}
    derived = derive(offsets, facts, kind)
    trace_id, span_id = trace_ids(session_id, index, trace_key)
    return TurnTrace(
        session_id=session_id,
        index=index,
        trace_id=trace_id,
        span_id=span_id,
        agent=agent,
        agent_version=agent_version,
        transport=transport,
        kind=kind,
        initiator=initiator,
        end_reason=end_reason,
        started_ns=anchor.time_ns + round((opened - anchor.monotonic) * 1e9),
        marks=offsets,
        facts=facts,
        latencies=derived.latencies,
        provenance=derived.provenance,
        stop_provenance=derived.stop_provenance,
        path=derived.path,
    )
