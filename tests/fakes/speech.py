"""Recorded human speech with its transcripts, from Debian's package pocketsphinx-testdata (BSD-2-Clause).

Five sentences of an audiobook and five calls of playing cards, 16 kHz.
"""

from __future__ import annotations

import re
import wave
from dataclasses import dataclass
from pathlib import Path

from agents.audio import Audio

DATA = Path("/usr/share/pocketsphinx/test/data")
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
