"""What every STT does, and that the real one hears people and ignores the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass

import pytest

from agents.audio import Audio, join
from agents.errors import ConfigurationError, ProviderError
from agents.interfaces import STT, Transcript
from agents.providers.local import whisper_weights
from agents.providers.local.models import LocalModels
from agents.providers.scripted import ScriptedSTT
from agents.spec import STTSpec
from telemetry.trace import TurnMarks
from tests.fakes import noise, speech
from tests.fakes.waiting import until
from tests.wer import errors, words

RATE = 16_000


@dataclass(frozen=True, slots=True)
class Subject:
    """An STT and an utterance it hears something in."""

    stt: STT
    talk: Audio


@pytest.fixture(params=["whisper", "scripted"])
def subject(request: pytest.FixtureRequest, models: LocalModels) -> Subject:
    talk = speech.audiobook()[4].audio
    scripted = ScriptedSTT(["He might even have been made amiable himself."], words_per_s=3)
    return Subject(scripted if request.param == "scripted" else models.stt(STTSpec()), talk)


async def stream(audio: Audio) -> AsyncIterator[Audio]:
    for frame in audio.split(20):
        yield frame


async def heard(stt: STT, audio: Audio, marks: TurnMarks | None = None) -> list[Transcript]:
    async with aclosing(stt.transcribe(stream(audio), marks or TurnMarks(lambda: 0.0))) as transcripts:
        return [transcript async for transcript in transcripts]


async def test_one_final_comes_last_and_the_turn_knows_of_it(subject: Subject) -> None:
    marks = TurnMarks(lambda: 1.0)
    *partials, final = await heard(subject.stt, subject.talk, marks)
    assert final.final
    assert not any(partial.final for partial in partials)
    assert "amiable" in final.text
    assert marks.at["stt_final"] == 1.0
    assert ("stt_first_partial" in marks.at) == bool(partials)
    assert marks.facts["stt_model"]


async def test_no_audio_still_gets_a_final(subject: Subject) -> None:
    assert [transcript.final for transcript in await heard(subject.stt, Audio(b"", RATE))] == [True]


async def test_it_can_be_left_before_the_audio_ends(subject: Subject) -> None:
    async def one_frame_then_an_error() -> AsyncIterator[Audio]:
        yield subject.talk.slice(0, 320)
        raise ConnectionError

    marks = TurnMarks(lambda: 0.0)
    async with aclosing(subject.stt.transcribe(one_frame_then_an_error(), marks)) as transcripts:
        with pytest.raises(ConnectionError):
            await anext(transcripts)
    assert "stt_final" not in marks.at


async def test_people_are_understood(models: LocalModels) -> None:
    wrong = total = 0
    for clip in speech.audiobook() + speech.cards():
        [final] = await heard(models.stt(STTSpec()), clip.audio)
        expected = words(clip.text)
        wrong, total = wrong + errors(expected, words(final.text)), total + len(expected)
    assert total == 92
    assert wrong / total < 0.12


async def test_speech_longer_than_whispers_window_is_heard_whole(models: LocalModels) -> None:
    clips = [*speech.audiobook(), *speech.audiobook()[:2]]
    pause = Audio.silence(400, RATE)
    audio = join([piece for clip in clips for piece in (clip.audio, pause)], RATE)
    assert audio.ms > 30_000
    [final] = await heard(models.stt(STTSpec()), audio)
    expected = words(" ".join(clip.text for clip in clips))
    assert errors(expected, words(final.text)) / len(expected) < 0.12


@pytest.mark.parametrize("make", [noise.fan, noise.keyboard, noise.music, noise.coughs])
@pytest.mark.parametrize("seconds", [0.6, 2.0, 6.0])
async def test_noise_is_rejected_even_if_the_voice_detector_let_it_through(
    models: LocalModels, make: Callable[[float], Audio], seconds: float
) -> None:
    minute = make(60)
    step = 15 * RATE
    for start in range(0, minute.samples, step):
        [final] = await heard(models.stt(STTSpec()), minute.slice(start, start + round(seconds * RATE)))
        assert (final.text, final.rejected) in (("", "no_speech"), ("", "repetition"))


async def test_speech_over_noise_is_still_understood(models: LocalModels) -> None:
    clip = speech.audiobook()[0]
    mixed = clip.audio.float32() + noise.fan(10).float32()[: clip.audio.samples]
    [final] = await heard(models.stt(STTSpec()), Audio.from_float(mixed, RATE))
    assert errors(words(clip.text), words(final.text)) <= 2


async def test_a_language_whisper_does_not_know_is_a_provider_error(models: LocalModels) -> None:
    with pytest.raises(ProviderError, match="tlh"):
        await heard(models.stt(STTSpec(language="tlh")), speech.cards()[0].audio)


async def test_leaving_gives_the_model_back(models: LocalModels) -> None:
    await heard(models.stt(STTSpec()), speech.cards()[0].audio)
    await until(lambda: models.pool.stt.idle)


def test_another_model_is_refused(models: LocalModels) -> None:
    with pytest.raises(ConfigurationError, match="whisper-base"):
        models.stt(STTSpec(model="whisper-1"))


def test_a_damaged_model_is_joined_again(models: LocalModels, tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("damaged")
    directory = whisper_weights.directory(data)
    (directory / "model.bin").write_bytes(b"damaged")
    assert whisper_weights.directory(data) == directory
    assert (directory / "model.bin").stat().st_size == 145_217_607
    assert [path.name for path in data.iterdir()] == [directory.name]
