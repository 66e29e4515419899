"""What a session tells itself: its loop takes these from the inbox beside commands and findings."""

from __future__ import annotations

from dataclasses import dataclass

from sessions.pipeline.findings import Heard
from sessions.pipeline.replying import Reply
from sessions.pipeline.turns import Turn


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """It has run to its end. One that was cut short says nothing more."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class TurnOver:
    """What answers it has been heard, by all that is known."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class TimeUp:
    """The session is to end."""

    reason: str


@dataclass(frozen=True, slots=True)
class HoldOver:
    """A reply was held, and nothing came that says whether to go on."""


@dataclass(frozen=True, slots=True)
class RoomAgain:
    """The client has read: there is room for answers."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody has spoken since `reply` was heard, for as long as the client's idle timeout."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class News:
    """There is something in the feed, or the time has come to look at it."""


Inward = News | Heard | ReplyEnded | TurnOver | TimeUp | HoldOver | RoomAgain | Silence
