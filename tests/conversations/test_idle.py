"""A user who says nothing after the agent has spoken."""

from __future__ import annotations

import pytest

from agents.spec import TurnDetection
from sessions.pipeline.messages import (
    AudioCommitted,
    AudioOut,
    IdleTimedOut,
    ResponseDone,
    ResponseStarted,
    SessionConfig,
    TranscriptCompleted,
    TurnClosed,
)
from tests.scenario import conversation
from tests.virtual_time import run


def settings(idle_timeout_ms: int | None) -> SessionConfig:
    return SessionConfig(turn_detection=TurnDetection(idle_timeout_ms=idle_timeout_ms), transcription=True)


def test_the_agent_speaks_up_after_the_idle_timeout_counted_from_the_end_of_its_audio() -> None:
    async def talk_once() -> None:
        async with conversation(config=settings(6000)) as talk:
            await talk.speak(600)
            done = await talk.until_while_silent(ResponseDone)
            first_audio = talk.time_of_first(AudioOut)
            idle = await talk.until_while_silent(IdleTimedOut)
            assert talk.at - first_audio == pytest.approx(done.audio_ms / 1000 + 6, abs=0.2)
            assert idle.end_ms - idle.start_ms == 6000
            assert (await talk.until(AudioCommitted)).item_id == idle.item_id
            assert (await talk.until(TranscriptCompleted)).text == ""
            assert (await talk.until_while_silent(ResponseDone)).status == "completed"
            traces = talk.all(TurnClosed)
            assert [turn.trace["kind"] for turn in traces] == ["plain"]
            assert (await talk.until_while_silent(TurnClosed)).trace["kind"] == "agent_initiated"

    run(talk_once())


@pytest.mark.parametrize("idle_timeout_ms", [None, 6000])
def test_a_user_who_speaks_is_not_idle(idle_timeout_ms: int | None) -> None:
    async def talk_once() -> None:
        async with conversation(config=settings(idle_timeout_ms)) as talk:
            await talk.speak(600)
            await talk.until_while_silent(ResponseDone)
            await talk.silence(5000)
            await talk.speak(3000)
            await talk.silence(200)
            assert not talk.all(IdleTimedOut)

    run(talk_once())


def test_without_an_idle_timeout_silence_is_only_silence() -> None:
    async def talk_once() -> None:
        async with conversation(config=settings(None)) as talk:
            await talk.speak(600)
            await talk.until_while_silent(ResponseDone)
            await talk.silence(60_000)
            assert not talk.all(IdleTimedOut)
            assert len(talk.all(ResponseStarted)) == 1

    run(talk_once())
