"""Barge-in: the reply is held the moment the user may be speaking over it, and then goes on, or is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from sessions.pipeline.messages import ReplyHeld
from sessions.pipeline.outbox import Outbox
from sessions.pipeline.replies import Replies
from sessions.pipeline.replying import Reply
from sessions.pipeline.turn_book import TurnBook
from telemetry import counters, names

HOLD_S: Final = 1.0
"""Speech over a reply is judged by half a second of it; a client that sends no more must not silence us."""


class Floor:
    """`later` calls `release` after so many seconds, unless its handle is cancelled."""

    def __init__(
        self, replies: Replies, turns: TurnBook, outbox: Outbox, *, later: Callable[[float], asyncio.TimerHandle]
    ) -> None:
        self._replies = replies
        self._turns = turns
        self._outbox = outbox
        self._later = later
        self._timer: asyncio.TimerHandle | None = None
        self._held: Reply | None = None

    def hold(self) -> None:
        """Step one: release nothing more until it is known whether this is speech."""
        reply = self._replies.current
        if reply is None or reply.over:
            return
        self._held = reply
        reply.pacer.hold()
        reply.marks.move("bi_detected")
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._later(HOLD_S)
        self._outbox.put(ReplyHeld(reply.id, True))

    def release(self, outcome: str = "false") -> None:
        """Step two, if it was none: the reply goes on where it was, if only at the client."""
        reply, self._held = self._held, None
        if reply is not None:
            reply.pacer.resume()
            reply.marks.at.pop("bi_detected", None)
            counters.count(names.INTERRUPTIONS, outcome=outcome)
            self._outbox.put(ReplyHeld(reply.id, False))

    def interrupt(self, onset: float) -> None:
        """Step two, if the user speaks since `onset`: all unheard is gone, and history ends where the listener was."""
        reply, self._held = self._replies.current, None
        if reply is None or reply.over:
            return
        reply.marks.move("bi_speech_start", onset)
        reply.marks.stamp("bi_detected")
        reply.marks.stamp("bi_decided")
        counters.count(names.INTERRUPTIONS, outcome="true")
        self._replies.cut(reply, "cancelled", "turn_detected")
        reply.marks.stamp("bi_flushed")
        self._turns.close(self._turns.answering)
