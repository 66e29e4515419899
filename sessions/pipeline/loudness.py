"""Where sound ends, to 10 ms. A VAD knows speech from noise, but only in windows of 32 ms, and a little late."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agents.audio import Audio

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
    """One silence, heard piece by piece: what stays below `floor` dBFS."""

    def __init__(self, floor: float) -> None:
        self._floor = floor
        self._since: int | None = None

    def since(self, end_sample: int, recent: npt.NDArray[np.float64]) -> int:
        """Where the last sound before `end_sample` (16 kHz) ended; `recent` are the levels up to there."""
        loud = np.flatnonzero(recent >= self._floor)
        if loud.size:
            self._since = end_sample - (len(recent) - 1 - int(loud[-1])) * BLOCK
        elif self._since is None:
            self._since = end_sample - len(recent) * BLOCK
        return self._since
