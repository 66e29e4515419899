"""An item of a megabyte is not put before the audio of a reply."""

from __future__ import annotations

import asyncio

import pytest

from agents.providers.scripted import ScriptedLLM, ScriptedSTT
from agents.spec import TurnDetection
from sessions.pipeline.aside import MOST
from sessions.pipeline.messages import (
    AudioCommitted,
    AudioOut,
    CommitAudio,
    CreateResponse,
    DeleteItem,
    ItemRetrieved,
    OutputDone,
    ResponseDone,
    RetrieveItem,
    SessionConfig,
    SessionEnded,
)
from tests.scenario import Talk, conversation
from tests.virtual_time import run

LONG = "Let me tell you all about it, one thing after the other. " * 3
BY_HAND = SessionConfig(turn_detection=TurnDetection(type="none"))


async def heard_item(talk: Talk, seconds: float) -> str:
    """The id of an item with so much audio."""
    await talk.speak(round(seconds * 1000))
    await talk.session.hear(CommitAudio())
    return (await talk.until(AudioCommitted)).item_id


async def ask_while_speaking(talk: Talk) -> str:
    """The id of a large item that is asked for while the agent speaks."""
    item_id = await heard_item(talk, 8)
    talk.do(CreateResponse())
    await talk.until(AudioOut)
    talk.do(RetrieveItem(item_id))
    return item_id


def kinds(talk: Talk) -> list[str]:
    return [type(event).__name__ for _, event in talk.heard]


def test_a_large_item_waits_until_the_reply_is_out() -> None:
    async def talk_once() -> None:
        async with conversation(llm=ScriptedLLM([LONG]), stt=ScriptedSTT(["hello"]), config=BY_HAND) as talk:
            await ask_while_speaking(talk)
            found = await talk.until(ItemRetrieved)
            assert found.audio is not None
            assert found.audio.ms == pytest.approx(8_000, abs=100)
            assert kinds(talk).count("ResponseDone") == 1
            await asyncio.sleep(5)
            assert AudioOut.__name__ not in kinds(talk)[kinds(talk).index("ItemRetrieved") :]

    run(talk_once())


def test_an_item_that_is_deleted_meanwhile_is_answered_for_first() -> None:
    async def talk_once() -> None:
        async with conversation(llm=ScriptedLLM([LONG]), stt=ScriptedSTT(["hello"]), config=BY_HAND) as talk:
            item_id = await ask_while_speaking(talk)
            talk.do(DeleteItem(item_id))
            await talk.until(ResponseDone)
            assert kinds(talk).index("ItemRetrieved") < kinds(talk).index("ItemDeleted")

    run(talk_once())


def test_a_small_item_and_one_without_a_reply_do_not_wait() -> None:
    async def talk_once() -> None:
        async with conversation(llm=ScriptedLLM([LONG]), stt=ScriptedSTT(["hello"]), config=BY_HAND) as talk:
            large = await heard_item(talk, 8)
            talk.do(RetrieveItem(large))
            await talk.until(ItemRetrieved, within=0.1)
            small = await heard_item(talk, 0.8)
            talk.do(CreateResponse())
            await talk.until(AudioOut)
            talk.do(RetrieveItem(small))
            await talk.until(ItemRetrieved, within=0.1)
            assert not talk.all(ResponseDone)

    run(talk_once())


def test_answers_come_in_the_order_of_their_questions_and_no_more_than_a_few_wait() -> None:
    async def talk_once() -> None:
        async with conversation(llm=ScriptedLLM([LONG]), stt=ScriptedSTT(["hello"]), config=BY_HAND) as talk:
            first, second = await heard_item(talk, 8), await heard_item(talk, 0.8)
            talk.do(CreateResponse())
            await talk.until(AudioOut)
            for n in range(MOST):
                talk.do(RetrieveItem(second if n % 2 else first))
            await asyncio.sleep(0.1)
            assert not talk.all(ItemRetrieved)
            talk.do(RetrieveItem(second))
            await asyncio.sleep(0.1)
            assert [event.item.id for event in talk.all(ItemRetrieved)] == [first, second, first, second, second]
            assert not talk.all(OutputDone)

    run(talk_once())


def test_the_end_of_the_session_loses_none() -> None:
    async def talk_once() -> None:
        async with conversation(llm=ScriptedLLM([LONG]), stt=ScriptedSTT(["hello"]), config=BY_HAND) as talk:
            await ask_while_speaking(talk)
            await asyncio.sleep(0.1)
            talk.session.end("shutdown")
            await talk.until(SessionEnded)
            assert kinds(talk).index("ItemRetrieved") < kinds(talk).index("SessionEnded")

    run(talk_once())
