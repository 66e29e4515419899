"""Somebody else than the client looks at a session and steers it; the client is told what comes of it."""

from __future__ import annotations

import asyncio

import pytest

from agents.errors import ClientError, Overloaded
from agents.providers.scripted import ScriptedLLM
from agents.spec import TurnDetection
from sessions.cluster.handles import STEER_S, LocalHandle, SessionOver
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.messages import (
    CommitAudio,
    Content,
    CreateItem,
    CreateResponse,
    ErrorOccurred,
    Inject,
    ItemAdded,
    MessageItem,
    ResponseDone,
    ResponseOptions,
    ResponseStarted,
    RetrieveItem,
    SessionConfig,
    SessionEnded,
    SpeechStarted,
)
from tests.scenario import Talk, conversation
from tests.virtual_time import run

TEXT = SessionConfig(modality="text", turn_detection=TurnDetection(type="none"))


def note(item_id: str = "note", text: str = "Offer a discount.") -> MessageItem:
    return MessageItem(item_id, "system", (Content("text", text=text),))


def control_of(talk: Talk) -> LocalHandle:
    return LocalHandle(talk.session, talk.running, audio_stall_s=1)


def test_an_injected_item_is_answered_and_the_client_sees_all_of_it() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Ten percent off."])
        async with conversation(llm=llm, config=TEXT) as talk:
            control = control_of(talk)
            await control.steer(Inject(note(), response=ResponseOptions(instructions="Be brief.")))
            assert (await talk.until(ItemAdded)).item == note()
            done = await talk.until(ResponseDone)
            assert done.status == "completed"
            assert llm.asked[0].messages[-1].text == "Offer a discount."
            snapshot = await control.snapshot()
            assert [item.id for item in snapshot.items] == ["note", done.output[0].id]
            assert (snapshot.activity, snapshot.turns) == ("waiting", 1)

    run(talk_once())


def test_what_cannot_be_done_is_told_to_who_asked_and_not_to_the_client() -> None:
    async def talk_once() -> None:
        async with conversation(config=TEXT) as talk:
            control = control_of(talk)
            await control.steer(Inject(note()))
            with pytest.raises(ClientError) as twice:
                await control.steer(Inject(note()))
            with pytest.raises(ClientError) as nowhere:
                await control.steer(Inject(note("other"), previous_id="nothing"))
            assert twice.value.code == "item_create_duplicate_item_id"
            assert nowhere.value.code == "item_create_invalid_previous_item_id"
            talk.do(CreateItem(note("mine")))
            await talk.until(ItemAdded, where=lambda event: event.item.id == "mine")
            assert not talk.all(ErrorOccurred)

    run(talk_once())


def test_an_item_whose_response_cannot_begin_is_left_out() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["One.", "Two."], first_s=1.0)
        async with conversation(llm=llm, config=TEXT) as talk:
            control = control_of(talk)
            talk.do(CreateResponse())
            await talk.until(ResponseStarted)
            assert (await control.snapshot()).activity == "thinking"
            with pytest.raises(ClientError) as refused:
                await control.steer(Inject(note(), response=ResponseOptions()))
            assert refused.value.code == "conversation_already_has_active_response"
            await control.steer(Inject(note("silent")))
            await talk.until(ResponseDone)
            assert "note" not in [item.id for item in (await control.snapshot()).items]
            assert "silent" in [item.id for item in (await control.snapshot()).items]

    run(talk_once())


def test_what_goes_on_is_seen() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["A long answer that takes a while to say, word by word."])
        async with conversation(llm=llm) as talk:
            control = control_of(talk)
            seen = [(await control.snapshot()).activity]
            await talk.speak(800)
            await talk.until(SpeechStarted)
            seen.append((await control.snapshot()).activity)
            await talk.silence(900)
            await talk.until(ResponseStarted)
            await talk.silence(600)
            seen.append((await control.snapshot()).activity)
            await talk.until_while_silent(ResponseDone)
            await talk.silence(8_000)
            seen.append((await control.snapshot()).activity)
            assert seen == ["waiting", "hearing", "speaking", "waiting"]

    run(talk_once())


def test_a_controller_ends_the_session_and_the_client_is_told() -> None:
    async def talk_once() -> None:
        async with conversation(config=TEXT) as talk:
            await control_of(talk).end("stopped")
            assert (await talk.until(SessionEnded)).reason == "stopped"
            with pytest.raises(SessionOver, match="has ended"):
                await control_of(talk).steer(Inject(note()))

    run(talk_once())


def test_a_command_that_waits_too_long_is_taken_back() -> None:
    """Commands wait for the client to read its answers, and a controller does not wait for ever."""

    async def talk_once() -> None:
        bounds = Bounds(events_out=16, inbox_messages=200)
        async with conversation(config=TEXT, bounds=bounds) as talk:
            control = control_of(talk)
            await control.steer(Inject(note("first")))
            talk.reads_s = 1.0
            for _ in range(100):
                talk.do(RetrieveItem("first"))
            before = talk.now
            with pytest.raises(Overloaded, match="may not be reading"):
                await control.steer(Inject(note()))
            assert talk.now - before == pytest.approx(STEER_S)
            talk.reads_s = 0.0
            await asyncio.sleep(60)
            assert [item.id for item in (await control.snapshot()).items] == ["first"]

    run(talk_once())


def test_a_full_inbox_takes_no_command_of_anybody() -> None:
    async def talk_once() -> None:
        async with conversation(config=TEXT, bounds=Bounds(inbox_messages=2)) as talk:
            control = control_of(talk)
            for _ in range(2):
                talk.do(RetrieveItem("nothing"))
            with pytest.raises(Overloaded, match="Too many messages"):
                await control.steer(Inject(note()))

    run(talk_once())


def test_an_item_waits_for_the_audio_before_it() -> None:
    async def talk_once() -> None:
        async with conversation(config=TEXT) as talk:
            control = control_of(talk)
            await talk.session.hear(CommitAudio("empty"))
            await control.steer(Inject(note()))
            kinds = [type(event) for event in (await talk.until(ErrorOccurred), await talk.until(ItemAdded))]
            assert kinds == [ErrorOccurred, ItemAdded]

    run(talk_once())
