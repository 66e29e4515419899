"""What goes wrong in a provider, and what the listener hears of it."""

from __future__ import annotations

import pytest

from agents.providers.scripted import Fault, ScriptedLLM, ScriptedSTT, ScriptedTTS
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.messages import ResponseDone, TranscriptFailed
from tests.scenario import conversation
from tests.virtual_time import run

APOLOGY = "Sorry, I have trouble answering just now."


@pytest.mark.parametrize("after", [0, 3])
def test_an_llm_that_fails_is_apologised_for_and_the_session_lives(after: int) -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["One two three. Four five six."], fault=Fault("fail", after=after, calls=[0]))
        async with conversation(llm=llm) as talk:
            await talk.speak(600)
            failed = await talk.until_while_silent(ResponseDone)
            assert (failed.status, failed.error) == ("failed", "scripted failure")
            assert APOLOGY in talk.said()
            assert failed.audio_ms > 1000
            await talk.speak(600)
            assert (await talk.until_while_silent(ResponseDone)).status == "completed"

    run(talk_once())


def test_an_llm_that_hangs_is_given_up() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["One two three."], fault=Fault("stall"))
        async with conversation(llm=llm, bounds=Bounds(reply_stall_s=20)) as talk:
            await talk.speak(600)
            begun = talk.now
            failed = await talk.until_while_silent(ResponseDone)
            assert failed.status == "failed"
            assert talk.said().startswith(APOLOGY)
            assert 20 < talk.now - begun < 30

    run(talk_once())


def test_a_voice_that_fails_still_ends_the_response() -> None:
    async def talk_once() -> None:
        async with conversation(tts=ScriptedTTS(fault=Fault("fail"))) as talk:
            await talk.speak(600)
            failed = await talk.until_while_silent(ResponseDone)
            assert (failed.status, failed.audio_ms) == ("failed", 0)

    run(talk_once())


def test_ears_that_fail_are_apologised_for() -> None:
    async def talk_once() -> None:
        async with conversation(stt=ScriptedSTT(["x"], fault=Fault("fail"))) as talk:
            await talk.speak(600)
            failed = await talk.until_while_silent(ResponseDone)
            assert len(talk.all(TranscriptFailed)) == 1
            assert failed.status == "failed"
            assert talk.said().startswith(APOLOGY)

    run(talk_once())
