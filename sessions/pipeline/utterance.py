"""The audio of one user turn, readable while it grows and as often as wanted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from agents.audio import Audio, join
from telemetry.trace import TurnMarks

RATE = 16_000


class Utterance:
    """Pieces of 16 kHz audio under the id that the user's item will have.

    `version` grows when the speaker resumes after a pause, so that a transcript of less than the whole
    can be told from the final one.
    """

    def __init__(self, item_id: str, start_sample: int, marks: TurnMarks) -> None:
        self.item_id = item_id
        self.start_sample = start_sample
        self.marks = marks
        self.version = 0
        self.samples = 0
        self._pieces: list[Audio] = []
        self._more = asyncio.Event()
        self._complete = False

    @property
    def ms(self) -> float:
        return self.samples * 1000 / RATE

    @property
    def complete(self) -> bool:
        return self._complete

    def append(self, audio: Audio) -> None:
        self._pieces.append(audio)
        self.samples += audio.samples
        self._more.set()

    def close(self) -> None:
        """No more speech is expected: readers come to an end after what is there."""
        self._complete = True
        self._more.set()

    def reopen(self) -> None:
        """The speaker went on. Readers of the old version are expected to be cancelled."""
        self._complete = False
        self.version += 1

    def audio(self) -> Audio:
        return join(self._pieces, RATE)

    async def stream(self) -> AsyncGenerator[Audio, None]:
        """All of it from the start, as it comes, until `close`."""
        sent = 0
        while True:
            while sent < len(self._pieces):
                yield self._pieces[sent]
                sent += 1
            if self._complete:
                return
            self._more.clear()
            await self._more.wait()


class Tail:
    """The last `ms` of audio, kept so that a turn can begin before it was noticed."""

    def __init__(self, ms: float) -> None:
        self._pieces: deque[Audio] = deque(maxlen=8192)
        self._samples = 0
        self.end_sample = 0
        self.resize(ms)

    def resize(self, ms: float) -> None:
        self._limit = round(ms * RATE / 1000)

    def append(self, audio: Audio) -> None:
        self._pieces.append(audio)
        self._samples += audio.samples
        self.end_sample += audio.samples
        while self._pieces and self._samples - self._pieces[0].samples >= self._limit:
            self._samples -= self._pieces.popleft().samples

    def since(self, sample: int) -> Audio:
        """From `sample`, or from the oldest kept, to the end."""
        kept = join(list(self._pieces), RATE)
        return kept.slice(max(0, kept.samples - max(0, self.end_sample - sample)))


class Arrivals:
    """When each sample came in, so that marks can be put where the sound was, not where it was noticed."""

    def __init__(self, entries: int = 512) -> None:
        self._entries: deque[tuple[int, float]] = deque(maxlen=entries)

    def note(self, end_sample: int, at: float) -> None:
        """Audio up to `end_sample` arrived at `at` seconds."""
        self._entries.append((end_sample, at))

    def time_of(self, sample: int) -> float:
        """Seconds at which `sample` was spoken, as the server saw it: its chunk's arrival, less what follows it."""
        best_end, best_at = self._entries[0] if self._entries else (sample, 0.0)
        for end, at in reversed(self._entries):
            if end < sample:
                break
            best_end, best_at = end, at
        return best_at - max(0, best_end - sample) / RATE
