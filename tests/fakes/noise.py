"""Sounds that are not speech, synthesised: what a microphone hears when nobody talks to it.

Every generator returns 16 kHz audio of `seconds`, the same for the same `seed`, at levels a laptop's
microphone would record. They are stand-ins, not recordings: what they share with the real thing is the
long-term spectrum, the rhythm and the level.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agents.audio import Audio

RATE = 16_000

Signal = npt.NDArray[np.float64]


def fan(seconds: float, seed: int = 1) -> Audio:
    """Pink noise with the hum of the mains and of the blades, whose speed drifts; about -38 dBFS."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    t = np.arange(n) / RATE
    drift = 1 + 0.02 * np.sin(2 * np.pi * 0.1 * t)
    turns = 2 * np.pi * 87 * np.cumsum(drift) / RATE
    blades = np.sin(turns) + np.sin(2 * turns) / 2 + np.sin(3 * turns) / 3
    hum = np.sin(2 * np.pi * 50 * t) + 0.4 * np.sin(2 * np.pi * 150 * t)
    return _levelled(_coloured(rng, n, slope=-1.0) + 0.25 * _unit(blades) + 0.2 * _unit(hum), -38)


def keyboard(seconds: float, seed: int = 2) -> Audio:
    """Bursts of typing: each key a press and a softer release, three decaying resonances of its own."""
    rng = np.random.default_rng(seed)
    out = 0.001 * rng.standard_normal(round(seconds * RATE))
    at = 0.2
    while at < seconds:
        for _ in range(int(rng.integers(3, 20))):
            loudness = rng.uniform(0.4, 1.0)
            _mix(out, at, loudness * _knock(rng))
            _mix(out, at + rng.uniform(0.06, 0.12), 0.35 * loudness * _knock(rng))
            at += rng.uniform(0.08, 0.28)
        at += rng.uniform(0.3, 2.0)
    return _peaked(out, 0.25)


def music(seconds: float, seed: int = 3) -> Audio:
    """A chord progression with bass, a plucked melody and a hi-hat, 96 beats a minute; about -28 dBFS."""
    rng = np.random.default_rng(seed)
    out = np.zeros(round(seconds * RATE))
    beat = 60 / 96
    chords = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))
    for number in range(int(seconds / beat)):
        chord = chords[number // 4 % len(chords)]
        start = number * beat
        if number % 4 == 0:
            for semitone in chord:
                _mix(out, start, 0.3 * _note(220 * 2 ** (semitone / 12), 4 * beat, decay=1.0))
        _mix(out, start, 0.5 * _note(110 * 2 ** (chord[0] / 12), beat, decay=3.0))
        for half in (0.0, 0.5):
            tone = 440 * 2 ** (int(rng.choice(chord)) / 12)
            _mix(out, start + half * beat, 0.4 * _note(tone, beat / 2, decay=6.0))
            _mix(out, start + half * beat, 0.1 * _burst(rng, 0.05, 5000, 7500, decay=80))
    return _levelled(out, -28)


def coughs(seconds: float, seed: int = 4) -> Audio:
    """Coughs every few seconds, one to three in a row: an explosive burst, then a breathy, voiced tail."""
    rng = np.random.default_rng(seed)
    out = 0.001 * rng.standard_normal(round(seconds * RATE))
    at = 0.8
    while at < seconds:
        for _ in range(int(rng.integers(1, 4))):
            _mix(out, at, rng.uniform(0.6, 1.0) * _cough(rng))
            at += rng.uniform(0.35, 0.6)
        at += rng.uniform(2.0, 5.0)
    return _peaked(out, 0.5)


def _coloured(rng: np.random.Generator, n: int, slope: float) -> Signal:
    """Noise whose power falls as frequency to the power of `slope`, of unit RMS."""
    frequency = np.fft.rfftfreq(n, 1 / RATE)
    gain = np.where(frequency > 20, np.maximum(frequency, 20) ** (slope / 2), 0)
    return _unit(np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * gain, n))


def _burst(rng: np.random.Generator, seconds: float, low: float, high: float, decay: float) -> Signal:
    """Noise between two frequencies, dying away by exp(-decay * t), of unit RMS."""
    n = round(seconds * RATE)
    frequency = np.fft.rfftfreq(n, 1 / RATE)
    band = np.fft.rfft(rng.standard_normal(n)) * ((frequency > low) & (frequency < high))
    return _unit(np.fft.irfft(band, n) * np.exp(-decay * np.arange(n) / RATE))


def _knock(rng: np.random.Generator) -> Signal:
    t = np.arange(round(0.04 * RATE)) / RATE
    resonances = sum(
        rng.uniform(0.3, 1.0) * np.exp(-t * rng.uniform(120, 300)) * np.sin(2 * np.pi * rng.uniform(low, 2 * low) * t)
        for low in (350, 1400, 3000)
    )
    return np.asarray(resonances + 0.5 * rng.standard_normal(len(t)) * np.exp(-t * 900))


def _note(frequency: float, seconds: float, decay: float) -> Signal:
    t = np.arange(round(seconds * RATE)) / RATE
    attack = np.minimum(1.0, t / 0.005)
    tone = sum(np.sin(2 * np.pi * frequency * k * t) / k**1.5 for k in range(1, 7) if frequency * k < RATE / 2)
    return np.asarray(tone * attack * np.exp(-decay * t))


def _cough(rng: np.random.Generator) -> Signal:
    explosion = _burst(rng, 0.06, 300, 6000, decay=40)
    breath = _burst(rng, rng.uniform(0.12, 0.25), 250, 3500, decay=15)
    t = np.arange(len(breath)) / RATE
    pitch = rng.uniform(150, 260) * np.exp(-t)
    voiced = sum(np.sin(2 * np.pi * k * np.cumsum(pitch) / RATE) / k for k in range(1, 8)) * np.exp(-18 * t)
    return np.concatenate([2 * explosion, breath + 0.3 * voiced])


def _mix(into: Signal, seconds: float, sound: Signal) -> None:
    start = round(seconds * RATE)
    room = max(0, len(into) - start)
    into[start : start + len(sound)] += sound[:room]


def _unit(signal: Signal) -> Signal:
    return np.asarray(signal / np.sqrt(np.mean(signal**2)))


def _levelled(signal: Signal, dbfs: float) -> Audio:
    """The signal with an RMS of `dbfs`."""
    return Audio.from_float((_unit(signal) * 10 ** (dbfs / 20)).astype(np.float32), RATE)


def _peaked(signal: Signal, peak: float) -> Audio:
    return Audio.from_float((signal * (peak / np.abs(signal).max())).astype(np.float32), RATE)
