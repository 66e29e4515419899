"""One exchange under way: what is known of it, and when it is over."""

from __future__ import annotations

from dataclasses import dataclass, field

from sessions.pipeline.replying import Reply
from telemetry.names import EndReason, Initiator, Kind
from telemetry.trace import PROCESS_KEY, TurnMarks


@dataclass(frozen=True, slots=True)
class Identity:
    """What a session is called in records and traces. `trace_key` makes the ids of its turns' traces."""

    session_id: str
    transport: str
    trace_key: bytes = field(default=PROCESS_KEY, repr=False)


@dataclass(slots=True)
class Turn:
    """`item_id` is the user's spoken item; None for text and for turns the agent began.

    `before` is what the user said before it, and had no answer to: this turn goes on with that one, if it has words.
    `reports` is set once the client reports its playback: the turn then stays open until it has ended.
    """

    index: int
    marks: TurnMarks
    kind: Kind
    initiator: Initiator
    item_id: str | None = None
    user_end_sample: int | None = None
    before: Turn | None = None
    reply: Reply | None = None
    reports: bool = False

    def end_reason(self) -> EndReason:
        reply = self.reply
        if reply is None or reply.status is None:
            return "cancelled"
        if reply.status == "failed":
            return "missed" if reply.late else "error"
        if reply.status == "cancelled" or reply.ledger.heard_ms is not None:
            return "interrupted" if "bi_decided" in self.marks.at else "cancelled"
        decided = self.kind == "event" and not reply.silent
        return "completed" if decided or reply.message is not None else "no_output"
