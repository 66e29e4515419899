from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import numpy as np
import pytest

from agents.interfaces import TTS, Segment, Speech, VoiceOptions
from telemetry.trace import TurnMarks
from tests.contract.remote.providers import TTSS, Case, Surroundings, settle

TEXTS = ["Sure,", "it is a quarter past nine.", "Anything else?"]


async def segments() -> AsyncGenerator[Segment, None]:
    for number, text in enumerate(TEXTS):
        yield Segment(number, text)
        await asyncio.sleep(0)


def speak(tts: TTS, text: AsyncIterator[Segment], marks: TurnMarks | None = None) -> AsyncGenerator[Speech, None]:
    return tts.synthesize(text, VoiceOptions(), marks or TurnMarks(time.monotonic))


@pytest.mark.parametrize("case", TTSS, ids=str)
class TestTTS:
    async def test_every_segment_is_spoken_in_order(self, case: Case[TTS], around: Surroundings) -> None:
        speech = [piece async for piece in speak(case.make(around), segments())]
        ids = [piece.segment_id for piece in speech]
        assert ids == sorted(ids)
        assert set(ids) == set(range(len(TEXTS)))

    async def test_it_is_audible_and_as_long_as_words_take(self, case: Case[TTS], around: Surroundings) -> None:
        speech = [piece async for piece in speak(case.make(around), segments())]
        assert len({piece.audio.rate for piece in speech}) == 1
        seconds = sum(piece.audio.ms for piece in speech) / 1000
        assert 1.5 < seconds < 8
        samples = np.concatenate([piece.audio.float32() for piece in speech])
        assert float(np.sqrt(np.mean(samples**2))) > 10 ** (-40 / 20)

    async def test_moments_of_each_segment_are_stamped(self, case: Case[TTS], around: Surroundings) -> None:
        marks = TurnMarks(time.monotonic)
        async for _ in speak(case.make(around), segments(), marks):
            pass
        for number in range(len(TEXTS)):
            names = ("tts_first_byte", "tts_first_audible", "tts_end")
            moments = [marks.at[f"seg[{number}].{name}"] for name in names]
            assert moments == sorted(moments)
        assert marks.facts["tts_model"]

    async def test_the_first_segment_is_heard_before_the_last_is_known(
        self, case: Case[TTS], around: Surroundings
    ) -> None:
        heard = asyncio.Event()

        async def waiting() -> AsyncGenerator[Segment, None]:
            yield Segment(0, TEXTS[0])
            await asyncio.wait_for(heard.wait(), 5)
            yield Segment(1, TEXTS[1])

        ids = set()
        async for piece in speak(case.make(around), waiting()):
            ids.add(piece.segment_id)
            heard.set()
        assert ids == {0, 1}

    async def test_closing_early_leaves_nothing_running(self, case: Case[TTS], around: Surroundings) -> None:
        before = asyncio.all_tasks()
        async with aclosing(speak(case.make(around), segments())) as speech:
            await anext(speech)
        await settle()
        assert asyncio.all_tasks() == before

    async def test_no_text_is_no_speech(self, case: Case[TTS], around: Surroundings) -> None:
        async def nothing() -> AsyncGenerator[Segment, None]:
            return
            yield

        assert [piece async for piece in speak(case.make(around), nothing())] == []
