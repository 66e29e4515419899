"""Where sound ends, to 10 ms. A VAD knows speech from noise, but only in windows of 32 ms, and a little late."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agents.audio import Audio
from sessions.pipeline.utterance import RATE, Tail

BLOCK_MS = 10
BLOCK = 160
"""The same in samples at 16 kHz."""
QUIETEST_DB = -56.0
"""dBFS under which nothing counts as sound."""
SOFTEST_DB, LOUDEST_DB = 44.0, 20.0
"""How far below its peak speech is still speech: at most, and at least, however loud the room."""
ROOM_SHARE = 95
"""Percent of the blocks of a room that are no louder than what counts as its level: rooms rustle and click."""
ABOVE_ROOM_DB = 3.0
ABOVE_QUIETEST_DB = 5.0
ROOM_BLOCKS = 10
RECENT_MS = 500
"""As much of a turn tells how loud its speech is."""
ROOM_MS = 2000
"""As much of what preceded a turn tells how loud the room is. It is kept beyond the prefix padding."""
SOFT_START_MS = 200
"""A VAD hears a soft beginning, an s or an f, up to this much late: that is no room."""
LOOK_BACK_MS = 200
"""As far back as the end of speech is looked for: the VAD's hangover, a window, and a step of audio."""


def levels(audio: Audio) -> npt.NDArray[np.float64]:
    """RMS in dBFS of each 10 ms, counted from the end; what is left over at the start is not looked at."""
    block = audio.rate * BLOCK_MS // 1000
    count = audio.samples // block
    samples = audio.float32()[audio.samples - count * block :].reshape(count, block).astype(np.float64)
    power = np.mean(np.square(samples), axis=1)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)), np.float64)


def room_of(before: npt.NDArray[np.float64]) -> float | None:
    """How loud a room gets without speech, in dBFS, by the levels in it; None if they are too few to tell."""
    return float(np.percentile(before, ROOM_SHARE)) if before.size >= ROOM_BLOCKS else None


def floor_of(recent: npt.NDArray[np.float64], room: float | None) -> float:
    """The level, in dBFS, above which sound is part of the speech in `recent`.

    Without a `room` its quietest moment stands for one.
    """
    if not recent.size:
        return QUIETEST_DB
    peak = recent.max()
    over_room = recent.min() + ABOVE_QUIETEST_DB if room is None else room + ABOVE_ROOM_DB
    return float(max(QUIETEST_DB, min(max(peak - SOFTEST_DB, over_room), peak - LOUDEST_DB)))


class Silence:
    """The silence at the end of a turn: what stays below a floor, which is found when it begins, until it is broken.

    The floor lies between how loud the speech just was and how loud the room is without any.
    """

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self._room: float | None = None
        self._floor: float | None = None
        self._since: int | None = None

    def learn_room(self, start: int, speech_start: int) -> None:
        """How loud it is without speech, by what came since `start`. If that is too little to tell, as before."""
        end = speech_start - SOFT_START_MS * RATE // 1000
        quiet_ms = min(ROOM_MS, max(0, end - start) * 1000 / RATE)
        room = room_of(levels(self._tail.until(end, quiet_ms)))
        self._room = self._room if room is None else room

    def since(self, end_sample: int) -> int:
        """Where the last sound before `end_sample` (16 kHz) ended, as far back as `LOOK_BACK_MS`."""
        whole = end_sample - end_sample % BLOCK
        if self._floor is None:
            self._floor = floor_of(levels(self._tail.until(whole, RECENT_MS)), self._room)
        recent = levels(self._tail.until(whole, LOOK_BACK_MS))
        loud = np.flatnonzero(recent >= self._floor)
        if loud.size:
            self._since = whole - (len(recent) - 1 - int(loud[-1])) * BLOCK
        elif self._since is None:
            self._since = whole - len(recent) * BLOCK
        return self._since

    def broken(self) -> None:
        """Somebody speaks."""
        self._floor = self._since = None
