"""What goes wrong in a provider, and what the listener hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Literal

import pytest

from agents.audio import Audio
from agents.build import VoiceAgent
from agents.errors import ProviderError
from agents.interfaces import BrainOutput, ReplyRequest, TextDelta, Toolbox
from agents.providers.scripted import Fault, ScriptedLLM, ScriptedSTT, ScriptedTTS
from agents.spec import TurnDetection
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.messages import (
    CreateResponse,
    ErrorOccurred,
    Event,
    ResponseDone,
    SessionConfig,
    SessionEnded,
    TranscriptFailed,
)
from telemetry.trace import TurnMarks
from tests.scenario import Talk, conversation, make_agent
from tests.virtual_time import run

STALL = Bounds(reply_stall_s=5)

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


def test_a_voice_that_hangs_even_for_the_apology_ends_the_response_and_not_the_session() -> None:
    async def talk_once() -> None:
        async with conversation(tts=ScriptedTTS(fault=Fault("stall", calls=[0, 1])), bounds=STALL) as talk:
            await talk.speak(600)
            failed = await talk.until_while_silent(ResponseDone)
            assert (failed.status, failed.audio_ms) == ("failed", 0)
            await talk.speak(600)
            assert (await talk.until_while_silent(ResponseDone)).status == "completed"

    run(talk_once())


@pytest.mark.parametrize("kind", ["stall", "end"])
def test_ears_that_never_answer_are_given_up_and_the_next_turn_is_heard(kind: Literal["stall", "end"]) -> None:
    async def talk_once() -> None:
        async with conversation(stt=ScriptedSTT(["x"], fault=Fault(kind, calls=[0])), bounds=STALL) as talk:
            await talk.speak(600)
            assert (await talk.until_while_silent(ResponseDone)).status == "failed"
            assert len(talk.all(TranscriptFailed)) == 1
            await talk.speak(600)
            assert (await talk.until_while_silent(ResponseDone)).status == "completed"

    run(talk_once())


def test_an_apology_in_text_begins_with_a_space_of_its_own() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["One two three."], fault=Fault("fail", after=3))
        async with conversation(llm=llm, config=SessionConfig(modality="text")) as talk:
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
            assert talk.said() == f"One two three. {APOLOGY}".replace("now.", "now. Please try again in a moment.")

    run(talk_once())


class BrokenBrain:
    """A bug."""

    async def reply(self, request: ReplyRequest, tools: Toolbox, marks: TurnMarks) -> AsyncGenerator[BrainOutput, None]:
        yield TextDelta("One two three four. ")
        await asyncio.sleep(0.5)
        raise ZeroDivisionError


class DeafVAD:
    def open(self) -> DeafVAD:
        return self

    def push(self, audio: Audio) -> list[tuple[int, float]]:
        raise ProviderError("no ears")


def test_a_bug_ends_the_session_and_the_client_is_told() -> None:
    async def talk_once() -> None:
        heard: list[tuple[float, Event]] = []
        with pytest.raises(ExceptionGroup) as caught:
            await ask_once(make_agent(brain=BrokenBrain()), heard)
        assert caught.group_contains(ZeroDivisionError)
        done, error, ended = [e for _, e in heard if isinstance(e, ResponseDone | ErrorOccurred | SessionEnded)]
        assert isinstance(done, ResponseDone)
        assert isinstance(error, ErrorOccurred)
        assert isinstance(ended, SessionEnded)
        assert (done.status, error.kind, ended.reason) == ("failed", "server_error", "failed")
        assert done.error == error.message

    run(talk_once())


def test_ears_that_break_end_the_session_with_their_error() -> None:
    async def talk_once() -> None:
        heard: list[tuple[float, Event]] = []
        with pytest.raises(ExceptionGroup) as caught:
            await ask_once(replace(make_agent(), vad=DeafVAD()), heard)
        assert caught.group_contains(ProviderError)
        told = [e for _, e in heard if isinstance(e, ResponseDone | ErrorOccurred | SessionEnded)]
        assert isinstance(told[0], ResponseDone)
        assert told[1:] == [ErrorOccurred("no ears", "server_error", kind="server_error"), SessionEnded("failed")]

    run(talk_once())


async def ask_once(agent: VoiceAgent, heard: list[tuple[float, Event]]) -> None:
    """Ask for a response, and speak over it; `heard` is kept even if the session breaks."""
    async with conversation(agent) as talk:
        talk.heard = heard
        talk.do(CreateResponse())
        await asyncio.sleep(0.1)
        await talk.speak(20)
        await talk.until(SessionEnded)


def test_words_that_were_thought_of_before_a_fault_but_not_voiced_are_never_heard() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["One two three. Four five six. Seven eight nine."], fault=Fault("fail", after=8))
        async with conversation(llm=llm, tts=ScriptedTTS(first_s=0.5)) as talk:
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
            assert talk.said().startswith(APOLOGY)

    run(talk_once())


class FailsAsTheSessionEnds:
    """Ends the session, and fails `after` so many steps of the event loop."""

    talk: Talk

    def __init__(self, after: int) -> None:
        self._after = after

    async def reply(
        self, request: ReplyRequest, toolbox: Toolbox, marks: TurnMarks
    ) -> AsyncGenerator[BrainOutput, None]:
        yield TextDelta("One thing. ")
        await asyncio.sleep(0.2)
        self.talk.session.end("closed")
        for _ in range(self._after):
            await asyncio.sleep(0)
        raise ProviderError("gone", provider="llm")


@pytest.mark.parametrize("after", range(4))
def test_a_session_ends_even_as_a_reply_begun_ahead_is_failing(after: int) -> None:
    async def talk_once() -> None:
        brain = FailsAsTheSessionEnds(after)
        config = SessionConfig(turn_detection=TurnDetection(silence_duration_ms=1500))
        async with conversation(brain=brain, config=config) as talk:
            brain.talk = talk
            await talk.speak(600)
            await talk.until_while_silent(SessionEnded, within=5)
            async with asyncio.timeout(5):
                await talk.running

    run(talk_once())
