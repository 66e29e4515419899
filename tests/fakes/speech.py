"""Recorded human speech from Debian's packages, 16 kHz.

pocketsphinx-testdata (BSD-2-Clause): five sentences of an audiobook and five calls of playing cards, with their
transcripts. asterisk-core-sounds-en-g722 (CC-BY-SA-3.0): what a telephone exchange says, each word and sentence clean.
"""

from __future__ import annotations

import re
import wave
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from agents.audio import Audio, join

DATA = Path("/usr/share/pocketsphinx/test/data")
PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
RATE = 16_000
BLOCK = RATE // 100
EDGE = 10 ** (-40 / 20)
_LINE = re.compile(r"<s>\s*(?P<text>.*?)\s*</s>\s*\((?P<name>.+)\)")


@dataclass(frozen=True, slots=True)
class Clip:
    name: str
    audio: Audio
    text: str


def read_wav(path: Path) -> Audio:
    with wave.open(str(path)) as file:
        if file.getnchannels() != 1 or file.getsampwidth() != 2:
            raise ValueError(f"{path} is not 16-bit mono")
        return Audio(file.readframes(file.getnframes()), file.getframerate())


def decoded(path: Path) -> Audio:
    """Any sound file that FFmpeg reads, at 16 kHz."""
    with av.open(str(path)) as file:
        resampler = av.AudioResampler("s16", "mono", RATE)
        frames = [*file.decode(audio=0), None]
        pieces = [piece.to_ndarray().tobytes() for frame in frames for piece in resampler.resample(frame)]
    return join([Audio(piece, RATE) for piece in pieces], RATE)


def prompt(name: str) -> Audio:
    """What the exchange says under this name, such as "hello" or "digits/7", without silence around it."""
    path = PROMPTS / f"{name}.g722"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; run: sudo apt-get install asterisk-core-sounds-en-g722")
    return trimmed(decoded(path))


def trimmed(audio: Audio) -> Audio:
    """From the first 10 ms above -40 dBFS to the last."""
    blocks = audio.float32()[: audio.samples // BLOCK * BLOCK].reshape(-1, BLOCK)
    loud = np.flatnonzero(np.sqrt(np.mean(np.square(blocks), axis=1)) > EDGE)
    return audio.slice(int(loud[0]) * BLOCK, (int(loud[-1]) + 1) * BLOCK)


def audiobook() -> list[Clip]:
    return _clips("librivox", "transcription")


def cards() -> list[Clip]:
    return _clips("cards", "cards.transcription")


def _clips(folder: str, transcripts: str) -> list[Clip]:
    listing = DATA / folder / transcripts
    if not listing.is_file():
        raise FileNotFoundError(f"{listing} is missing; run: sudo apt-get install pocketsphinx-testdata")
    lines = [match for line in listing.read_text().splitlines() if (match := _LINE.match(line))]
    return [Clip(m["name"], read_wav(DATA / folder / f"{m['name']}.wav"), m["text"]) for m in lines]
