"""What the admin shows of the headroom of its own process."""

from __future__ import annotations

from dataclasses import dataclass

from sessions import host
from sessions.admission import ARRIVALS
from sessions.headroom import AUDIO_LATENESS, LOOP_BUSY, LOOP_LAG, MODEL_WAIT

WORDS = {
    LOOP_LAG: "wait for the event loop",
    LOOP_BUSY: "work of the event loop",
    AUDIO_LATENESS: "lateness of audio",
    MODEL_WAIT: "wait for an embedded model",
}
REASONS = {**WORDS, ARRIVALS: "many came at once", "sessions": "as many as it may have are open"}


@dataclass(frozen=True, slots=True)
class HeadroomRow:
    """`percent` of the limit is used."""

    words: str
    percent: int


@dataclass(frozen=True, slots=True)
class HeadroomView:
    sessions: int
    why_full: str | None
    rows: list[HeadroomRow]


def headroom() -> HeadroomView | None:
    """None where no sessions are held, as in a process that only serves the admin."""
    opened = host.opened()
    if opened is None:
        return None
    reason = opened.why_full()
    rows = [HeadroomRow(WORDS[name], round(share * 100)) for name, share in opened.headroom.door.used.items()]
    return HeadroomView(len(opened), reason and REASONS[reason], rows)
