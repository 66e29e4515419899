"""G.711: telephone audio of one byte a sample at 8 kHz, as mu-law (North America, Japan) and A-law (elsewhere).

Decision values and code words are those of ITU-T G.711 tables 1 and 2. Both directions are one table
look-up a sample: 256 entries to decode, 65,536 to encode.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from agents.audio import Audio

RATE = 8_000
Law = Literal["mu", "a"]

MU_BIAS = 33  # of a 14-bit sample
MU_CLIP = 8_159
MU_SEGMENT_ENDS = np.array([0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF, 0x1FFF])
A_SEGMENT_ENDS = np.array([0x1F, 0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF])  # of a 13-bit sample
A_EVEN_BITS = 0x55


def decode(data: bytes, law: Law) -> Audio:
    """PCM at 8 kHz of one code word a byte."""
    return Audio(_decoding(law)[np.frombuffer(data, dtype=np.uint8)].tobytes(), RATE)


def encode(audio: Audio, law: Law) -> bytes:
    """One code word a sample; `audio` must be at 8 kHz."""
    if audio.rate != RATE:
        raise ValueError(f"G.711 is {RATE} Hz, not {audio.rate}")
    codes: npt.NDArray[np.uint8] = _encoding(law)[np.frombuffer(audio.pcm, dtype="<u2")]
    return codes.tobytes()


@cache
def _decoding(law: Law) -> npt.NDArray[np.int16]:
    codes = np.arange(256)
    return (_mu_samples(codes) if law == "mu" else _a_samples(codes)).astype("<i2")


@cache
def _encoding(law: Law) -> npt.NDArray[np.uint8]:
    samples = np.arange(65_536).astype("<u2").view("<i2").astype(np.int64)
    return (_mu_codes(samples) if law == "mu" else _a_codes(samples)).astype(np.uint8)


def _mu_samples(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    codes = ~codes & 0xFF
    bias = MU_BIAS << 2
    magnitude = ((((codes & 0x0F) << 3) + bias) << ((codes & 0x70) >> 4)) - bias
    return np.where(codes & 0x80, -magnitude, magnitude)


def _mu_codes(samples: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    values = samples >> 2
    magnitude = np.minimum(np.abs(values), MU_CLIP) + MU_BIAS
    segment = np.searchsorted(MU_SEGMENT_ENDS, magnitude)
    codes = np.minimum((segment << 4) | ((magnitude >> (segment + 1)) & 0x0F), 0x7F)
    inverted: npt.NDArray[np.int64] = codes ^ np.where(values < 0, 0x7F, 0xFF)
    return inverted


def _a_samples(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    codes = codes ^ A_EVEN_BITS
    segment = (codes & 0x70) >> 4
    step = ((codes & 0x0F) << 4) + 8
    magnitude = np.where(segment == 0, step, (step + 0x100) << np.maximum(segment - 1, 0))
    return np.where(codes & 0x80, magnitude, -magnitude)


def _a_codes(samples: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    values = samples >> 3
    magnitude = np.where(values < 0, -values - 1, values)
    segment = np.searchsorted(A_SEGMENT_ENDS, magnitude)
    codes = (segment << 4) | ((magnitude >> np.maximum(segment, 1)) & 0x0F)
    return codes ^ np.where(values < 0, A_EVEN_BITS, 0x80 | A_EVEN_BITS)
