"""What is kept of answers in words: the same records as of a conversation by voice."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from agents.interfaces import Message, Usage
from agents.spec import AgentSpec
from sessions.pipeline.messages import CallItem, CallOutputItem, Content, Item, MessageItem
from sessions.pipeline.recorder import Recorder
from sessions.pipeline.records import Journal, SessionOpened
from sessions.pipeline.turns import Identity, Turn
from sessions.protocols.realtime_items import IdFactory
from sessions.protocols.text_answers import Outcome
from telemetry import names
from telemetry.names import EndReason
from telemetry.trace import TurnMarks

TRANSPORT = "http"


class TextSession:
    """The records of one conversation in words: each request is a turn of kind "text".

    A chat completion is a session of one turn. Responses that go on from each other are turns of one session,
    in the order in which they began, also where two go on from the same one: for as long as the agent stays as it
    is, since all turns of a session are by one version of it.
    """

    def __init__(
        self,
        spec: AgentSpec,
        *,
        principal: str,
        journal: Journal,
        trace_key: bytes,
        new_id: IdFactory,
        items: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self._clock = clock
        self._journal = journal
        self.new_id = new_id
        session_id = new_id("sess")
        self._opened = SessionOpened(
            session_id=session_id,
            agent=spec.slug,
            agent_version=spec.version,
            transport=TRANSPORT,
            principal=principal,
            started_at=datetime.now(UTC),
            store_text=spec.store_text,
        )
        identity = Identity(session_id, TRANSPORT, trace_key)
        self._recorder = Recorder(journal, spec, identity, clock=clock, items=items)
        self._turns = 0
        self._open_turns = 0

    def begin(self) -> Turn:
        """A new turn, opened now."""
        self._journal.write(self._opened)  # once more for each turn: a record written twice changes nothing
        turn = Turn(index=self._turns, marks=TurnMarks(self._clock), kind="text", initiator="user")
        turn.marks.stamp(names.TURN_OPEN)
        self._turns += 1
        self._open_turns += 1
        return turn

    def end(self, turn: Turn, asked: Sequence[Message], said: Message, outcome: Outcome) -> None:
        """Keep the turn, and what is new in it: what was `asked` after the agent's last words, and what it `said`.

        With the last open turn the session is closed: after that the journal keeps no words of it.
        """
        self._open_turns -= 1
        for message in (*_new(asked), said):
            for item in self._items(message):
                self._recorder.item(item, turn_index=turn.index)
        for name, value in _facts(outcome).items():
            turn.marks.fact(name, value)
        self._recorder.turn(turn, _end_reason(outcome, said))
        if not self._open_turns:
            self._recorder.closed("closed")

    def _items(self, message: Message) -> list[Item]:
        if message.role == "tool":
            return [CallOutputItem(self.new_id("item"), message.call_id or "", message.text)]
        calls = [CallItem(self.new_id("item"), call.id, call.name, call.arguments) for call in message.calls]
        if not message.text:
            return [*calls]
        return [MessageItem(self.new_id("item"), message.role, (Content("text", message.text),)), *calls]


def _new(messages: Sequence[Message]) -> Sequence[Message]:
    last = max((n for n, message in enumerate(messages) if message.role == "assistant"), default=-1)
    return messages[last + 1 :]


def _facts(outcome: Outcome) -> dict[str, Any]:
    usage = outcome.usage or Usage()
    facts: dict[str, Any] = {} if outcome.fault is None else {names.ERROR_TYPE_FACT: outcome.fault.code}
    return facts | {
        names.INPUT_TOKENS: usage.input_tokens,
        names.OUTPUT_TOKENS: usage.output_tokens,
        names.CACHED_TOKENS: usage.cached_tokens,
    }


def _end_reason(outcome: Outcome, said: Message) -> EndReason:
    match outcome.status:
        case "failed":
            return "error"
        case "cancelled":
            return "cancelled"
    return "completed" if said.text or said.calls else "no_output"
