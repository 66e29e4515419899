"""Decisions on pushed events: when one may begin, what it is asked, and what is remembered and counted of it.

A decision is a reply like any other. The live session starts it; nothing here does anything by itself.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from agents.interfaces import Message, News, ResponseFormat
from agents.spec import AgentSpec
from agents.structured import OutputSchema
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.feed import Feed, Taken
from sessions.pipeline.messages import PushEvent, ResponseOptions
from sessions.pipeline.plan import Plan
from sessions.pipeline.replying import Reply
from sessions.pipeline.turns import Turn
from telemetry import counters, names
from telemetry.trace import TurnMarks

Outcome = Literal["completed", "no_output", "missed", "cancelled", "failed"]
RECORD_EVERY_S = 1.0
"""Of decisions that are not spoken, one in this time is recorded as a turn; all are counted."""
REMEMBERED_CHARS = 4_000
METADATA_CHARS = 512


@dataclass(slots=True)
class _Tally:
    """What happened since a decision was last recorded."""

    decisions: int = 0
    missed: int = 0
    events: int = 0
    conflated: int = 0
    expired: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """`turn` is there from the start if it is spoken, for then it is a turn of the conversation."""

    taken: Taken
    reply: Reply
    turn: Turn | None


class Deciding:
    """One session's feed, and at most one decision at a time. ConfigurationError if its schema is none."""

    def __init__(self, spec: AgentSpec, bounds: Bounds, clock: Callable[[], float]) -> None:
        self.feed = Feed(spec.feed, bounds, clock)
        self.spoken = spec.feed.mode == "speech"
        self._spec = spec
        self._clock = clock
        self._schema = OutputSchema(spec.feed.schema) if spec.feed.schema else None
        self._memory: deque[Message] = deque(maxlen=2 * spec.feed.memory)
        self._current: Decision | None = None
        self._begun_at = -math.inf
        self._recorded_at = -math.inf
        self._tally = _Tally()
        self._woken = False

    def push(self, event: PushEvent) -> bool:
        """Take an event; whether the session must be woken for it. Overloaded if the feed is full."""
        self.feed.push(event)
        wakes = not self._woken and self._current is None
        self._woken = self._woken or wakes
        return wakes

    def awake(self) -> None:
        """The session looks at the feed: the next event must wake it again."""
        self._woken = False

    @property
    def wait_s(self) -> float | None:
        """Seconds until the next decision may begin; None if there is none to make."""
        if not self.feed.has_news or self._current is not None:
            return None
        return max(0.0, self._begun_at + self._spec.feed.interval_ms / 1000 - self._clock())

    def marks(self, taken: Taken) -> TurnMarks:
        marks = TurnMarks(self._clock)
        marks.stamp(names.EVENT_ARRIVED, taken.arrived)
        marks.stamp(names.TURN_OPEN, taken.arrived)
        return marks

    def options(self, taken: Taken) -> ResponseOptions:
        """A spoken decision is a response of the conversation; any other runs beside it, and leaves nothing in it."""
        metadata = _metadata(taken)
        if self.spoken:
            return ResponseOptions(metadata=metadata)
        return ResponseOptions(modality="text", metadata=metadata, in_conversation=False, input=())

    def about(self, plan: Plan, taken: Taken) -> Plan:
        """`plan`, made for `options`, about the news."""
        request, shorter = plan.request, plan.shorter
        told = self._told(taken.news)
        wanted = ResponseFormat(self._schema.schema) if self._schema else None
        return replace(
            plan,
            request=replace(
                request,
                messages=[*request.messages, *self._memory, *told],
                options=replace(request.options, response_format=wanted),
                news=taken.news,
            ),
            shorter=lambda: None if (fewer := shorter()) is None else [*fewer, *told],
            script=None,
            output=self._schema,
            due=None if math.isinf(taken.due) else taken.due,
        )

    def begun(self, decision: Decision) -> None:
        self._current = decision
        self._begun_at = self._clock()

    def ended(self) -> Decision | None:
        """The decision that has ended since this was last asked, accounted for."""
        decision = self._current
        if decision is None or not decision.reply.closed:
            return None
        self._current = None
        reply, taken = decision.reply, decision.taken
        outcome = _outcome(reply)
        counters.count(names.FEED_DECISIONS, outcome=outcome)
        if reply.reason == "turn_detected" and reply.traceless:
            self.feed.give_back(taken)  # the user spoke up: it can be made again
            return decision
        counters.count(names.FEED_EVENTS, len(taken.waiting), outcome="decided")
        counters.count(names.FEED_EVENTS, taken.conflated, outcome="conflated")
        self._count(taken, outcome)
        if outcome == "completed":
            self._remember(decision)
            reply.marks.stamp(names.DECIDED, reply.marks.at.get(names.FIRST_AUDIO_SENT))
        return decision

    def records(self, turn: Turn) -> bool:
        """Whether this turn is to be recorded; the tally goes with it, and begins anew."""
        now = self._clock()
        heard = turn.reply is not None and turn.reply.ledger.released_ms > 0
        if not heard and now - self._recorded_at < RECORD_EVERY_S:
            return False
        self._recorded_at = now
        tally, self._tally = self._tally, _Tally()
        for name, amount in (
            (names.FEED_DECISIONS_FACT, tally.decisions),
            (names.FEED_MISSED_FACT, tally.missed),
            (names.FEED_EVENTS_FACT, tally.events),
            (names.FEED_CONFLATED_FACT, tally.conflated),
            (names.FEED_EXPIRED_FACT, tally.expired),
        ):
            turn.marks.fact(name, amount)
        return True

    def _count(self, taken: Taken, outcome: Outcome) -> None:
        tally = self._tally
        tally.decisions += 1
        tally.missed += outcome == "missed"
        tally.events += taken.events
        tally.conflated += taken.conflated
        tally.expired += taken.expired

    def _told(self, news: News) -> list[Message]:
        """The news in words, for a language model; rules look at the news themselves."""
        if self._spec.brain == "rules":
            return []
        changed = {event.key: event.data for event in news.changed}
        told: dict[str, Any] = {
            "events": changed,
            "series": {event.key: event.series for event in news.changed if event.series},
            "unchanged": {key: data for key, data in news.latest.items() if key not in changed},
        }
        return [Message("user", _json({name: value for name, value in told.items() if value}))]

    def _remember(self, decision: Decision) -> None:
        reply = decision.reply
        text = reply.text[:REMEMBERED_CHARS]
        self.feed.decided(decision.taken, _read(text) if text else _call_made(reply))
        if text and not self.spoken:
            told = [Message(m.role, m.text[:REMEMBERED_CHARS]) for m in self._told(decision.taken.news)]
            self._memory += [*told, Message("assistant", text)] if told else []


def _outcome(reply: Reply) -> Outcome:
    match reply.status:
        case "completed" | "incomplete":
            return "no_output" if reply.silent else "completed"
        case "failed":
            return "missed" if reply.late else "failed"
        case _:
            return "cancelled"


def _metadata(taken: Taken) -> dict[str, str]:
    """What the decision answers, as the response's metadata."""
    return {
        "trigger": "events",
        "keys": ",".join(taken.waiting)[:METADATA_CHARS],
        "events": str(taken.events),
        "conflated": str(taken.conflated),
        "expired": str(taken.expired),
    }


def _call_made(reply: Reply) -> Any:
    call = reply.calls[-1]
    return {"name": call.name, "arguments": _read(call.arguments)}


def _read(text: str) -> Any:
    """The JSON in `text`, or the text if it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
