"""Turns: who speaks when, and what the other side is told."""

from __future__ import annotations

from agents.providers.scripted import ScriptedLLM, ScriptedSTT, ScriptedVAD
from sessions.pipeline.messages import (
    AudioOut,
    ItemAdded,
    ReplyHeld,
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TurnClosed,
)
from tests.scenario import conversation
from tests.virtual_time import run

UNSURE = ScriptedVAD(sure=0.6)
"""Of clicks and coughs real ones are no surer."""


def test_a_voice_turn_answers_after_the_silence_wait() -> None:
    async def talk_once() -> None:
        async with conversation() as talk:
            await talk.silence(500)
            await talk.speak(1000)
            spoke_until = talk.now
            await talk.until_while_silent(AudioOut)
            # STT, LLM and TTS take 100, 200 and 100 ms of the 500 ms of silence
            waited_ms = (talk.at - spoke_until) * 1000
            assert 500 <= waited_ms <= 540
            done = await talk.until_while_silent(ResponseDone)
            assert done.status == "completed"
            assert talk.said() == "Sure, I will do that for you."
            trace = (await talk.until(TurnClosed)).trace
            assert trace["end_reason"] == "completed"
            assert trace["marks"]["stt_final"] < trace["marks"]["eot_decided"]

    run(talk_once())


def test_events_of_a_turn_come_in_the_protocol_order() -> None:
    async def talk_once() -> None:
        async with conversation() as talk:
            await talk.speak(600)
            await talk.until_while_silent(ResponseDone)
            kinds = [type(event) for _, event in talk.heard]
            order = [SpeechStarted, SpeechStopped, ItemAdded, TranscriptCompleted, ResponseStarted, AudioOut]
            assert sorted(order, key=kinds.index) == order

    run(talk_once())


def test_speaking_over_the_agent_stops_it_and_cuts_history_to_what_was_heard() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["One two three four five six seven eight nine ten. " * 8, "Yes?"], first_s=0.2)
        async with conversation(llm=llm, stt=ScriptedSTT(["count", "stop"])) as talk:
            await talk.speak(600)
            first = await talk.until_while_silent(AudioOut)
            await talk.silence(2000)
            onset = talk.now
            await talk.speak(300)
            await talk.silence(20)
            assert talk.time_of_first(SpeechStarted) < onset
            cut_at = [at for at, event in talk.heard if isinstance(event, SpeechStarted)][1]
            assert (cut_at - onset) * 1000 <= 180
            done = await talk.until(ResponseDone)
            assert (done.status, done.reason) == ("cancelled", "turn_detected")
            await talk.until_while_silent(ResponseDone)
            assert not [
                e
                for at, e in talk.heard
                if isinstance(e, AudioOut) and e.response_id == first.response_id and at > cut_at
            ]
            asked = llm.asked[1].messages
            assert asked[2].text.startswith("One two three")
            assert len(asked[2].text) < 60  # about 2.1 s of 15 characters each
            assert asked[-1].text == "stop"

    run(talk_once())


def test_a_click_holds_the_reply_and_it_goes_on_where_it_was() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["One two three four five six seven eight nine ten. " * 3])
        async with conversation(llm=llm, vad=UNSURE) as talk:
            await talk.speak(600)
            await talk.until_while_silent(AudioOut)
            await talk.silence(1000)
            await talk.speak(30)
            done = await talk.until_while_silent(ResponseDone)
            assert [held.held for held in talk.all(ReplyHeld)] == [True, False]
            assert done.status == "completed"
            assert len(talk.all(SpeechStarted)) == 1
            assert round(talk.audio_ms()) == done.audio_ms

    run(talk_once())


def test_noise_without_words_is_not_answered() -> None:
    async def talk_once() -> None:
        async with conversation() as talk:
            await talk.speak(150)
            await talk.silence(3000)
            assert not talk.all(ResponseStarted)
            assert [done.text for done in talk.all(TranscriptCompleted)] == [""]

    run(talk_once())


def test_a_speaker_who_goes_on_after_a_pause_is_one_turn() -> None:
    async def talk_once() -> None:
        stt = ScriptedSTT(lambda audio: f"{audio.ms / 1000:.1f} seconds", final_s=0.1)
        async with conversation(stt=stt) as talk:
            await talk.speak(1000)
            await talk.silence(400)
            await talk.speak(1000)
            done = await talk.until_while_silent(TranscriptCompleted)
            assert done.text in ("2.4 seconds", "2.5 seconds")
            await talk.until_while_silent(ResponseDone)
            assert len(talk.all(SpeechStopped)) == len(talk.all(ResponseStarted)) == 1

    run(talk_once())


def test_a_click_in_the_last_moment_of_an_answer_leaves_nothing_held() -> None:
    async def talk_once() -> None:
        async with conversation(llm=ScriptedLLM(["One two three four five."]), vad=UNSURE) as talk:
            await talk.speak(600)
            await talk.until_while_silent(ResponseDone)  # 400 ms of it are with the client
            await talk.silence(330)
            await talk.speak(30)
            await talk.silence(1_500)
            assert [held.held for held in talk.all(ReplyHeld)] == [True, False]

    run(talk_once())
