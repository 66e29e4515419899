"""What was generated, released, delivered and heard, as the trace of a turn tells it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agents.providers.scripted import ScriptedLLM, ScriptedSTT, ScriptedTTS
from sessions.pipeline.messages import (
    AudioOut,
    CreateResponse,
    ItemTruncated,
    ReportPlayback,
    ResponseDone,
    SpeechStarted,
    TruncateItem,
    TurnClosed,
)
from tests.scenario import Talk, conversation
from tests.virtual_time import run

LONG = "Let me tell you all about it, one thing after the other. " * 5
WORDS = len(LONG.split())


async def interrupted(talk: Talk, after_ms: float) -> AudioOut:
    """Ask, and speak over the answer `after_ms` after its first audio; that."""
    await talk.speak(500)
    first = await talk.until_while_silent(AudioOut)
    await talk.silence(after_ms)
    await talk.speak(400)
    await talk.until(SpeechStarted)
    return first


async def facts(talk: Talk) -> dict[str, Any]:
    found: dict[str, Any] = (await talk.until_while_silent(TurnClosed)).trace["facts"]
    ms = [found[name] for name in ("generated_ms", "released_ms", "delivered_ms", "played_ms")]
    words = [found[f"words_{name}"] for name in ("generated", "released", "delivered", "heard")]
    assert ms == sorted(ms, reverse=True)
    assert words == sorted(words, reverse=True)
    return found


def test_a_reply_that_was_heard_to_its_end() -> None:
    async def talk_once() -> None:
        async with conversation() as talk:
            await talk.speak(600)
            await talk.until_while_silent(ResponseDone)
            told = await facts(talk)
            assert {told[name] for name in ("generated_ms", "released_ms", "delivered_ms", "played_ms")} == {
                round(talk.audio_ms())
            }
            assert {told[f"words_{name}"] for name in ("generated", "released", "delivered", "heard")} == {7}
            assert (told["heard_by"], told["words_by"]) == ("estimated", "voice")

    run(talk_once())


@pytest.mark.parametrize(("offsets", "words_by"), [(True, "voice"), (False, "estimated")])
def test_an_interruption_leaves_what_the_listener_had_heard(offsets: bool, words_by: str) -> None:
    async def talk_once() -> None:
        voice = ScriptedTTS(speed=5, offsets=offsets)
        async with conversation(llm=ScriptedLLM([LONG]), stt=ScriptedSTT(["stop"]), tts=voice) as talk:
            await interrupted(talk, 2_000)
            told = await facts(talk)
            assert told["generated_ms"] > told["released_ms"] == told["delivered_ms"] == round(talk.audio_ms())
            assert told["delivered_ms"] - told["played_ms"] == pytest.approx(250, abs=150), "about the lead"
            assert told["words_generated"] == WORDS > told["words_released"] >= told["words_heard"] > 5
            assert (told["heard_by"], told["words_by"]) == ("estimated", words_by)

    run(talk_once())


def test_what_a_slow_client_had_not_been_given_it_had_not_heard() -> None:
    async def talk_once() -> None:
        async with conversation(llm=ScriptedLLM([LONG]), stt=ScriptedSTT(["stop"])) as talk:
            await talk.speak(500)
            await talk.until_while_silent(AudioOut)
            talk.reads_s = 1.0
            await talk.silence(2_000)
            await talk.speak(400)
            talk.reads_s = 0
            told = await facts(talk)
            assert told["played_ms"] == told["delivered_ms"] <= 700, "the clock alone would say 2000"

    run(talk_once())


@pytest.mark.parametrize("change_ms", [-400, 150])
def test_the_client_knows_better_until_the_brain_is_told(change_ms: int) -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([LONG, "Well."])
        async with conversation(llm=llm, stt=ScriptedSTT(["stop"])) as talk:
            first = await interrupted(talk, 2_000)
            reply = talk.session._replies.current
            assert reply is not None
            heard_ms = int(reply.ledger.heard_ms or 0)
            talk.do(TruncateItem(first.item_id, heard_ms + change_ms))
            assert (await talk.until(ItemTruncated)).audio_end_ms == heard_ms + change_ms
            assert reply.ledger.heard_by == "reported"
            await talk.until_while_silent(AudioOut)
            told = llm.asked[1].messages[-2].text
            talk.do(TruncateItem(first.item_id, 60_000))
            assert (await talk.until_while_silent(ItemTruncated)).audio_end_ms == heard_ms + change_ms
            talk.do(CreateResponse())
            await talk.until_while_silent(ResponseDone)
            talk.do(CreateResponse())
            await talk.until_while_silent(ResponseDone)
            assert told
            assert told in [message.text for message in llm.asked[-1].messages], "the brain is not told otherwise later"

    run(talk_once())


def test_a_client_that_played_it_to_the_end_says_so() -> None:
    async def talk_once() -> None:
        async with conversation() as talk:
            await talk.speak(600)
            first = await talk.until_while_silent(AudioOut)
            played = (first.response_id, first.item_id)
            talk.do(ReportPlayback(*played, 0, "started"))
            await talk.until_while_silent(ResponseDone)
            await asyncio.sleep(1)
            talk.do(ReportPlayback(*played, round(talk.audio_ms()), "ended"))
            told = await facts(talk)
            assert (told["played_ms"], told["heard_by"]) == (round(talk.audio_ms()), "reported")

    run(talk_once())
