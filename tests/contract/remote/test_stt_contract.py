from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from agents.audio import Audio
from telemetry.trace import TurnMarks
from tests.contract.remote.providers import STTS, STTCase, Surroundings, settle


async def pieces(audio: Audio) -> AsyncGenerator[Audio, None]:
    for piece in audio.split(100):
        yield piece
        await asyncio.sleep(0)


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


@pytest.mark.parametrize("case", STTS, ids=str)
class TestSTT:
    async def test_exactly_one_final_comes_last(self, case: STTCase, around: Surroundings) -> None:
        stream = case.make(around).transcribe(pieces(case.hears()), TurnMarks(time.monotonic))
        transcripts = [transcript async for transcript in stream]
        assert [transcript.final for transcript in transcripts] == [False] * (len(transcripts) - 1) + [True]

    async def test_the_final_has_the_words(self, case: STTCase, around: Surroundings) -> None:
        stream = case.make(around).transcribe(pieces(case.hears()), TurnMarks(time.monotonic))
        transcripts = [transcript async for transcript in stream]
        assert words(transcripts[-1].text) == words(case.says)
        assert transcripts[-1].rejected is None

    async def test_moments_are_stamped(self, case: STTCase, around: Surroundings) -> None:
        marks = TurnMarks(time.monotonic)
        stream = case.make(around).transcribe(pieces(case.hears()), marks)
        partials = [transcript async for transcript in stream if not transcript.final]
        assert "stt_final" in marks.at
        assert ("stt_first_partial" in marks.at) == bool(partials)
        assert marks.facts["stt_model"]

    async def test_closing_early_leaves_nothing_running(self, case: STTCase, around: Surroundings) -> None:
        before = asyncio.all_tasks()
        stream = case.make(around).transcribe(pieces(case.hears()), TurnMarks(time.monotonic))
        async with aclosing(stream):
            await anext(stream)
        await settle()
        assert asyncio.all_tasks() == before

    async def test_cancelling_while_audio_comes_leaves_nothing_running(
        self, case: STTCase, around: Surroundings
    ) -> None:
        async def endless() -> AsyncGenerator[Audio, None]:
            while True:
                yield Audio.silence(100, 16_000)
                await asyncio.sleep(0.005)

        async def consume() -> None:
            async for _ in case.make(around).transcribe(endless(), TurnMarks(time.monotonic)):
                pass

        before = asyncio.all_tasks()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(consume(), 0.02)
        await settle()
        assert asyncio.all_tasks() == before
