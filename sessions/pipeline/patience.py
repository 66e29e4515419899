"""How long `semantic_vad` waits in a pause: by the end-of-turn model, the words, and how this speaker pauses.

Pure: nothing here knows a clock, and each rule can be read off one function.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

from agents.spec import TurnDetection

Reason = Literal["silence", "model", "words", "maximum"]
"""Why a turn ended: `server_vad`'s silence was full, the model took it for done, or patience was over though the words,
or else the model, had left it open."""

SHORTEST_MS = 192
"""Six windows: with less silence than this no turn ends by what the model says of it."""
WORDS_MS = 600
"""Up to this much silence the words are waited for: no answer can begin without them, and they may leave it open."""
JUDGED_DONE = {"low": 0.8, "medium": 0.5, "auto": 0.5, "high": 0.5}
"""End-of-turn probability from which on the turn is over."""
DOUBTFUL = 0.4
"""So much less than that, and patience is whole; in between it shrinks towards SHORTEST_MS."""
PATIENCE_MS = {"low": 2400, "medium": 1200, "auto": 1200, "high": 700}
"""Silence that ends a turn which seems unfinished, of a speaker not known yet."""


class Pace:
    """What is learned of one speaker: how long they pause inside their turns."""

    REMEMBERED = 12
    ENOUGH = 4
    LEAST_MS = 100
    LEAST, MOST = 0.6, 1.5
    """Of the patience that the settings ask for: no speaker makes it shorter, or longer, than this."""
    MARGIN = 1.4

    def __init__(self) -> None:
        self._pauses_ms: deque[float] = deque(maxlen=self.REMEMBERED)

    def paused(self, ms: float) -> None:
        """The speaker went on after a silence of `ms`, whether the turn had been taken for ended by then or not."""
        if ms >= self.LEAST_MS:
            self._pauses_ms.append(ms)

    def patience(self, asked_ms: float) -> float:
        """`asked_ms`, bent towards this speaker's longest pauses of late."""
        if len(self._pauses_ms) < self.ENOUGH:
            return asked_ms
        longest = sorted(self._pauses_ms)[-2]
        return min(max(self.MARGIN * longest, self.LEAST * asked_ms), self.MOST * asked_ms)


def wait_ms(
    detection: TurnDetection, pace: Pace, *, judged: float | None, words: str | None, more_to_come: bool
) -> tuple[float, Reason]:
    """The silence that ends the turn, and why it will have.

    `judged` is the end-of-turn probability, `words` the transcript, None while not there yet; `more_to_come` is what
    the words say.
    """
    if detection.type != "semantic_vad":
        return detection.silence_duration_ms, "silence"
    patience = pace.patience(PATIENCE_MS[detection.eagerness])
    if more_to_come:
        return patience, "words"
    done = JUDGED_DONE[detection.eagerness]
    reason: Reason = "model" if judged is not None and judged >= done else "maximum"
    doubt = 1.0 if judged is None else (done - judged) / DOUBTFUL
    wait = SHORTEST_MS + min(max(doubt, 0.0), 1.0) * (patience - SHORTEST_MS)
    return (max(wait, min(WORDS_MS, patience)) if words is None else wait), reason
