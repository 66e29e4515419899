"""Functions of the client's: calls go out in time, and their outputs are taken in every order they come in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from agents.interfaces import Message, ToolCall, ToolSpec
from agents.providers.scripted import ScriptedLLM, ScriptedTTS
from agents.spec import TurnDetection
from sessions.pipeline.messages import (
    AudioOut,
    CallItem,
    CallOutputItem,
    CancelResponse,
    Content,
    CreateItem,
    CreateResponse,
    ErrorOccurred,
    ItemAdded,
    MessageItem,
    Modality,
    OutputDone,
    OutputStarted,
    ResponseDone,
    ResponseOptions,
    ResponseStarted,
    SessionConfig,
)
from sessions.pipeline.pairing import PENDING
from tests.scenario import Talk, conversation
from tests.virtual_time import run

LOOK = ToolSpec("look", "Looks.")
LONG = "I will look that up for you, which takes a moment, so please be patient with me. "


def config(modality: Modality = "text", **options: str) -> SessionConfig:
    return SessionConfig(
        modality=modality,
        tools=(LOOK,),
        turn_detection=TurnDetection(type="none"),
        **options,  # type: ignore[arg-type]  # only tool_choice
    )


def calls(*ids: str) -> list[str | ToolCall]:
    return [ToolCall(name, "look", f'{{"at": "{name}"}}') for name in ids]


def says(text: str, item_id: str = "mine") -> CreateItem:
    return CreateItem(MessageItem(item_id, "user", (Content("text", text=text),)))


def answers(call_id: str, output: str = "seven") -> CreateItem:
    return CreateItem(CallOutputItem(f"out_{call_id}", call_id, output))


async def asked(talk: Talk, text: str = "look!") -> ResponseDone:
    talk.do(says(text, f"mine_{len(talk.heard)}"))
    talk.do(CreateResponse())
    return await talk.until(ResponseDone)


def told(messages: Sequence[Message]) -> list[str]:
    """Who said what, after the instructions: "user look!", "call a", "a seven"."""
    return [
        f"call {message.calls[0].id}" if message.calls else f"{message.call_id or message.role} {message.text}"
        for message in messages[1:]
    ]


def test_several_outputs_come_before_one_response() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([calls("a", "b"), "Done."])
        async with conversation(llm=llm, config=config()) as talk:
            done = await asked(talk)
            assert [type(item) for item in done.output] == [CallItem, CallItem]
            talk.do(answers("b", "two"))
            talk.do(answers("a", "one"))
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
        assert told(llm.asked[1].messages) == ["user look!", "call a", "a one", "call b", "b two"]

    run(talk_once())


def test_an_output_and_the_next_response_are_taken_while_the_call_is_still_being_answered() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([[LONG, *calls("a")], "Done."], tokens_per_s=100)
        tts = ScriptedTTS(first_s=0.1, speed=5)
        async with conversation(llm=llm, tts=tts, config=config("audio")) as talk:
            talk.do(says("look!"))
            talk.do(CreateResponse(event_id="first"))
            call = await talk.until(OutputDone, where=lambda event: isinstance(event.item, CallItem))
            called_at = talk.at
            talk.do(answers("a"))
            talk.do(CreateResponse(event_id="second"))
            first = await talk.until(ResponseDone)
            done_at = talk.at
            await talk.until(ResponseStarted)
            await talk.until(ResponseDone)
        assert not talk.all(ErrorOccurred)
        assert first.status == "completed"
        assert [item.id for item in first.output][1] == call.item.id
        assert done_at - called_at > 3, "the call comes when it is known, not after the audio"
        assert talk.all(AudioOut)[0].output_index == 0, "the words come before the call, as the model has them"
        assert told(llm.asked[1].messages) == ["user look!", f"assistant {LONG.strip()}", "call a", "a seven"]

    run(talk_once())


def test_an_answer_at_the_call_does_not_race_with_the_end_of_the_models_stream() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([[*calls("a"), "and on and on it goes without an end"], "Done."], tokens_per_s=2)
        async with conversation(llm=llm, config=config()) as talk:
            talk.do(says("look!"))
            talk.do(CreateResponse())
            await talk.until(OutputStarted)
            talk.do(answers("a"))
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
            assert (await talk.until(ResponseDone)).status == "completed"
        assert not talk.all(ErrorOccurred)

    run(talk_once())


def test_an_output_may_come_long_after() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([calls("a"), "Patience.", "Seven it is."])
        async with conversation(llm=llm, config=config()) as talk:
            await asked(talk)
            await asked(talk, "well?")
            await asyncio.sleep(60)
            talk.do(answers("a"))
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
        waiting = ["user look!", "call a", f"a {PENDING}", "user well?"]
        assert told(llm.asked[1].messages) == waiting
        last = told(llm.asked[2].messages)
        assert last[:5] == [*waiting, "assistant Patience."]
        again = last[5].removeprefix("call ")
        assert last[6:] == [f"{again} seven"]

    run(talk_once())


def test_a_history_with_calls_may_be_replayed() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Seven."])
        async with conversation(llm=llm, config=config()) as talk:
            talk.do(says("look!"))
            talk.do(CreateItem(CallItem("call_item", "a", "look", "{}")))
            talk.do(answers("a"))
            talk.do(says("so?", "second"))
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
            assert [event.item.status for event in talk.all(ItemAdded)] == ["completed"] * 4
        assert told(llm.asked[0].messages) == ["user look!", "call a", "a seven", "user so?"]

    run(talk_once())


def test_an_output_without_its_call_is_taken() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Seven."])
        async with conversation(llm=llm, config=config()) as talk:
            talk.do(says("look!"))
            talk.do(answers("unknown"))
            talk.do(CreateResponse())
            assert (await talk.until(ResponseDone)).status == "completed"
            assert not talk.all(ErrorOccurred)
        call, output = llm.asked[0].messages[2:]
        assert call.calls[0].id == output.call_id
        assert output.text == "seven"

    run(talk_once())


def test_a_choice_for_one_response_is_for_that_one() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([calls("a"), "Seven."])
        async with conversation(llm=llm, config=config()) as talk:
            talk.do(says("look!"))
            talk.do(CreateResponse(ResponseOptions(tool_choice="required")))
            await talk.until(ResponseDone)
            talk.do(answers("a"))
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
        assert [asked.options.tool_choice for asked in llm.asked] == ["required", "auto"]

    run(talk_once())


@pytest.mark.parametrize("given", ["x" * 40, "", "a"])
def test_a_call_has_an_id_that_clients_can_use(given: str) -> None:
    """Short, and no other call's: some models number their calls from 0 each time."""

    async def talk_once() -> None:
        llm = ScriptedLLM([calls("a"), calls(given), "Done."])
        async with conversation(llm=llm, config=config()) as talk:
            first = await asked(talk)
            second = await asked(talk)
            one, two = first.output[0], second.output[0]
            assert isinstance(one, CallItem)
            assert isinstance(two, CallItem)
            assert one.call_id == "a"
            assert 0 < len(two.call_id) <= 32
            assert two.call_id != one.call_id
            talk.do(answers(two.call_id))
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
        assert told(llm.asked[2].messages)[-2:] == [f"call {two.call_id}", f"{two.call_id} seven"]

    run(talk_once())


def test_a_call_made_before_a_cancel_stays_made() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([[LONG, *calls("a")], "Done."])
        async with conversation(llm=llm, config=config("audio")) as talk:
            talk.do(says("look!"))
            talk.do(CreateResponse())
            await talk.until(AudioOut)
            talk.do(CancelResponse())
            done = await talk.until(ResponseDone)
            assert [item.status for item in done.output] == ["incomplete", "completed"]
            talk.do(answers("a"))
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
        assert told(llm.asked[1].messages)[-2:] == ["call a", "a seven"]

    run(talk_once())
