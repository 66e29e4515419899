"""A lull: the words so far are asked for before it is a pause, and asking in vain leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace

from agents.providers.scripted import ScriptedSTT
from agents.spec import TurnDetection
from sessions.pipeline.messages import AudioOut, SessionConfig, TranscriptCompleted, TurnClosed
from tests.scenario import conversation, make_agent
from tests.virtual_time import run

PROMPT = SessionConfig(transcription=True, turn_detection=TurnDetection(silence_duration_ms=200))


def test_the_words_are_in_before_a_short_silence_has_passed() -> None:
    async def talk_once() -> None:
        async with conversation(config=PROMPT) as talk:
            await talk.speak(1000)
            spoke_until = talk.now
            await talk.until_while_silent(AudioOut)
            # 200 ms of silence, then 200 (LLM) and 100 (TTS): the STT's 100 ms lie within the silence
            assert (talk.at - spoke_until) * 1000 <= 540
            marks = (await talk.until_while_silent(TurnClosed)).trace["marks"]
            assert marks["stt_final"] <= marks["eot_decided"]

    run(talk_once())


def test_an_stt_that_is_not_to_be_asked_in_vain_is_asked_at_the_pause() -> None:
    async def talk_once() -> None:
        agent = replace(make_agent(), asks_early=False)
        async with conversation(agent, config=PROMPT) as talk:
            await talk.speak(1000)
            await talk.until_while_silent(AudioOut)
            marks = (await talk.until_while_silent(TurnClosed)).trace["marks"]
            assert marks["stt_final"] - marks["user_speech_end"] >= 290_000

    run(talk_once())


def test_gaps_inside_of_words_void_what_was_asked_and_are_no_pauses() -> None:
    async def talk_once() -> None:
        stt = ScriptedSTT(lambda audio: f"{audio.ms:.0f}", final_s=0.01)
        async with conversation(stt=stt, config=PROMPT) as talk:
            for _ in range(3):
                await talk.speak(480)
                await talk.silence(100)
            await talk.until_while_silent(TurnClosed)
            heard = talk.all(TranscriptCompleted)
            assert len(heard) == 1
            assert float(heard[0].text) > 3 * 480 + 2 * 100
            assert "resume_count" not in talk.all(TurnClosed)[0].trace["facts"]
            assert stt.calls <= 4

    run(talk_once())


def test_a_session_that_only_transcribes_asks_at_the_pause() -> None:
    async def talk_once() -> None:
        stt = ScriptedSTT(["so it is"])
        async with conversation(stt=stt, config=replace(PROMPT, transcription_only=True)) as talk:
            await talk.speak(480)
            await talk.silence(100)
            await talk.speak(480)
            await talk.until_while_silent(TranscriptCompleted)
            assert stt.calls == 1

    run(talk_once())
