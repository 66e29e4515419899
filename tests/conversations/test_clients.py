"""What a client asks for: commits, tools, texts, truncation, cancelling, and more than is allowed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agents.audio import Audio
from agents.errors import Overloaded
from agents.interfaces import Hints, ToolCall, ToolSpec
from agents.providers.scripted import ScriptedLLM, ScriptedSTT, tone
from agents.spec import TurnDetection
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.messages import (
    AppendAudio,
    AudioCommitted,
    AudioOut,
    CallItem,
    CallOutputItem,
    CancelResponse,
    ClearAudio,
    CommitAudio,
    Configure,
    Configured,
    Content,
    CreateItem,
    CreateResponse,
    DeleteItem,
    ErrorOccurred,
    ItemDeleted,
    ItemDone,
    ItemRetrieved,
    ItemTruncated,
    MessageItem,
    OutputDone,
    ResponseDone,
    ResponseOptions,
    RetrieveItem,
    SessionConfig,
    SessionEnded,
    SpeechStarted,
    TruncateItem,
    TurnClosed,
)
from tests.scenario import RATE, Talk, conversation
from tests.virtual_time import run

BY_HAND = SessionConfig(turn_detection=TurnDetection(type="none"), transcription=True)
TEXT = SessionConfig(modality="text", turn_detection=TurnDetection(type="none"))


def says(text: str, item_id: str = "mine") -> CreateItem:
    return CreateItem(MessageItem(item_id, "user", (Content("text", text=text),)), event_id="evt")


async def fails_with(talk: Talk, code: str) -> ErrorOccurred:
    error = await talk.until(ErrorOccurred)
    assert error.code == code
    return error


def test_commit_then_create_answers_what_was_said() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Yes."])
        async with conversation(llm=llm, stt=ScriptedSTT(["what?"], final_s=0.3), config=BY_HAND) as talk:
            await talk.session.hear(AppendAudio(tone(900, RATE)))
            await talk.session.hear(CommitAudio())
            talk.do(CreateResponse())
            await talk.until(AudioCommitted)
            assert (await talk.until(ResponseDone)).status == "completed"
            assert llm.asked[0].messages[-1].text == "what?"

    run(talk_once())


def test_a_commit_of_nothing_is_an_error_and_what_follows_still_happens() -> None:
    async def talk_once() -> None:
        async with conversation(config=BY_HAND) as talk:
            await talk.session.hear(AppendAudio(tone(50, RATE)))
            await talk.session.hear(CommitAudio(event_id="c1"))
            talk.do(says("hello"))
            talk.do(CreateResponse())
            assert (await fails_with(talk, "input_audio_buffer_commit_empty")).event_id == "c1"
            assert (await talk.until(ResponseDone)).status == "completed"

    run(talk_once())


def test_clear_forgets_what_was_appended() -> None:
    async def talk_once() -> None:
        async with conversation(config=BY_HAND) as talk:
            await talk.session.hear(AppendAudio(tone(900, RATE)))
            await talk.session.hear(ClearAudio())
            await talk.session.hear(CommitAudio())
            await fails_with(talk, "input_audio_buffer_commit_empty")

    run(talk_once())


def test_a_whole_question_at_once_is_heard_as_one_turn() -> None:
    async def talk_once() -> None:
        async with conversation() as talk:
            await talk.session.hear(AppendAudio(Audio(tone(4000, RATE).pcm + Audio.silence(1000, RATE).pcm, RATE)))
            assert (await talk.until(ResponseDone)).status == "completed"
            assert len(talk.all(SpeechStarted)) == 1

    run(talk_once())


def test_text_in_text_out() -> None:
    async def talk_once() -> None:
        async with conversation(config=TEXT) as talk:
            talk.do(says("hello"))
            talk.do(CreateResponse(ResponseOptions(metadata={"k": "v"})))
            done = await talk.until(ResponseDone)
            assert done.options.metadata == {"k": "v"}
            assert talk.said() == "Sure, I will do that for you."
            assert not talk.all(AudioOut)
            assert (await talk.until(TurnClosed)).trace["kind"] == "text"

    run(talk_once())


def test_the_greeting_answers_an_empty_conversation() -> None:
    async def talk_once() -> None:
        async with conversation(greeting="Good day!") as talk:
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
            assert talk.said() == "Good day!"
            assert (await talk.until(TurnClosed)).trace["kind"] == "agent_initiated"

    run(talk_once())


def test_a_tool_call_goes_to_the_client_and_its_output_comes_back() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([[ToolCall("call_1", "look", "{}")], "Seven."])
        tools = (ToolSpec("look", "Looks."),)
        async with conversation(llm=llm, config=SessionConfig(tools=tools, modality="text")) as talk:
            talk.do(says("look!"))
            talk.do(CreateResponse())
            done = await talk.until(ResponseDone)
            assert [type(item) for item in done.output] == [CallItem]
            talk.do(CreateItem(CallOutputItem("out", "call_1", "7")))
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
            assert talk.said() == "Seven."
            assert [m.role for m in llm.asked[1].messages] == ["system", "user", "assistant", "tool"]
            assert llm.asked[0].tools == tools

    run(talk_once())


def test_two_responses_at_once_are_refused_but_one_beside_the_conversation_is_not() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["One two three four five."], first_s=0.5)
        async with conversation(llm=llm, config=TEXT) as talk:
            talk.do(says("a"))
            talk.do(CreateResponse())
            talk.do(CreateResponse())
            await fails_with(talk, "conversation_already_has_active_response")
            talk.do(CreateResponse(ResponseOptions(in_conversation=False, input=())))
            first, second = await talk.until(ResponseDone), await talk.until(ResponseDone)
            assert {first.status, second.status} == {"completed"}
            assert len([e for e in talk.all(OutputDone) if not e.in_conversation]) == 1

    run(talk_once())


def test_cancel_and_truncate() -> None:
    async def talk_once() -> None:
        async with conversation(llm=ScriptedLLM(["One two three four five six seven eight. " * 5])) as talk:
            talk.do(CancelResponse(event_id="x"))
            assert (await fails_with(talk, "response_cancel_not_active")).message.startswith("Cancellation failed")
            talk.do(says("go"))
            talk.do(CreateResponse())
            audio = await talk.until(AudioOut)
            await asyncio.sleep(2)
            talk.do(CancelResponse())
            done = await talk.until(ResponseDone)
            assert (done.status, done.reason) == ("cancelled", "client_cancelled")
            said_ms = talk.audio_ms()
            await asyncio.sleep(2)
            assert talk.audio_ms() == said_ms
            talk.do(TruncateItem(audio.item_id, 1_000_000))
            assert (await talk.until(ItemTruncated)).audio_end_ms == done.audio_ms
            talk.do(TruncateItem(audio.item_id, 500))
            assert (await talk.until(ItemTruncated)).audio_end_ms == 500
            talk.do(RetrieveItem(audio.item_id))
            item = (await talk.until(ItemRetrieved)).item
            assert isinstance(item, MessageItem)
            assert item.content[0].transcript == "One two"
            talk.do(DeleteItem(audio.item_id))
            await talk.until(ItemDeleted)
            talk.do(RetrieveItem(audio.item_id))
            await fails_with(talk, "item_retrieve_invalid_item_id")

    run(talk_once())


def test_the_ears_are_told_what_the_client_says_of_its_speech() -> None:
    async def talk_once() -> None:
        stt = ScriptedSTT(["hallo"])
        german = replace(BY_HAND, hints=Hints("de", "Repartee"))
        async with conversation(stt=stt, config=german) as talk:
            for config in (german, BY_HAND):
                talk.do(Configure(config))
                await talk.until(Configured)
                await talk.session.hear(AppendAudio(tone(500, RATE)))
                await talk.session.hear(CommitAudio())
                await talk.until(AudioCommitted)
        assert [*stt.hints] == [Hints("de", "Repartee"), Hints()]

    run(talk_once())


def test_a_long_history_at_once_is_answered_whole() -> None:
    async def talk_once() -> None:
        async with conversation(bounds=Bounds(events_out=8)) as talk:
            for number in range(100):
                talk.do(says("hello", f"mine_{number}"))
            await asyncio.sleep(1)
            assert len(talk.all(ItemDone)) == 100

    run(talk_once())


def test_a_flood_of_commands_is_refused_and_the_session_lives() -> None:
    async def talk_once() -> None:
        async with conversation(bounds=Bounds(inbox_messages=16)) as talk:
            for _ in range(16):
                talk.do(RetrieveItem("nothing"))
            with pytest.raises(Overloaded):
                talk.do(RetrieveItem("nothing"))
            await asyncio.sleep(0)
            talk.do(Configure(SessionConfig()))
            await talk.until(Configured)

    run(talk_once())


def test_an_idle_session_ends_and_an_old_one_expires() -> None:
    async def talk_once(bounds: Bounds, reason: str) -> None:
        async with conversation(bounds=bounds) as talk:
            assert (await talk.until(SessionEnded, within=4000)).reason == reason

    run(talk_once(Bounds(idle_s=900), "idle"))
    run(talk_once(Bounds(idle_s=900, session_s=600), "expired"))
