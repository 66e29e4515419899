"""The audio of one user turn, readable while it grows and as often as wanted."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from agents.audio import Audio, join
from telemetry.trace import TurnMarks

RATE = 16_000


class Utterance:
    """Pieces of 16 kHz audio under the id that the user's item will have.

    `version` grows when the speaker resumes after a pause, so that a transcript of less than the whole
    can be told from the final one. `speech_end` is its last speech so far, and `client_end` the same
    moment in the client's own stream, if that is known.

    `shown` characters of captions have been shown of it. `promised` says that some of its words stand already, and
    `told` is what of them the client has been told for good.
    """

    def __init__(self, item_id: str, start_sample: int, marks: TurnMarks) -> None:
        self.item_id = item_id
        self.start_sample = start_sample
        self.marks = marks
        self.version = 0
        self.samples = 0
        self.speech_ms = 0.0
        self.speech_end: int | None = None
        self.client_end: int | None = None
        self.shown = 0
        self.promised = False
        self.told = ""
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

    def stream(self) -> AsyncIterator[Audio]:
        """All of it from the start, as it comes, until `close`. A read that is cancelled loses nothing."""
        return _Reader(self)

    async def piece(self, n: int) -> Audio:
        """The n-th piece once it is there; StopAsyncIteration if there will be none."""
        while n >= len(self._pieces):
            if self._complete:
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._pieces[n]


class _Reader(AsyncIterator[Audio]):
    def __init__(self, utterance: Utterance) -> None:
        self._utterance = utterance
        self._n = 0

    async def __anext__(self) -> Audio:
        piece = await self._utterance.piece(self._n)
        self._n += 1
        return piece


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

    def until(self, sample: int, ms: float) -> Audio:
        """The `ms` before `sample`, or what is kept of them."""
        kept = self.since(sample - round(ms * RATE / 1000))
        return kept.slice(0, max(0, kept.samples - max(0, self.end_sample - sample)))

    def since(self, sample: int) -> Audio:
        """From `sample`, or from the oldest kept, to the end."""
        kept = join(list(self._pieces), RATE)
        return kept.slice(max(0, kept.samples - max(0, self.end_sample - sample)))


@dataclass(frozen=True, slots=True)
class _Arrival:
    """Audio up to `end` (16 kHz) came in at `at`, what lay before it at `since`; `client_end` counts at `rate`."""

    end: int
    since: float
    at: float
    client_end: int | None
    rate: int


class Arrivals:
    """When each sample came in, and which it was to the client, so that marks are put where the sound was."""

    def __init__(self, entries: int = 512) -> None:
        self._entries: deque[_Arrival] = deque(maxlen=entries)

    def note(self, end_sample: int, at: float, *, rate: int = RATE, client_end: int | None = None) -> None:
        """Audio up to `end_sample` arrived at `at` seconds; it ended at the client's own sample `client_end`."""
        since = self._entries[-1].at if self._entries else -math.inf
        self._entries.append(_Arrival(end_sample, since, max(at, since), client_end, rate))

    def time_of(self, sample: int) -> float:
        """Seconds at which `sample` was spoken, as the server saw it: its chunk's arrival, less what follows it.

        Later samples never have earlier times, not even when audio comes faster than it can be spoken.
        """
        arrival = self._of(sample)
        if arrival is None:
            return 0.0
        return max(arrival.since, arrival.at - max(0, arrival.end - sample) / RATE)

    def client_sample(self, sample: int, window: int) -> int | None:
        """`sample`, the end of a window, as the client counts from the window's start on; None if it did not say."""
        arrival = self._of(sample - window)
        if arrival is None or arrival.client_end is None:
            return None
        return arrival.client_end - (arrival.end - sample) * arrival.rate // RATE

    def _of(self, sample: int) -> _Arrival | None:
        found = None
        for arrival in reversed(self._entries):
            if found is not None and arrival.end < sample:
                break
            found = arrival
        return found
