"""What every TTS does, and that the real one can be understood."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np
import pytest

from agents.audio import Audio, join
from agents.interfaces import TTS, Segment, Speech, VoiceOptions
from agents.providers.local.models import LocalModels
from agents.providers.scripted import ScriptedTTS
from agents.spec import STTSpec
from telemetry.trace import TurnMarks
from tests.fakes.waiting import until
from tests.wer import errors, words


@pytest.fixture(params=["hibari", "scripted"])
def subject(request: pytest.FixtureRequest, models: LocalModels) -> TTS:
    return ScriptedTTS() if request.param == "scripted" else models.tts()


async def segments(*texts: str) -> AsyncIterator[Segment]:
    for number, text in enumerate(texts):
        yield Segment(number, text)


async def spoken(
    tts: TTS, *texts: str, voice: VoiceOptions | None = None, marks: TurnMarks | None = None
) -> list[Speech]:
    marks = marks or TurnMarks(lambda: 0.0)
    async with aclosing(tts.synthesize(segments(*texts), voice or VoiceOptions(), marks)) as stream:
        return [speech async for speech in stream]


def sound(speech: list[Speech]) -> Audio:
    return join([piece.audio for piece in speech], speech[0].audio.rate)


async def test_segments_are_spoken_in_order_and_the_turn_knows_of_each(subject: TTS) -> None:
    marks = TurnMarks(lambda: 1.0)
    pieces = await spoken(subject, "Sure,", " I can do that.", marks=marks)
    assert [piece.segment_id for piece in pieces] == sorted(piece.segment_id for piece in pieces)
    for number in (0, 1):
        first = next(piece for piece in pieces if piece.segment_id == number)
        assert first.text_offset in (0, None)
        for moment in ("tts_first_byte", "tts_first_audible", "tts_end"):
            assert f"seg[{number}].{moment}" in marks.at
    assert marks.facts["tts_model"]


async def test_pieces_are_small_enough_to_be_cancelled_between(subject: TTS) -> None:
    pieces = await spoken(subject, "This is a sentence of some length, which takes a while to say aloud.")
    assert max(piece.audio.ms for piece in pieces) <= 100
    assert len({piece.audio.rate for piece in pieces}) == 1


async def test_it_stops_when_it_is_left(subject: TTS) -> None:
    taken = 0

    async def source() -> AsyncIterator[Segment]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield Segment(number, "One more sentence.")

    async with aclosing(subject.synthesize(source(), VoiceOptions(), TurnMarks(lambda: 0.0))) as stream:
        await anext(stream)
    assert taken == 1


async def test_a_slower_voice_takes_longer(subject: TTS) -> None:
    text = "How long does this take to say?"
    natural, slow = [sound(await spoken(subject, text, voice=VoiceOptions(speed=speed))).ms for speed in (1.0, 0.5)]
    assert slow > 1.6 * natural


@pytest.mark.parametrize("text", ["", "   ", "...", "!?", "😀", "\x00", "日本語", "(", "[x](/y/)", "a" * 500])
async def test_no_text_breaks_it(subject: TTS, text: str) -> None:
    pieces = await spoken(subject, text, "Done.")
    assert pieces[-1].segment_id == 1


@pytest.mark.parametrize("nothing", ["", "...", "😀"])
async def test_hibari_says_nothing_when_there_is_nothing_to_say(models: LocalModels, nothing: str) -> None:
    marks = TurnMarks(lambda: 0.0)
    assert await spoken(models.tts(), nothing, marks=marks) == []
    assert "seg[0].tts_first_byte" not in marks.at
    assert "seg[0].tts_end" in marks.at


async def test_hibari_is_heard_at_once_and_pauses_after_a_sentence(models: LocalModels) -> None:
    audio = sound(await spoken(models.tts(), "Hello there."))
    loud = np.flatnonzero(np.abs(audio.float32()) > 0.003)
    assert loud[0] * 1000 / audio.rate < 60
    assert 200 < (audio.samples - loud[-1]) * 1000 / audio.rate < 400


async def test_hibari_speaks_with_its_own_voice_when_it_lacks_the_one_asked_for(models: LocalModels) -> None:
    own = await spoken(models.tts(), "Hello.")
    assert await spoken(models.tts(), "Hello.", voice=VoiceOptions("alloy")) == own


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The session keeps its state in memory for one hour.", ()),
        ("It is 3.5 meters and costs $20.", ()),
        ("Dr. Smith uses the API.", ()),
        ("That took 500 ms.", ("500", "milliseconds")),
        ("Mail bob@example.com now.", ("example", "com")),
    ],
)
async def test_hibari_can_be_understood(models: LocalModels, text: str, expected: tuple[str, ...]) -> None:
    audio = sound(await spoken(models.tts(), text)).resampled(16_000)

    async def source() -> AsyncIterator[Audio]:
        yield audio

    async with aclosing(models.stt(STTSpec()).transcribe(source(), TurnMarks(lambda: 0.0))) as transcripts:
        [heard] = [transcript.text async for transcript in transcripts]
    if expected:
        assert set(expected) <= set(words(heard))
    else:
        assert errors(words(text), words(heard)) <= 1
    await until(lambda: models.pool.stt.idle)
