"""Which windows of a quiet room need no model: those no louder than what it has just taken for noise."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

PATIENCE = 8
"""Windows, a quarter of a second: what the model took for noise for so long shuts the gate."""
MEMORY = 64
"""Windows, two seconds: the loudest of the last so many quiet ones is the floor."""
QUIET = 0.1
"""Speech probability below which a window is noise."""
LOUDER = 4.0
"""Power, as a multiple of the floor, that opens the gate: 6 dB."""
CEILING = 10 ** (-45 / 10)
"""Power that always opens it, -45 dBFS: what is this loud may be speech, whatever the noise around it."""

Window = npt.NDArray[np.float32]


class NoiseGate:
    """Open at first. While it is shut, ask it about each window; while it is open, tell it what the model said.

    Speech begins softly, and often with a hiss. So the level is taken twice, of the sound and of its slope, in
    which a hiss weighs as much as a voice, and either opens the gate.
    """

    def __init__(self, patience: int = PATIENCE) -> None:
        self._patience = patience
        self._sounds: deque[float] = deque(maxlen=MEMORY)
        self._slopes: deque[float] = deque(maxlen=MEMORY)
        self._quiet = 0

    @property
    def open_for(self) -> int:
        """Windows that the model has to judge before it can shut: 0 when it is shut."""
        return self._patience - self._quiet

    def rises(self, window: Window) -> bool:
        """Whether `window`, shape (512,), stands out of the noise, and has opened the gate."""
        sound, slope = levels(window)
        if sound > CEILING or sound > LOUDER * max(self._sounds) or slope > LOUDER * max(self._slopes):
            self._quiet = 0
            return True
        self._note(sound, slope)
        return False

    def judged(self, window: Window, probability: float) -> None:
        """The model's word on a window."""
        if probability >= QUIET:
            self._quiet = 0
        else:
            self._quiet += 1
            self._note(*levels(window))

    def _note(self, sound: float, slope: float) -> None:
        self._sounds.append(sound)
        self._slopes.append(slope)


def levels(window: Window) -> tuple[float, float]:
    """The mean power of a window, and of its slope."""
    slope = window[1:] - window[:-1]
    return float(np.dot(window, window)) / len(window), float(np.dot(slope, slope)) / len(window)
