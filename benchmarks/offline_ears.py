"""The embedded ears on virtual time: the real models, whose work takes a fixed time of the virtual clock.

Nothing depends on the machine, and what was computed once for a piece of audio is not computed again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

from agents.audio import Audio, join
from agents.interfaces import NO_HINTS, STT, Hints, Transcript
from agents.providers.local import silero, smart_turn, whisper_weights
from agents.providers.local.guards import judge
from agents.providers.local.runtime import Lazy
from agents.providers.local.silero import SileroVAD
from agents.providers.local.whisper_model import MOST_SPEECH_S, Whisper
from sessions.pipeline.listening import Ears
from telemetry.trace import TurnMarks
from tests.scenario import detect_here


class OfflineSTT:
    """Whisper, which answers `after_s` after the end of the audio."""

    def __init__(self, model: Whisper, *, after_s: float) -> None:
        self._after_s = after_s
        self._model = model
        self._known: dict[bytes, Transcript] = {}

    async def transcribe(
        self, audio: AsyncIterator[Audio], marks: TurnMarks, hints: Hints = NO_HINTS
    ) -> AsyncGenerator[Transcript, None]:
        heard = join([piece async for piece in audio], 16_000)
        await asyncio.sleep(self._after_s)
        yield self._heard(heard)

    def text_of(self, audio: Audio) -> str:
        return self._heard(audio).text

    def _heard(self, audio: Audio) -> Transcript:
        key = hashlib.blake2b(audio.pcm).digest()
        if key not in self._known:
            part = audio.slice(max(0, audio.samples - round(MOST_SPEECH_S * 16_000)))
            self._known[key] = judge(self._model.decode(part, "en"))
        return self._known[key]


class OfflineEndOfTurn:
    def __init__(self, *, after_s: float) -> None:
        self._session = smart_turn.load(2)
        self._after_s = after_s
        self._known: dict[bytes, float] = {}

    async def probability(self, audio: Audio) -> float:
        key = hashlib.blake2b(audio.pcm).digest()
        if key not in self._known:
            self._known[key] = smart_turn.score(self._session, audio)
        await asyncio.sleep(self._after_s)
        return self._known[key]


def offline_stt(data: Path, *, after_s: float = 0.25) -> OfflineSTT:
    return OfflineSTT(Whisper(whisper_weights.directory(data), threads=2), after_s=after_s)


def offline_ears(stt: STT, *, judging_s: float = 0.06) -> Ears:
    return Ears(SileroVAD(Lazy(silero.load)), stt, OfflineEndOfTurn(after_s=judging_s), detect_here)
