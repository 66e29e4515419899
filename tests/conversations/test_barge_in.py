"""Two hundred interruptions at random moments: always quick, never followed by a stale sample."""

from __future__ import annotations

import random

import pytest

from agents.providers.scripted import ScriptedLLM, ScriptedSTT, ScriptedTTS
from sessions.pipeline.messages import AudioOut, ResponseDone, ResponseStarted, SpeechStarted
from tests.scenario import Talk, conversation
from tests.virtual_time import run

SPEECH = "Let me tell you all about it, one thing after the other. " * 40


async def interrupt(talk: Talk, after_ms: float) -> float:
    """Speak over the reply `after_ms` after its first audio; ms from the first sample to the clear."""
    await talk.until_while_silent(AudioOut)
    await talk.silence(after_ms)
    onset = talk.now
    await talk.speak(400)
    await talk.until(SpeechStarted)
    cleared = talk.at
    await talk.until(ResponseDone)
    return (cleared - onset) * 1000


@pytest.mark.parametrize("seed", range(10))
def test_interruptions_at_random_moments(seed: int) -> None:
    async def talk_once() -> None:
        moments = random.Random(seed)
        llm = ScriptedLLM([SPEECH], first_s=0.05, tokens_per_s=200)
        tts = ScriptedTTS(first_s=0.02, speed=20)
        async with conversation(llm=llm, tts=tts, stt=ScriptedSTT(["and then?"], final_s=0.05)) as talk:
            await talk.speak(500)
            await talk.until(SpeechStarted)
            delays = [await interrupt(talk, moments.uniform(0, 4000)) for _ in range(20)]
            assert max(delays) <= 180
            assert not talk.stale_audio()
            started, done = talk.all(ResponseStarted), talk.all(ResponseDone)
            assert [d.response_id for d in done] == [s.response_id for s in started[: len(done)]]
            assert {d.reason for d in done} == {"turn_detected"}

    run(talk_once())


def test_no_more_than_the_lead_is_unplayed_when_the_user_says_stop() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([SPEECH], tokens_per_s=500)
        async with conversation(llm=llm, tts=ScriptedTTS(speed=50)) as talk:
            await talk.speak(500)
            await talk.until_while_silent(AudioOut)
            first_at = talk.at
            await talk.silence(3000)
            await talk.speak(200)
            released_ms = talk.audio_ms()
            assert released_ms <= (talk.now - first_at) * 1000 + 300 + 100

    run(talk_once())


def test_audio_that_a_slow_client_has_not_read_is_taken_back() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([SPEECH], tokens_per_s=500)
        async with conversation(llm=llm, tts=ScriptedTTS(speed=50)) as talk:
            await talk.speak(500)
            await talk.until_while_silent(AudioOut)
            talk.reads_s = 0.3
            await talk.silence(2000)
            await talk.speak(300)
            talk.reads_s = 0
            read_ms = talk.audio_ms()
            done = await talk.until_while_silent(ResponseDone)
            reply = talk.session._replies.current
            assert reply is not None
            assert reply.pacer.released_ms > read_ms
            assert done.audio_ms == read_ms
            assert talk.audio_ms(done.response_id) == read_ms

    run(talk_once())
