"""Audio as the Realtime API writes it: base64 of PCM at 24 kHz, or of G.711 at 8 kHz."""

from __future__ import annotations

import binascii
from math import ceil
from typing import Literal

from agents import g711
from agents.audio import BYTES_PER_SAMPLE, Audio, Resampler
from agents.errors import ClientError

AudioFormat = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
FORMATS: dict[AudioFormat, dict[str, str | int]] = {
    "audio/pcm": {"type": "audio/pcm", "rate": 24_000},
    "audio/pcmu": {"type": "audio/pcmu"},
    "audio/pcma": {"type": "audio/pcma"},
}
LAWS: dict[AudioFormat, g711.Law] = {"audio/pcmu": "mu", "audio/pcma": "a"}
PCM_RATE = 24_000
MAX_APPEND_BYTES = 15 * 1024 * 1024


def decode(text: str, form: AudioFormat) -> Audio:
    """The audio of one append; at 24 kHz, or at 8 kHz when it is G.711."""
    if len(text) > (MAX_APPEND_BYTES + 2) // 3 * 4:
        raise ClientError(f"'audio' is longer than {MAX_APPEND_BYTES} bytes; send smaller pieces.", param="audio")
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise ClientError("'audio' is not valid base64: standard alphabet, padded.", param="audio") from None
    if law := LAWS.get(form):
        return g711.decode(data, law)
    if len(data) % BYTES_PER_SAMPLE:
        raise ClientError(
            f"'audio' has {len(data)} bytes; audio/pcm has two bytes a sample, so the number must be even.",
            param="audio",
        )
    return Audio(data, PCM_RATE)


def to_base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def rate_of(form: AudioFormat) -> int:
    return g711.RATE if form in LAWS else PCM_RATE


def encode(audio: Audio, form: AudioFormat) -> bytes:
    """A whole clip in the wire's format."""
    return _coded(audio.resampled(rate_of(form)), form)


def base64_chars(audio: Audio, form: AudioFormat) -> int:
    """How long a clip is in the wire's format, give or take a sample."""
    sample_bytes = 1 if form in LAWS else BYTES_PER_SAMPLE
    return ceil(audio.samples * rate_of(form) * sample_bytes / audio.rate / 3) * 4


def _coded(audio: Audio, form: AudioFormat) -> bytes:
    law = LAWS.get(form)
    return g711.encode(audio, law) if law else audio.pcm


class AudioEncoder:
    """Turns a stream of audio, of any rate, into the wire's format without seams."""

    def __init__(self, form: AudioFormat) -> None:
        self.form = form
        self._resampler: Resampler | None = None

    def push(self, audio: Audio) -> bytes:
        if audio.rate == rate_of(self.form) and self._resampler is None:
            return _coded(audio, self.form)
        if self._resampler is None or self._resampler.source != audio.rate:
            self._resampler = Resampler(audio.rate, rate_of(self.form))
        return _coded(self._resampler.push(audio), self.form)

    def flush(self) -> bytes:
        """What the resampling filter still held back."""
        if self._resampler is None:
            return b""
        return _coded(self._resampler.push(Audio(b"", self._resampler.source), last=True), self.form)
