"""What the microphones hear: a recorded room at -50 dBFS that never falls silent, and people who speak in it.

The room is made of the pauses in recordings of people, each at the same level, joined with crossfades.
Everything comes from Debian's package pocketsphinx-testdata.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from agents.audio import Audio
from tests.fakes import speech

RATE: Final = 24_000
FRAME: Final = RATE // 50
ROOM_DBFS: Final = -50.0
SPEECH_DBFS: Final = -23.0
"""Of an utterance's loud half; with it, a normal voice near a laptop."""
ONSET_DBFS: Final = -40.0
PAUSE_DBFS: Final = -42.0
PAUSE_MS: Final = 80
CROSSFADE_MS: Final = 20
ROUNDS: Final = 3
"""How often each pause occurs in the room's loop, each time in another order."""
UTTERANCES: Final = ("001", "003", "sense_and_sensibility_01_austen_64kb-0930")
"""Those without a pause that a silence wait of 200 ms could take for the end."""

Signal = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Material:
    """Frames of 20 ms at 24 kHz, PCM16. The last sample of an utterance's last frame is the last of its speech."""

    room: tuple[bytes, ...]
    utterances: tuple[tuple[bytes, ...], ...]


def material(rate: int = RATE, *, pause_ms: float = 0.0) -> Material:
    """The room and the utterances at `rate` Hz. With `pause_ms` each is two sentences with so much room between."""
    air, said = room(), utterances()
    if pause_ms:
        gap = np.zeros(round(pause_ms * RATE / 1000), dtype=np.float32)
        said = [np.concatenate([clip, gap, said[n - 1]]) for n, clip in enumerate(said)]
    return Material(frames(air, rate), tuple(frames(in_room(clip, air), rate) for clip in said))


def utterances() -> list[Signal]:
    """Short sentences, each said without a pause."""
    return [spoken(clip.audio) for clip in [*speech.cards(), *speech.audiobook()] if clip.name in UTTERANCES]


def spoken(audio: Audio) -> Signal:
    """From its first to its last 10 ms above -40 dBFS, its louder half at -23 dBFS, whole frames, at 24 kHz."""
    samples = audio.resampled(RATE).float32()
    loudness = levels(samples)
    loud = float(np.sqrt(np.mean(10 ** (loudness[loudness >= np.median(loudness)] / 10))))
    samples = samples * np.float32(10 ** (SPEECH_DBFS / 20) / loud)
    heard = np.flatnonzero(levels(samples) > ONSET_DBFS)
    step = RATE // 100
    return samples[heard[0] * step : (heard[-1] + 1) * step]


def room(seed: int = 1) -> Signal:
    """A loop of some ten seconds at -50 dBFS whose end fades into its beginning."""
    order = random.Random(seed)
    pieces = [at_level(pause, ROOM_DBFS) for pause in pauses()]
    line: list[Signal] = []
    for _ in range(ROUNDS):
        line += order.sample(pieces, len(pieces))
    return at_level(crossfaded_loop(line), ROOM_DBFS)


def pauses() -> list[Signal]:
    """What lies between the words of the recordings, at 24 kHz."""
    found: list[Signal] = []
    for clip in [*speech.audiobook(), *speech.cards()]:
        samples = clip.audio.resampled(RATE).float32()
        for start, stop in quiet_runs(levels(samples), PAUSE_MS // 10):
            found.append(samples[start * RATE // 100 : stop * RATE // 100])
    return found


def quiet_runs(levels_dbfs: npt.NDArray[np.float64], at_least: int) -> list[tuple[int, int]]:
    """[start, stop) of each run of `at_least` or more levels below -42 dBFS."""
    quiet = np.concatenate([[False], levels_dbfs < PAUSE_DBFS, [False]])
    edges = np.flatnonzero(quiet[1:] != quiet[:-1])
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= at_least]


def crossfaded_loop(pieces: list[Signal]) -> Signal:
    """The pieces in a ring, each fading into the next over 20 ms with constant power. Whole frames."""
    fade = RATE * CROSSFADE_MS // 1000
    rise = np.sin(np.linspace(0, np.pi / 2, fade)).astype(np.float32)
    total = sum(len(piece) - fade for piece in pieces)
    out = np.zeros(total + fade, dtype=np.float32)
    at = 0
    for piece in pieces:
        shaped = piece.copy()
        shaped[:fade] *= rise
        shaped[-fade:] *= rise[::-1]
        out[at : at + len(piece)] += shaped
        at += len(piece) - fade
    out[:fade] += out[total:]
    return out[: total - total % FRAME]


def in_room(clip: Signal, air: Signal) -> Signal:
    """The clip with the room around it; its beginning is padded with room, so that it ends with a frame."""
    missing = -len(clip) % FRAME
    padded = np.concatenate([np.zeros(missing, dtype=np.float32), clip])
    return padded + np.resize(air, len(padded))


def at_level(samples: Signal, dbfs: float) -> Signal:
    """With this RMS."""
    return samples * np.float32(10 ** (dbfs / 20) / np.sqrt(np.mean(samples**2)))


def levels(samples: Signal) -> npt.NDArray[np.float64]:
    """dBFS of each whole 10 ms."""
    step = RATE // 100
    whole = samples[: len(samples) // step * step].reshape(-1, step).astype(np.float64)
    dbfs: npt.NDArray[np.float64] = 10 * np.log10(np.mean(whole**2, axis=1) + 1e-12)
    return dbfs


def frames(samples: Signal, rate: int) -> tuple[bytes, ...]:
    """Cut into frames of 20 ms at `rate` Hz; samples short of a frame at the end are left out."""
    audio = Audio.from_float(samples, RATE).resampled(rate)
    step = rate // 50
    return tuple(audio.slice(at, at + step).pcm for at in range(0, audio.samples - step + 1, step))
