"""The turns of a conversation: which is being answered, which still waits for an answer, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sessions.pipeline.conversation import Conversation
from sessions.pipeline.messages import Item, MessageItem, ReportPlayback, TurnClosed
from sessions.pipeline.outbox import Outbox
from sessions.pipeline.recorder import Recorder
from sessions.pipeline.replying import Reply
from sessions.pipeline.turns import Turn
from telemetry import names
from telemetry.names import EndReason
from telemetry.trace import TurnMarks


class TurnBook:
    """`answering` is the turn whose reply is made or heard, `asked` one that has no reply yet.

    `worth_keeping` says whether a turn that ended is to be recorded.
    """

    def __init__(
        self, recorder: Recorder, conversation: Conversation, outbox: Outbox, *, worth_keeping: Callable[[Turn], bool]
    ) -> None:
        self._recorder = recorder
        self._conversation = conversation
        self._outbox = outbox
        self._worth_keeping = worth_keeping
        self.answering: Turn | None = None
        self.asked: Turn | None = None
        self.count = 0

    # --- their course ---

    def new(
        self,
        marks: TurnMarks,
        *,
        item_id: str | None = None,
        user_end_sample: int | None = None,
        before: Turn | None = None,
    ) -> Turn:
        """A turn of the user's, spoken if there is an `item_id`, or else one that nobody asked for.

        It goes on with the turn `before` that has no answer yet, under the same index: they are answered together.
        """
        marks.stamp("turn_open")
        spoke = item_id is not None
        asked = any(isinstance(item, MessageItem) and item.role == "user" for item in self._conversation)
        if before is None:
            self.count += 1
        return Turn(
            index=self.count - 1 if before is None else before.index,
            marks=marks,
            kind="plain" if spoke else "text" if asked else "agent_initiated",
            initiator="user" if spoke or asked else "agent",
            item_id=item_id,
            user_end_sample=user_end_sample,
            before=before,
        )

    def answer(self, turn: Turn, reply: Reply) -> None:
        """`reply` answers `turn`; the turn before is over, and what was heard of it is what the brain is told."""
        self.close(self.answering)
        self._conversation.settle()
        turn.marks.stamp("turn_committed")
        turn.reply = reply
        self.answering = turn
        turn.before = None
        if turn is self.asked:
            self.asked = None

    def answered_by(self, reply: Reply) -> Turn | None:
        """The turn that `reply` answers, while it is open."""
        turn = self.answering
        return turn if turn is not None and turn.reply is reply else None

    def close(self, turn: Turn | None, end_reason: EndReason | None = None) -> None:
        """The turn being answered is over. Nothing happens for any other: it was closed before."""
        if turn is not None and turn is self.answering:
            self.answering = None
            self.write(turn, end_reason or turn.end_reason())

    def dismiss(self, item_id: str) -> None:
        """Nobody spoke: there was no turn, and the next has its index."""
        after = None
        for turn in self._unanswered():
            if turn.item_id == item_id:
                break
            after = turn
        else:
            return
        if after is not None:
            after.before = turn.before
            return
        self.asked = turn.before
        if turn.before is None:
            self.take_back(turn)

    def understood(self, item_id: str) -> None:
        """There were words in it: what came before it is answered with it."""
        for turn in self._unanswered():
            if turn.item_id == item_id:
                turn.before = None

    def take_back(self, turn: Turn) -> None:
        """The turn did not come about; its index is free again if it was the last."""
        if turn.index == self.count - 1:
            self.count -= 1

    def _unanswered(self) -> Iterator[Turn]:
        """What the user said and nobody has answered, the last first."""
        turn = self.asked
        while turn is not None:
            yield turn
            turn = turn.before

    def on_playback(self, report: ReportPlayback, reply: Reply) -> None:
        """What the client played of `reply` goes into the marks of its turn, which ends with it."""
        turn = self.answered_by(reply)
        if turn is None:
            return
        turn.reports = True
        for name, ms in (
            (names.RTT_MS, report.line.rtt_ms),
            (names.JITTER_BUFFER_MS, report.line.jitter_buffer_ms),
            (names.CLIENT_UNDERRUN_MS, report.line.underrun_ms),
        ):
            if ms is not None:
                turn.marks.fact(name, round(ms, 1))
        match report.state:
            case "started":
                turn.marks.stamp("client_playback_started")
                if report.voice_to_voice_ms is not None:
                    turn.marks.fact("client_voice_to_voice_ms", round(report.voice_to_voice_ms, 1))
            case "stopped" | "ended":
                turn.marks.stamp(f"client_playback_{report.state}")
                if reply.closed:
                    self.close(turn)

    # --- their records ---

    def write(self, turn: Turn, end_reason: EndReason) -> bool:
        """Record a turn that has ended, if it is worth keeping. Whether it was."""
        if not self._worth_keeping(turn):
            return False
        self._outbox.put(TurnClosed(self._recorder.turn(turn, end_reason).to_dict()))
        return True

    def record(self, item: Item, *, heard_ms: float | None = None, audio_ms: float | None = None) -> None:
        turn_index = self._index(self.asked or self.answering)
        self._recorder.item(item, turn_index=turn_index, heard_ms=heard_ms, audio_ms=audio_ms)

    def record_reply(self, reply: Reply) -> None:
        if reply.message is not None and reply.message.id in self._conversation:
            self._recorder.reply(reply, turn_index=self._index(self.answered_by(reply)))

    def _index(self, turn: Turn | None) -> int:
        """The turn's, or that of the last one begun."""
        return turn.index if turn is not None else max(0, self.count - 1)
