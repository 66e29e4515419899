"""Speech to text with Whisper: one decoding at the end of an utterance, earlier ones for long speech and partials."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agents.audio import Audio, join
from agents.errors import ProviderTimeout
from agents.interfaces import NO_HINTS, Hints, Transcript
from agents.providers.local.guards import judge
from agents.providers.local.pool import Lane
from agents.providers.local.runtime import RATE, Lazy
from agents.providers.local.whisper_model import MOST_SPEECH_S, Whisper
from telemetry.trace import TurnMarks

LEAST_MS = 60.0
"""Shorter audio holds no word and is not decoded."""

CUT_FROM_S = 16.0
"""Longer speech than MOST_SPEECH_S is cut at the quietest moment after this."""


@dataclass(frozen=True, slots=True)
class WhisperOptions:
    """`partial_every_ms` of new audio, and of time, a partial is decoded if nothing else waits for the model;
    None for no partials. Each costs as much as a final.
    """

    language: str = "en"
    prompt: str = ""
    timeout_s: float = 15.0
    partial_every_ms: float | None = None


class WhisperSTT:
    def __init__(self, model: Lazy[Whisper], lane: Lane, options: WhisperOptions, *, name: str) -> None:
        self._model = model
        self._lane = lane
        self._options = options
        self._name = name

    async def transcribe(
        self, audio: AsyncIterator[Audio], marks: TurnMarks, hints: Hints = NO_HINTS
    ) -> AsyncGenerator[Transcript, None]:
        """Partials while `audio` (16 kHz) flows, if they are on, then exactly one final after it ends."""
        marks.fact("stt_model", self._name)
        utterance = _Utterance(self._model, self._lane, self._options, hints)
        try:
            async for piece in audio:
                utterance.add(piece)
                if partial := utterance.partial():
                    marks.stamp("stt_first_partial")
                    yield Transcript(partial, final=False)
            final = await utterance.final()
            marks.stamp("stt_final")
            yield final
        finally:
            utterance.give_up()


class _Utterance:
    """The audio of one utterance and the decodings under way.

    Nothing here waits while audio flows: a decoding is a future looked at when the next audio arrives.
    """

    def __init__(self, model: Lazy[Whisper], lane: Lane, options: WhisperOptions, hints: Hints) -> None:
        self._model = model
        self._lane = lane
        self._options = options
        self._hints = hints
        self._loop = asyncio.get_running_loop()
        self._pieces: list[Audio] = []
        self._samples = 0
        self._parts: list[asyncio.Future[Transcript]] = []
        self._partial: asyncio.Future[Transcript] | None = None
        self._partial_samples = 0
        self._partial_at = self._loop.time()

    def add(self, piece: Audio) -> None:
        """Take in the next audio; what exceeds one decoding is cut off at a quiet moment and decoded."""
        self._pieces.append(piece)
        self._samples += piece.samples
        while self._samples > MOST_SPEECH_S * RATE:
            whole = join(self._pieces, RATE)
            cut = quietest(whole.float32()[: round(MOST_SPEECH_S * RATE)], round(CUT_FROM_S * RATE))
            self._parts.append(self._decode(whole.slice(0, cut)))
            self._pieces = [whole.slice(cut)]
            self._samples -= cut
            self._partial_samples = 0

    def partial(self) -> str:
        """The text so far if a partial has just become ready; starts one if it is time."""
        text = self._finished_partial()
        if self._partial is None and self._is_time():
            self._partial_samples = self._samples
            self._partial_at = self._loop.time()
            self._partial = self._decode(join(self._pieces, RATE))
        return text

    async def final(self) -> Transcript:
        """The transcript of everything, or none with the reason for the first part that was refused."""
        if self._partial is not None:
            self._partial.cancel()
        if self._samples * 1000 / RATE >= LEAST_MS:
            self._parts.append(self._decode(join(self._pieces, RATE)))
        if not self._parts:
            return Transcript("", final=True, rejected="no_speech")
        return _joined(await self._finished_parts())

    def give_up(self) -> None:
        for future in (*self._parts, *([self._partial] if self._partial else [])):
            future.cancel()

    async def _finished_parts(self) -> list[Transcript]:
        try:
            async with asyncio.timeout(self._options.timeout_s):
                return [await part for part in self._parts]
        except TimeoutError as error:
            message = f"Whisper did not answer within {self._options.timeout_s:g} s."
            raise ProviderTimeout(message, provider="whisper") from error

    def _decode(self, audio: Audio) -> asyncio.Future[Transcript]:
        return self._lane.submit(self._work, audio)

    def _work(self, audio: Audio) -> Transcript:
        model, asked = self._model.get(), self._hints.language
        language = asked if asked and model.knows(asked) else self._options.language
        return judge(model.decode(audio, language, self._hints.prompt or self._options.prompt))

    def _is_time(self) -> bool:
        every = self._options.partial_every_ms
        if every is None or not self._lane.idle:
            return False
        fresh_ms = (self._samples - self._partial_samples) * 1000 / RATE
        return fresh_ms >= every and (self._loop.time() - self._partial_at) * 1000 >= every

    def _finished_partial(self) -> str:
        if self._partial is None or not self._partial.done():
            return ""
        tail, self._partial = self._partial.result(), None
        if not all(part.done() for part in self._parts):
            return ""
        return _joined([*(part.result() for part in self._parts), tail]).text


def quietest(samples: npt.NDArray[np.float32], start: int) -> int:
    """The middle of the quietest 200 ms of `samples` from `start` on."""
    span = RATE // 5
    energy = np.concatenate(([0.0], np.cumsum(np.square(samples[start:], dtype=np.float64))))
    return start + int(np.argmin(energy[span:] - energy[:-span])) + span // 2


def _joined(parts: list[Transcript]) -> Transcript:
    text = " ".join(part.text for part in parts if part.text)
    return Transcript(text, final=True, rejected=None if text else parts[0].rejected)
