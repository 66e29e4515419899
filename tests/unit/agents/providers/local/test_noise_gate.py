"""The noise gate: shut in a quiet room, open for whatever stands out of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.providers.local.noise_gate import PATIENCE, NoiseGate, Window

WINDOW = 512
BIT = 1 / 32768


def room(dbfs: float, seed: int) -> Window:
    """One window of white noise."""
    return (np.random.default_rng(seed).standard_normal(WINDOW) * 10 ** (dbfs / 20)).astype(np.float32)


def shut(dbfs: float) -> NoiseGate:
    """A gate that has heard the room for long enough."""
    gate = NoiseGate()
    for seed in range(PATIENCE):
        gate.judged(room(dbfs, seed), 0.01)
    assert gate.open_for == 0
    return gate


def test_it_stays_shut_while_nothing_but_the_room_is_heard() -> None:
    gate = shut(-50)
    assert not any(gate.rises(room(-50, seed)) for seed in range(100, 1100))


def test_a_hint_of_speech_keeps_it_open() -> None:
    gate = NoiseGate()
    for seed in range(PATIENCE - 1):
        gate.judged(room(-50, seed), 0.01)
    gate.judged(room(-50, 99), 0.3)
    assert gate.open_for == PATIENCE


@given(noise=st.floats(-90, -20), louder=st.floats(7.5, 60))
def test_what_is_louder_than_the_room_opens_it_at_once(noise: float, louder: float) -> None:
    gate = shut(noise)
    assert gate.rises(room(noise + louder, seed=7))
    assert gate.open_for == PATIENCE


@given(noise=st.floats(-90, -20), level=st.floats(-43, 0))
def test_what_could_be_speech_opens_it_whatever_the_room(noise: float, level: float) -> None:
    assert shut(noise).rises(room(level, seed=7))


@given(steps=st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_a_sound_that_creeps_in_opens_it_before_it_is_as_loud_as_speech(steps: list[float]) -> None:
    gate, level = shut(-70), -70.0
    for seed, step in enumerate(steps):
        level += step
        opened = gate.rises(room(level, seed))
        assert opened or level < -44
        if opened:
            break


def test_a_hiss_opens_it_though_the_room_hums_louder() -> None:
    hum = (0.003 * np.sin(2 * np.pi * 50 * np.arange(WINDOW) / 16_000)).astype(np.float32)
    gate = NoiseGate()
    for seed in range(PATIENCE):
        gate.judged(hum + room(-75, seed), 0.01)
    assert gate.open_for == 0
    assert not gate.rises(hum + room(-75, 50))
    assert gate.rises(hum + room(-60, 51))


def test_after_digital_silence_the_softest_sound_opens_it() -> None:
    gate = NoiseGate()
    for _ in range(PATIENCE):
        gate.judged(np.zeros(WINDOW, np.float32), 0.0)
    assert not gate.rises(np.zeros(WINDOW, np.float32))
    assert gate.rises(np.full(WINDOW, BIT, np.float32))
