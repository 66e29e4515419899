"""The body of a speech answer as audio: raw PCM as asked for, or the WAV that some servers send instead."""

from __future__ import annotations

import re
import struct
from typing import Final

from agents.audio import BYTES_PER_SAMPLE, Audio

PCM_RATE: Final = 24_000
"""What the API means by `response_format: pcm`: 24 kHz, 16 bit, little endian, mono."""
MAX_HEADER: Final = 64 * 1024

_MAGIC: Final = {b"ID3": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC", b"{": "JSON", b"<": "HTML"}
_UNKNOWN_SIZE: Final = 0x7FFF_0000
"""A WAV written before its length was known claims this much or more."""


class NotPCM(ValueError):
    """The body is something else; the message names it."""


class SpeechDecoder:
    """Takes the body in pieces of any size and gives whole samples.

    A content type may name another rate ("audio/pcm;rate=16000"). One that says MP3 is believed only if the
    first bytes agree, as there are servers that say so of everything.
    """

    def __init__(self, content_type: str) -> None:
        rate = re.search(r"rate=(\d{4,6})", content_type)
        self.rate = int(rate.group(1)) if rate else PCM_RATE
        self._content_type = content_type.partition(";")[0].strip().lower()
        self._held = b""
        self._begun = False
        self._left: int | None = None

    def push(self, data: bytes) -> Audio:
        """What can be played now; empty while a header is incomplete."""
        self._held += data
        if not self._begun and not self._begin():
            return Audio(b"", self.rate)
        usable = len(self._held) if self._left is None else min(len(self._held), self._left)
        usable -= usable % BYTES_PER_SAMPLE
        pcm, self._held = self._held[:usable], self._held[usable:]
        if self._left is not None:
            self._left -= usable
        return Audio(pcm, self.rate)

    def _begin(self) -> bool:
        if len(self._held) < 12 and b"RIFF".startswith(self._held[:4]):
            return False
        if self._held[:4] == b"RIFF" and self._held[8:12] == b"WAVE":
            return self._read_wav_header()
        self._refuse_others()
        self._begun = True
        return True

    def _refuse_others(self) -> None:
        textual = self._content_type.startswith(("text/", "application/json"))
        for magic, name in _MAGIC.items():
            if self._held.startswith(magic) and (len(magic) > 1 or textual):
                raise NotPCM(name)
        if self._content_type in ("audio/mpeg", "audio/mp3") and _is_mp3_frame(self._held):
            raise NotPCM("MP3")
        if textual:
            raise NotPCM(self._content_type)

    def _read_wav_header(self) -> bool:
        at = 12
        while at + 8 <= len(self._held):
            name, size = struct.unpack_from("<4sI", self._held, at)
            at += 8
            if name == b"data":
                self._held = self._held[at:]
                self._left = size if 0 < size < _UNKNOWN_SIZE else None
                self._begun = True
                return True
            if name == b"fmt " and at + 16 <= len(self._held):
                self._read_wav_format(at)
            at += size + size % 2
        if len(self._held) > MAX_HEADER:
            raise NotPCM("a WAV file without sound")
        return False

    def _read_wav_format(self, at: int) -> None:
        code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", self._held, at)
        extensible = code == 0xFFFE
        if (code != 1 and not extensible) or channels != 1 or bits != 16:
            raise NotPCM(f"a WAV file with {channels} channels of {bits} bits, code {code}")
        self.rate = rate


def _is_mp3_frame(data: bytes) -> bool:
    return len(data) >= 2 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0
