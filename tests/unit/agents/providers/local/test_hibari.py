from __future__ import annotations

import numpy as np

from agents.providers.local.hibari import RATE, trimmed


def seconds(length: float, level: float = 0.0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.full(round(length * RATE), level, np.float32)


def test_silence_before_and_after_is_cut_down() -> None:
    sound = np.concatenate([seconds(0.3), seconds(1.0, 0.1), seconds(0.4)])
    assert len(trimmed(sound, pause_ms=120)) == round((0.02 + 1.0 + 0.12) * RATE)


def test_a_pause_inside_and_a_short_end_stay() -> None:
    sound = np.concatenate([seconds(0.01), seconds(0.2, 0.1), seconds(0.5), seconds(0.2, 0.1), seconds(0.05)])
    assert len(trimmed(sound, pause_ms=320)) == len(sound)


def test_silence_is_nothing() -> None:
    assert len(trimmed(seconds(0.4, 0.0005), pause_ms=320)) == 0
