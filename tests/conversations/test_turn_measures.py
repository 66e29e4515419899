"""What the trace of a turn tells of its audio."""

from __future__ import annotations

import pytest

from agents.providers.scripted import ScriptedLLM, ScriptedSTT
from agents.spec import TurnDetection
from sessions.pipeline.messages import (
    AudioOut,
    CreateResponse,
    LineMeasures,
    ReportPlayback,
    ResponseDone,
    ResponseOptions,
    SessionConfig,
    SpeechStarted,
    TurnClosed,
)
from tests.scenario import conversation
from tests.virtual_time import run

LONG = "Let me tell you all about it, one thing after the other. " * 5


def test_an_answer_heard_to_its_end_was_played_whole_and_on_time() -> None:
    async def talk_once() -> None:
        async with conversation() as talk:
            await talk.speak(600)
            await talk.until_while_silent(ResponseDone)
            latencies = (await talk.until_while_silent(TurnClosed)).trace["latencies"]
            assert latencies["playback"] == pytest.approx(talk.audio_ms() * 1000, abs=1000)
            assert latencies["underrun"] == latencies["delta_lateness"] == 0
            assert "talk_over" not in latencies

    run(talk_once())


def test_what_the_client_knows_of_its_line_is_in_the_turn() -> None:
    """The gaps that the listener heard count, not those that the server knows of."""

    async def talk_once() -> None:
        async with conversation() as talk:
            await talk.speak(600)
            first = await talk.until_while_silent(AudioOut)
            played = (first.response_id, first.item_id)
            talk.do(ReportPlayback(*played, 0, "started", line=LineMeasures(300, 120, 0)))
            await talk.until_while_silent(ResponseDone)
            await talk.silence(500)
            talk.do(ReportPlayback(*played, round(talk.audio_ms()), "ended", line=LineMeasures(300, 120, 85)))
            trace = (await talk.until_while_silent(TurnClosed)).trace
            facts = trace["facts"]
            assert (facts["rtt_ms"], facts["jitter_buffer_ms"], facts["client_underrun_ms"]) == (300, 120, 85)
            assert trace["latencies"]["underrun"] == 85_000

    run(talk_once())


def test_an_interrupted_answer_was_played_as_far_as_it_was_heard_and_talked_over_until_the_stop() -> None:
    async def talk_once() -> None:
        async with conversation(llm=ScriptedLLM([LONG]), stt=ScriptedSTT(["stop"], final_s=0.05)) as talk:
            await talk.speak(500)
            await talk.until_while_silent(AudioOut)
            began = talk.at
            await talk.silence(2000)
            await talk.speak(400)
            await talk.until(SpeechStarted)
            trace = (await talk.until(TurnClosed)).trace
            latencies = trace["latencies"]
            assert trace["end_reason"] == "interrupted"
            assert latencies["playback"] == pytest.approx((talk.at - began) * 1e6, abs=50_000)
            assert latencies["playback"] < talk.audio_ms() * 1000
            assert latencies["talk_over"] == latencies["stop_delay"]
            assert 0 < latencies["talk_over"] <= 180_000

    run(talk_once())


def test_an_answer_in_text_has_no_figures_of_audio() -> None:
    async def talk_once() -> None:
        config = SessionConfig(modality="text", turn_detection=TurnDetection(type="none"))
        async with conversation(config=config) as talk:
            talk.do(CreateResponse(ResponseOptions()))
            latencies = (await talk.until(TurnClosed)).trace["latencies"]
            assert not latencies.keys() & {"playback", "underrun", "delta_lateness", "talk_over"}

    run(talk_once())
