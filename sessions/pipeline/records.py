"""What a live session tells the one who keeps its records, and who that is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from telemetry.trace import TurnTrace

ItemKind = Literal["message", "function_call", "function_call_output"]


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """`principal` is the kind of credential. Words are kept for `text_days`, and only if `store_text`."""

    session_id: str
    agent: str
    agent_version: int
    transport: str
    principal: str
    started_at: datetime
    store_text: bool = False
    text_days: int = 7


@dataclass(frozen=True, slots=True)
class ItemRecorded:
    """An item as it stands now; a later record of the same item replaces it.

    `text` None leaves what is stored as it is. `heard_ms` and `audio_ms` are ms of audio; None means not
    known. `heard_chars` counts the characters of `text` that were spoken before an interruption, if known.
    """

    session_id: str
    index: int
    item_id: str
    turn_index: int | None
    kind: ItemKind
    role: str
    text: str | None
    at: datetime
    heard_ms: int | None = None
    audio_ms: int | None = None
    interrupted: bool = False
    heard_chars: int | None = None


@dataclass(frozen=True, slots=True)
class TurnRecorded:
    trace: TurnTrace


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """`reason` is that of `SessionEnded`."""

    session_id: str
    ended_at: datetime
    reason: str


Record = SessionOpened | ItemRecorded | TurnRecorded | SessionClosed


class Journal(Protocol):
    def write(self, record: Record) -> None:
        """Take a record to keep. Times in it are aware. Never waits and never raises."""
