from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import cast

import numpy as np
import pytest

from agents.audio import Audio, join
from agents.errors import ProviderError, ProviderTimeout
from agents.interfaces import Hints, Transcript
from agents.providers.local.pool import Lane
from agents.providers.local.runtime import RATE, Lazy
from agents.providers.local.whisper import WhisperOptions, WhisperSTT, quietest
from agents.providers.local.whisper_model import MOST_SPEECH_S, Decoded, Whisper
from telemetry.trace import TurnMarks
from tests.fakes.waiting import until


class Recognizer:
    """Stands where the model would: its words are how much audio it was given."""

    def __init__(self, *, sure: float = -0.1) -> None:
        self.given: list[Audio] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.told: list[tuple[str, str]] = []
        self.failure: Exception | None = None
        self._sure = sure

    def knows(self, language: str) -> bool:
        return language in ("en", "de")

    def decode(self, audio: Audio, language: str, prompt: str = "") -> Decoded:
        self.given.append(audio)
        self.told.append((language, prompt))
        assert self.go_on.wait(10)
        if self.failure:
            raise self.failure
        return Decoded(f"{audio.ms:.0f} ms", self._sure, no_speech=0.0, capped=False)


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane("stt", threads=1, queue=8)
    yield lane
    lane.close()


def stt(lane: Lane, model: Recognizer, **options: float) -> WhisperSTT:
    return WhisperSTT(Lazy(lambda: cast("Whisper", model)), lane, WhisperOptions(**options), name="test")  # type: ignore[arg-type]


async def stream(audio: Audio, ms: float = 20) -> AsyncIterator[Audio]:
    for piece in audio.split(ms):
        yield piece
        await asyncio.sleep(0)


def noise(seconds: float) -> Audio:
    rng = np.random.default_rng(0)
    return Audio.from_float(rng.normal(0, 0.1, round(seconds * RATE)).astype(np.float32), RATE)


async def heard(source: AsyncIterator[Audio], provider: WhisperSTT, marks: TurnMarks | None = None) -> list[Transcript]:
    stream = provider.transcribe(source, marks or TurnMarks(lambda: 0.0))
    return [transcript async for transcript in stream]


@pytest.mark.parametrize(
    ("hints", "told"),
    [
        (Hints(), ("en", "")),
        (Hints("de", "Repartee"), ("de", "Repartee")),
        (Hints("tlh"), ("en", "")),
    ],
)
async def test_a_client_may_say_what_is_spoken(lane: Lane, hints: Hints, told: tuple[str, str]) -> None:
    model = Recognizer()
    stream_ = stt(lane, model).transcribe(stream(noise(1.5)), TurnMarks(lambda: 0.0), hints)
    assert [transcript.final async for transcript in stream_] == [True]
    assert model.told == [told]


async def test_one_decoding_of_the_whole_utterance(lane: Lane) -> None:
    model, marks = Recognizer(), TurnMarks(lambda: 7.0)
    audio = noise(1.5)
    assert await heard(stream(audio), stt(lane, model), marks) == [Transcript("1500 ms", final=True)]
    assert [given.pcm for given in model.given] == [audio.pcm]
    assert marks.at == {"stt_final": 7.0}
    assert marks.facts == {"stt_model": "test"}


@pytest.mark.parametrize("ms", [0, 40])
async def test_audio_too_short_for_a_word_is_not_decoded(lane: Lane, ms: float) -> None:
    model = Recognizer()
    assert await heard(stream(Audio.silence(ms, RATE)), stt(lane, model)) == [
        Transcript("", final=True, rejected="no_speech")
    ]
    assert not model.given


async def test_long_speech_is_cut_where_it_is_quiet_and_nothing_is_lost(lane: Lane) -> None:
    model = Recognizer()
    audio = join([noise(20), Audio.silence(400, RATE), noise(25)], RATE)
    [final] = await heard(stream(audio, 500), stt(lane, model))
    assert join(model.given, RATE).pcm == audio.pcm
    assert len(model.given) == 2
    assert 20_000 < model.given[0].ms < 20_400
    assert max(given.ms for given in model.given) <= MOST_SPEECH_S * 1000
    assert final.text == f"{model.given[0].ms:.0f} ms {model.given[1].ms:.0f} ms"


async def test_partials_come_while_the_model_is_idle_and_end_with_the_final(lane: Lane) -> None:
    seen: list[Transcript] = []

    async def source() -> AsyncIterator[Audio]:
        async with asyncio.timeout(10):
            while len(seen) < 2:
                yield Audio.silence(1, RATE)
                await asyncio.sleep(0)
        yield noise(1.0)

    marks = TurnMarks(lambda: 0.0)
    async for transcript in stt(lane, Recognizer(), partial_every_ms=5).transcribe(source(), marks):
        seen.append(transcript)  # noqa: PERF401 - the source looks at it meanwhile
    lengths = [int(transcript.text.removesuffix(" ms")) for transcript in seen]
    assert lengths == sorted(lengths)
    assert lengths[0] >= 5
    assert lengths[-1] >= 1_000
    assert [transcript.final for transcript in seen[-2:]] == [False, True]
    assert "stt_first_partial" in marks.at


async def test_no_partial_is_begun_while_the_model_works_for_another(lane: Lane) -> None:
    model, other = Recognizer(), threading.Event()
    busy = lane.submit(other.wait, 10)
    provider = stt(lane, model, partial_every_ms=0)

    async def source() -> AsyncIterator[Audio]:
        yield noise(1.0)
        yield noise(1.0)
        other.set()

    assert [transcript.final for transcript in await heard(source(), provider)] == [True]
    assert len(model.given) == 1
    await busy


async def test_a_model_that_hangs_is_a_provider_timeout(lane: Lane) -> None:
    model = Recognizer()
    model.go_on.clear()
    with pytest.raises(ProviderTimeout):
        await heard(stream(noise(1.0)), stt(lane, model, timeout_s=0.01))
    model.go_on.set()


async def test_a_failure_of_the_model_reaches_the_caller(lane: Lane) -> None:
    model = Recognizer()
    model.failure = ProviderError("broken", provider="whisper")
    with pytest.raises(ProviderError, match="broken"):
        await heard(stream(noise(1.0)), stt(lane, model))


async def test_leaving_early_takes_the_work_back(lane: Lane) -> None:
    model = Recognizer()
    model.go_on.clear()
    async with aclosing(stt(lane, model).transcribe(stream(noise(80), 500), TurnMarks(lambda: 0.0))) as transcripts:
        reading = asyncio.ensure_future(anext(transcripts))
        await until(lambda: lane.busy + lane.waiting == 3)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    await asyncio.sleep(0)
    assert (lane.busy, lane.waiting) == (1, 0)
    model.go_on.set()


def test_the_quietest_moment_is_found_after_the_start() -> None:
    samples = np.ones(10 * RATE, np.float32)
    samples[RATE : 2 * RATE] = 0.0
    samples[6 * RATE : 6 * RATE + RATE // 5] = 0.1
    assert quietest(samples, 3 * RATE) == 6 * RATE + RATE // 10
