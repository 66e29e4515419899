"""Audio as a value: 16-bit little-endian mono PCM with its rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

BYTES_PER_SAMPLE = 2


@dataclass(frozen=True, slots=True)
class Audio:
    """A run of samples. `pcm` is signed 16-bit little-endian mono; `rate` is in Hz."""

    pcm: bytes
    rate: int

    def __post_init__(self) -> None:
        if len(self.pcm) % BYTES_PER_SAMPLE:
            raise ValueError(f"PCM16 needs an even number of bytes, got {len(self.pcm)}")

    @classmethod
    def silence(cls, ms: float, rate: int) -> Audio:
        return cls(bytes(BYTES_PER_SAMPLE * round(ms * rate / 1000)), rate)

    @classmethod
    def from_float(cls, samples: npt.NDArray[np.float32], rate: int) -> Audio:
        """From floats in [-1, 1]; louder samples are clipped."""
        return cls((np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes(), rate)

    @property
    def samples(self) -> int:
        return len(self.pcm) // BYTES_PER_SAMPLE

    @property
    def ms(self) -> float:
        return self.samples * 1000 / self.rate

    def int16(self) -> npt.NDArray[np.int16]:
        """The samples, shape (n,), without a copy."""
        return np.frombuffer(self.pcm, dtype="<i2")

    def float32(self) -> npt.NDArray[np.float32]:
        """The samples scaled to [-1, 1), shape (n,)."""
        return self.int16().astype(np.float32) / np.float32(32768)

    def slice(self, start: int, stop: int | None = None) -> Audio:
        """Samples `start` to `stop`."""
        end = None if stop is None else stop * BYTES_PER_SAMPLE
        return Audio(self.pcm[start * BYTES_PER_SAMPLE : end], self.rate)

    def split(self, ms: float) -> Iterator[Audio]:
        """Pieces of `ms` milliseconds; the last may be shorter."""
        step = max(1, round(ms * self.rate / 1000))
        for start in range(0, self.samples, step):
            yield self.slice(start, start + step)

    def resampled(self, rate: int) -> Audio:
        """The whole clip at another rate. For a stream use `Resampler`."""
        if rate == self.rate:
            return self
        return Audio(soxr.resample(self.int16(), self.rate, rate).astype("<i2").tobytes(), rate)


def join(pieces: list[Audio], rate: int) -> Audio:
    """The pieces in a row; all must be at `rate` Hz."""
    return Audio(b"".join(piece.pcm for piece in pieces), rate)


class Resampler:
    """Resamples a stream without seams. Quality "QQ" to "VHQ" as in soxr."""

    def __init__(self, source: int, target: int, quality: str = "LQ") -> None:
        self.source = source
        self.target = target
        self._stream = (
            None if source == target else soxr.ResampleStream(source, target, 1, dtype="int16", quality=quality)
        )

    def push(self, audio: Audio, *, last: bool = False) -> Audio:
        """What is ready after `audio`; `last` flushes the filter's tail."""
        if self._stream is None:
            return audio
        out = self._stream.resample_chunk(audio.int16(), last=last)
        return Audio(out.astype("<i2", copy=False).tobytes(), self.target)
