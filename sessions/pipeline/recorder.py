"""What is kept of a session: its items, its turns and its end, on their way to the journal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from agents.spec import AgentSpec
from sessions.pipeline.messages import CallItem, CallOutputItem, Item, MessageItem
from sessions.pipeline.playback import Played
from sessions.pipeline.records import ItemKind, ItemRecorded, Journal, SessionClosed, TurnRecorded
from sessions.pipeline.replying import Reply
from sessions.pipeline.turns import Identity, Turn
from telemetry import names
from telemetry.names import EndReason
from telemetry.trace import Anchor, TurnTrace, close_turn


class Recorder:
    """Writes one session's records. Each item keeps the index and the turn that it was first recorded with.

    The last `items` are remembered for that; an older one that changes again is recorded as new.
    """

    def __init__(
        self, journal: Journal, spec: AgentSpec, identity: Identity, *, clock: Callable[[], float], items: int
    ) -> None:
        self._journal = journal
        self._spec = spec
        self._identity = identity
        self._anchor = Anchor.now(clock)
        self._items = items
        self._places: dict[str, tuple[int, int]] = {}
        self._count = 0

    def item(
        self,
        item: Item,
        *,
        turn_index: int,
        heard_ms: float | None = None,
        audio_ms: float | None = None,
        heard_chars: int | None = None,
    ) -> None:
        """An item as it stands now. `heard_ms` is set for a reply that was cut short."""
        kind, role, text = _described(item)
        index, turn_index = self._place(item.id, turn_index)
        self._journal.write(
            ItemRecorded(
                session_id=self._identity.session_id,
                index=index,
                item_id=item.id,
                turn_index=turn_index,
                kind=kind,
                role=role,
                text=text,
                at=datetime.now(UTC),
                heard_ms=None if heard_ms is None else round(heard_ms),
                audio_ms=None if audio_ms is None else round(audio_ms),
                interrupted=heard_ms is not None,
                heard_chars=heard_chars,
            )
        )

    def reply(self, reply: Reply, *, turn_index: int) -> None:
        """The message that a reply said, with what was heard of it."""
        if reply.message is not None:
            heard_ms = reply.ledger.heard_ms
            self.item(
                reply.message,
                turn_index=turn_index,
                heard_ms=heard_ms,
                audio_ms=reply.ledger.released_ms,
                heard_chars=None if heard_ms is None else len(reply.ledger.heard_text),
            )

    def turn(self, turn: Turn, end_reason: EndReason) -> TurnTrace:
        """Close the turn's trace and keep it."""
        _state_facts(turn)
        trace = close_turn(
            turn.marks,
            anchor=self._anchor,
            session_id=self._identity.session_id,
            index=turn.index,
            agent=self._spec.slug,
            agent_version=self._spec.version,
            transport=self._identity.transport,
            kind="tool" if turn.kind == "plain" and "tool[0].start" in turn.marks.at else turn.kind,
            initiator=turn.initiator,
            end_reason=end_reason,
            trace_key=self._identity.trace_key,
        )
        self._journal.write(TurnRecorded(trace))
        return trace

    def closed(self, reason: str) -> None:
        self._journal.write(SessionClosed(self._identity.session_id, datetime.now(UTC), reason))

    def _place(self, item_id: str, turn_index: int) -> tuple[int, int]:
        if item_id not in self._places:
            self._places[item_id] = self._count, turn_index
            self._count += 1
            if len(self._places) > self._items:
                del self._places[next(iter(self._places))]
        return self._places[item_id]


def _state_facts(turn: Turn) -> None:
    """What the reply knows of itself, as facts of its turn."""
    reply, fact = turn.reply, turn.marks.fact
    if reply is None:
        return
    if reply.error is not None:
        fact(names.ERROR_TYPE_FACT, type(reply.error).__name__)
    fact("output_tokens", reply.usage.output_tokens)
    fact("input_tokens", reply.usage.input_tokens)
    fact("cached_tokens", reply.usage.cached_tokens)
    wasted, used = turn.marks.facts.get(names.SPEC_WASTED_TOKENS), reply.usage.input_tokens + reply.usage.output_tokens
    if isinstance(wasted, int | float) and used:
        fact(names.SPEC_WASTED_SHARE, round(wasted / (wasted + used), 3))
    if reply.pacer.released_ms:
        fact("played_ms", round(reply.played_ms))
        _state_playback(reply.played, fact)
        fact("underrun_ms", round(reply.pacer.underrun_ms, 1))
        fact("delta_lateness_ms", round(reply.pacer.lateness_ms, 1))


def _state_playback(played: Played, fact: Callable[[str, str | float], None]) -> None:
    fact(names.GENERATED_MS, played.generated_ms)
    fact(names.RELEASED_MS, played.released_ms)
    fact(names.DELIVERED_MS, played.delivered_ms)
    fact(names.WORDS_GENERATED, played.words_generated)
    fact(names.WORDS_RELEASED, played.words_released)
    fact(names.WORDS_DELIVERED, played.words_delivered)
    fact(names.WORDS_HEARD, played.words_heard)
    fact(names.HEARD_BY, played.heard_by)
    fact(names.WORDS_BY, played.words_by)


def _described(item: Item) -> tuple[ItemKind, str, str]:
    """(kind, role, text)"""
    match item:
        case CallItem():
            return "function_call", "assistant", f"{item.name}({item.arguments})"
        case CallOutputItem():
            return "function_call_output", "tool", item.output
        case MessageItem():
            return "message", item.role, " ".join(part.text or part.transcript or "" for part in item.content).strip()
