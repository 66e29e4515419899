"""Phrases that are voiced before anybody needs them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from agents.audio import Audio, join
from agents.errors import ProviderError
from agents.interfaces import TTS, Segment, VoiceOptions
from agents.spec import TTSSpec
from telemetry.trace import TurnMarks

CLIPS = 64
"""Phrases that a process keeps, 10 MB at most; the one that was not used for longest goes."""
CLIP_MS = 3_000
"""A phrase that takes longer is no acknowledgement, and is not kept."""
MAKING_S = 15.0


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks a phrase: an agent's part of the spec, and what its client asked for."""

    spec: TTSSpec
    options: VoiceOptions


class Phrasebook:
    """The audio of phrases by voice. Each is made once; one that could not be made is tried when next asked for."""

    def __init__(self, size: int = CLIPS) -> None:
        self._size = size
        self._clips: OrderedDict[tuple[Voice, str], Audio] = OrderedDict()
        self._making: set[tuple[Voice, str]] = set()

    def find(self, voice: Voice, text: str) -> Audio | None:
        clip = self._clips.get((voice, text))
        if clip is not None:
            self._clips.move_to_end((voice, text))
        return clip

    async def make(self, tts: TTS, voice: Voice, texts: Sequence[str]) -> None:
        """See to it that the phrases are there. A voice that fails makes none, and says so when it is to answer."""
        for text in texts:
            key = (voice, text)
            if key in self._clips or key in self._making:
                continue
            self._making.add(key)
            try:
                self._keep(key, await _spoken(tts, voice, text))
            except (ProviderError, TimeoutError):
                return
            finally:
                self._making.discard(key)

    def _keep(self, key: tuple[Voice, str], clip: Audio) -> None:
        if 0 < clip.ms <= CLIP_MS:
            self._clips[key] = clip
        if len(self._clips) > self._size:
            self._clips.popitem(last=False)


async def _spoken(tts: TTS, voice: Voice, text: str) -> Audio:
    """`text` in this voice, and what exceeds CLIP_MS by little: there is no need to hear more of it."""
    pieces: list[Audio] = []
    async with asyncio.timeout(MAKING_S):
        marks = TurnMarks(asyncio.get_running_loop().time)
        async with aclosing(tts.synthesize(_alone(text), voice.options, marks)) as speech:
            async for piece in speech:
                pieces.append(piece.audio)
                if sum(audio.ms for audio in pieces) > CLIP_MS:
                    break
    return join(pieces, pieces[0].rate) if pieces else Audio(b"", 24_000)


async def _alone(text: str) -> AsyncGenerator[Segment, None]:
    yield Segment(0, text)
