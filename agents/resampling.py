"""Resampling of what a microphone sends, with next to no delay.

soxr works in blocks: at 24 kHz it holds back up to 20 ms of what it was given, at 8 kHz up to 60. That is fine for a
file, and is felt in a conversation: everything that is decided about the user's speech waits for it.
"""

from __future__ import annotations

from functools import cache
from math import gcd

import numpy as np
import numpy.typing as npt

from agents.audio import Audio, Resampler

Floats = npt.NDArray[np.float32]

MOST_PHASES = 4
"""Rates whose ratio to the target has a larger numerator, as 44.1 kHz has, are left to soxr."""
REACH = 24
"""Samples of input on each side that a sample of output is made of, or as much more as the target's rate is lower."""
CYCLES = 8
"""Of the two rates, worked out at a time: 1 ms from 24 to 16 kHz."""
PASSED = 0.92
"""Of the lower rate's band; what lies above is filtered out, for it would come back as another sound."""
KAISER = 7.0
"""70 dB."""


class PromptResampler:
    """A polyphase filter over a stream without seams: a matrix product of some 10 µs a frame, 2 ms late in all."""

    def __init__(self, source: int, target: int) -> None:
        self.source = source
        self.target = target
        self._block, self._filter = _filter(source, target)
        self._unread: Floats = np.zeros(len(self._filter) - self._block, np.float32)

    def push(self, audio: Audio) -> Audio:
        """What is ready after `audio`."""
        unread = np.concatenate((self._unread, audio.int16()), dtype=np.float32)
        blocks = max(0, (len(unread) - len(self._filter)) // self._block + 1)
        self._unread = unread[blocks * self._block :]
        step = unread.itemsize
        seen = np.ndarray((blocks, len(self._filter)), np.float32, unread, strides=(self._block * step, step))
        samples = np.rint(seen @ self._filter)
        np.minimum(np.maximum(samples, -32768, out=samples), 32767, out=samples)
        return Audio(samples.astype("<i2").tobytes(), self.target)


def prompt_resampler(source: int, target: int) -> Resampler | PromptResampler:
    """The quickest there is for these rates."""
    plain = source == target or target // gcd(source, target) > MOST_PHASES
    return Resampler(source, target) if plain else PromptResampler(source, target)


@cache
def _filter(source: int, target: int) -> tuple[int, Floats]:
    """(samples a block takes, the filter that makes a block of output of it and of what came before it)."""
    up, down = target // gcd(source, target), source // gcd(source, target)
    reach = -(-REACH * max(up, down) // up)
    times = np.arange(-reach * up, reach * up)
    cutoff = 0.5 * PASSED / max(up, down)
    taps = np.sinc(2 * cutoff * times) * np.kaiser(len(times), KAISER)
    taps *= up / taps.sum()
    block = CYCLES * down
    made = np.zeros((block + 2 * reach, CYCLES * up), np.float32)
    for n in range(CYCLES * up):
        first, phase = divmod(n * down, up)
        made[first : first + 2 * reach, n] = taps[phase::up][::-1]
    return block, made
