"""Optimistic replies: begun on the words of a turn that may be over, unheard until it is certain that it is.

An attempt is a reply like any other behind a closed gate. Nothing here does anything by itself: the live session
begins it, adopts it or throws it away. Nothing of what is thrown away remains but its count and its cost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from agents.spec import EMBEDDED, AgentSpec
from sessions.pipeline.messages import Answer, Command, CreateResponse, ReportPlayback, RetrieveItem, SessionConfig
from sessions.pipeline.plan import Plan
from sessions.pipeline.replying import Reply
from sessions.pipeline.utterance import Utterance
from sessions.pipeline.window import request_tokens
from telemetry import counters, names
from telemetry.trace import TurnMarks

MINUTE_S = 60.0
REMEMBERED = 512
"""Attempts in vain whose cost is remembered; a minute has room for fewer."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """`turn` are the marks of the turn that it may answer; `asks` are the tokens of a request, by our estimate."""

    reply: Reply
    turn: TurnMarks
    config: SessionConfig
    asks: int

    def tokens(self) -> int:
        """What it cost so far: as the model says if it got to its end, else by our estimate."""
        usage, marks = self.reply.usage, self.reply.marks.at
        if usage.input_tokens or usage.output_tokens:
            return usage.input_tokens + usage.output_tokens
        requests = sum(mark.startswith("llm[") and mark.endswith(f".{names.REQUEST_SENT}") for mark in marks)
        return requests * self.asks + (self.reply.drafted if requests else 0)


class Speculation:
    """One session's attempts, one at a time, within the agent's budget.

    The budget is of attempts a turn, and of tokens in vain within a minute: an attempt that is used costs nothing
    beyond the reply that it becomes. A model in this process, which cannot be called off before its next token,
    gets one attempt a turn.
    """

    def __init__(self, spec: AgentSpec, clock: Callable[[], float]) -> None:
        self._spec = spec
        self._clock = clock
        local = spec.brain == "llm" and spec.llm.account == EMBEDDED
        self._attempts = min(spec.latency.optimistic_attempts, 1) if local else spec.latency.optimistic_attempts
        self._in_vain: deque[tuple[float, int]] = deque(maxlen=REMEMBERED)
        self._attempt: _Attempt | None = None

    @property
    def wanted(self) -> bool:
        return self._spec.latency.optimistic

    def begin(self, reply: Reply, utterance: Utterance, config: SessionConfig) -> bool:
        """Whether `reply` may be begun on what `utterance` holds so far; then it is the attempt under way."""
        if reply.plan.failure is not None:
            return False
        facts, spec = utterance.marks.facts, self._spec
        asks = request_tokens(reply.plan.request, reply.tools) if spec.brain == "llm" else 0
        tried = facts.get(names.SPEC_ATTEMPTS, 0)
        if (
            not isinstance(tried, int)
            or tried >= self._attempts
            or self._lost() + asks > spec.latency.optimistic_tokens
        ):
            counters.count(names.SPECULATIONS, outcome="over_budget")
            return False
        utterance.marks.add(names.SPEC_ATTEMPTS, 1)
        reply.marks.stamp(names.SPEC_STARTED)
        self._attempt = _Attempt(reply, utterance.marks, config, asks)
        return True

    def take(self, plan: Plan, config: SessionConfig) -> Reply | None:
        """The attempt under way, if it is what `plan` asks for in every respect. It is one no more."""
        attempt = self._attempt
        if attempt is None or attempt.config != config or not _same(attempt.reply.plan, plan):
            return None
        self._attempt = None
        counters.count(names.SPECULATIONS, outcome="used")
        return attempt.reply

    def discard(self) -> Reply | None:
        """The attempt under way, which was in vain: its task is to be cancelled."""
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return None
        attempt.reply.discard()
        tokens = attempt.tokens()
        self._in_vain.append((self._clock(), tokens))
        attempt.turn.add(names.SPEC_WASTED_TOKENS, tokens)
        counters.count(names.SPECULATIONS, outcome="discarded")
        counters.count(names.SPECULATION_TOKENS, tokens)
        return attempt.reply

    def late(self, turn: TurnMarks) -> None:
        """The turn is over, and its words are not in: they will be answered as soon as they are."""
        turn.fact(names.SPEC_OUTCOME, "late")
        counters.count(names.SPECULATIONS, outcome="late")

    def answered(self, turn: TurnMarks, *, early: bool) -> None:
        """A spoken turn is answered, by an attempt if `early`."""
        if early:
            turn.fact(names.SPEC_OUTCOME, "used")
        elif names.SPEC_OUTCOME not in turn.facts:
            turn.fact(names.SPEC_OUTCOME, "discarded" if turn.facts.get(names.SPEC_ATTEMPTS) else "none")

    def _lost(self) -> int:
        """Tokens in vain within the last minute."""
        since = self._clock() - MINUTE_S
        while self._in_vain and self._in_vain[0][0] <= since:
            self._in_vain.popleft()
        return sum(tokens for _, tokens in self._in_vain)


def changes_the_answer(command: Command) -> bool:
    """Whether a reply begun before `command` may not be the one that would be given after it."""
    match command:
        case RetrieveItem() | Answer() | ReportPlayback():
            return False
        case CreateResponse(options):
            return options.in_conversation
        case _:
            return True


def _same(early: Plan, plan: Plan) -> bool:
    """Whether both do the same. What a reply is called, and whom it tells how it began, makes no difference."""
    beside = ("response_id", "shorter", "turn_id", "user_end_sample")
    return replace(early, **{field: getattr(plan, field) for field in beside}) == plan
