"""The sound side of a talk without a microphone: WAV files in, and what a listener would have heard out.

Times are seconds of one clock, whichever the caller uses.
"""

from __future__ import annotations

import wave
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agents.audio import Audio

RATE = 24_000
AUDIBLE = 0.004  # -48 dBFS, as a part of full scale: the first sample that a listener can notice
SPEECH_RMS = 0.01  # -40 dBFS over 10 ms


class BadWav(ValueError):
    """Use 16-bit PCM WAV, mono or stereo, 8 to 48 kHz."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(f"{path}: {found}. {type(self).__doc__}")


def read_wav(path: Path) -> Audio:
    """The file as mono at 24 kHz. `BadWav` says what it is and what it should be; OSError as usual."""
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            pcm = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise BadWav(path, f"not a PCM WAV file ({str(error) or 'it ends too early'})") from error
    if width != 2:
        raise BadWav(path, f"{8 * width}-bit samples")
    if channels not in (1, 2):
        raise BadWav(path, f"{channels} channels")
    if not 8_000 <= rate <= 48_000:
        raise BadWav(path, f"{rate} Hz")
    if not pcm:
        raise BadWav(path, "no sound in it")
    samples = np.frombuffer(pcm[: len(pcm) // (2 * channels) * 2 * channels], dtype="<i2").reshape(-1, channels)
    mono = samples[:, 0] if channels == 1 else samples.astype(np.int32).mean(axis=1)
    return Audio(mono.astype("<i2").tobytes(), rate).resampled(RATE)


def write_wav(path: Path, audio: Audio) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(audio.rate)
        file.writeframes(audio.pcm)


def last_sound(audio: Audio) -> int:
    """The sample after the last 10 ms above -40 dBFS; all of it when it is quieter than that throughout."""
    block = audio.rate // 100
    samples = audio.float32()
    blocks = samples[: len(samples) // block * block].reshape(-1, block)
    loud = np.flatnonzero(np.sqrt((blocks**2).mean(axis=1)) > SPEECH_RMS)
    return int(loud[-1] + 1) * block if loud.size else audio.samples


@dataclass(slots=True)
class Piece:
    """Some audio of an item, and when its first sample is played. `offset` is that sample's place in the item."""

    item: str
    offset: int
    audio: Audio
    at: float

    @property
    def end(self) -> float:
        return self.at + self.audio.samples / self.audio.rate

    def samples_by(self, now: float) -> int:
        if now >= self.end:
            return self.audio.samples
        return max(0, round((now - self.at) * self.audio.rate))

    def before(self, now: float) -> Piece:
        return Piece(self.item, self.offset, self.audio.slice(0, self.samples_by(now)), self.at)

    def after(self, now: float) -> Piece:
        done = self.samples_by(now)
        return Piece(self.item, self.offset + done, self.audio.slice(done), now)


@dataclass
class Player:
    """A loudspeaker without sound: it knows when each sample would be played, and can be stopped and held.

    Its jitter buffer is empty: audio is played when it comes, or after what is before it. `played` keeps
    all that was heard.
    """

    played: list[Piece] = field(default_factory=list)
    _ahead: deque[Piece] = field(default_factory=deque)
    _received: dict[str, int] = field(default_factory=dict)
    _held: bool = False

    def push(self, item: str, audio: Audio, now: float) -> Piece:
        """More audio of `item`, just come in. Where it is placed; while held, that is not yet true."""
        self.advance(now)
        at = max(now, self._ahead[-1].end if self._ahead else self.played[-1].end if self.played else now)
        piece = Piece(item, self._received.get(item, 0), audio, at)
        self._received[item] = piece.offset + audio.samples
        self._ahead.append(piece)
        return piece

    def advance(self, now: float) -> None:
        """Move what is over by now to `played`."""
        while self._ahead and not self._held and self._ahead[0].end <= now:
            self.played.append(self._ahead.popleft())

    def clear(self, now: float) -> tuple[str, int] | None:
        """Stop, and forget the rest. What was cut: its item, and the samples heard of it."""
        self.advance(now)
        cut = None
        if self._ahead:
            heard = self._ahead[0].before(self._ahead[0].at if self._held else now)
            cut = heard.item, heard.offset + heard.audio.samples
            self.played.append(heard)
            self._ahead.clear()
        self._held = False
        return cut

    def hold(self, now: float) -> None:
        self.advance(now)
        if self._held or not self._ahead:
            return
        current = self._ahead.popleft()
        self.played.append(current.before(now))
        self._ahead.appendleft(current.after(now))
        self._held = True

    def resume(self, now: float) -> None:
        if not self._held:
            return
        self._held = False
        for piece in self._ahead:
            piece.at = now
            now = piece.end

    @property
    def busy(self) -> bool:
        return bool(self._ahead)

    def heard_of(self, item: str, now: float) -> int:
        """Samples of `item` that were played by now."""
        pieces = [*self.played, *(() if self._held else self._ahead)]
        ends = [piece.offset + piece.samples_by(now) for piece in pieces if piece.item == item and piece.at < now]
        return max(ends, default=0)

    def recording(self, start: float) -> Audio:
        """All that was heard from `start` on, with its silences, at 24 kHz."""
        samples = np.zeros(max((round((piece.end - start) * RATE) for piece in self.played), default=0), np.int16)
        for piece in self.played:
            first = max(0, round((piece.at - start) * RATE))
            heard = piece.audio.int16()[: len(samples) - first]
            samples[first : first + len(heard)] = heard
        return Audio(samples.tobytes(), RATE)


def first_audible(audio: Audio) -> int | None:
    """The first sample above -48 dBFS."""
    loud = np.flatnonzero(np.abs(audio.float32()) > AUDIBLE)
    return int(loud[0]) if loud.size else None
