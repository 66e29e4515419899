"""Responses as a Realtime client sees them: they always end, say why, and may run beside the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any, Literal

import pytest

from agents.audio import Audio
from agents.interfaces import BrainOutput, Finish, ReplyRequest, TextDelta, Toolbox, Usage
from agents.providers.scripted import Fault, ScriptedLLM, ScriptedSTT, ScriptedTTS, tone
from sessions.pipeline.bounds import Bounds
from telemetry.trace import TurnMarks
from tests.fakes.brain import PlainBrain
from tests.virtual_time import run
from tests.wire import Client, Event, connected

STORY = "Once upon a time there was a very long story, and it had no end. " * 5
BY_HAND = {"input": {"turn_detection": None}}
PAUSE = Audio.silence(800, 24_000)


class Limited:
    """A brain whose model stops early, because of `reason`."""

    def __init__(self, finish: Finish) -> None:
        self.finish = finish
        self.asked: list[ReplyRequest] = []

    async def reply(self, request: ReplyRequest, tools: Toolbox, marks: TurnMarks) -> AsyncGenerator[BrainOutput, None]:
        self.asked.append(request)
        yield TextDelta("One two three")
        yield Usage(10, 3)
        yield self.finish


# --- how they end ---


@pytest.mark.parametrize("modality", ["text", "audio"])
@pytest.mark.parametrize(
    ("finish", "reason"), [(Finish("length"), "max_output_tokens"), (Finish("content_filter"), "content_filter")]
)
def test_an_answer_that_was_cut_short_says_why(modality: str, finish: Finish, reason: str) -> None:
    async def talk() -> None:
        brain = Limited(finish)
        async with connected(parts={"brain": brain}) as me:
            await me.say("count")
            done = await me.respond(output_modalities=[modality], max_output_tokens=3)
            assert (done["status"], done["status_details"]) == ("incomplete", {"type": "incomplete", "reason": reason})
            assert [item["status"] for item in done["output"]] == ["incomplete"]
            assert done["max_output_tokens"] == 3
            assert done["usage"]["output_token_details"]["text_tokens"] == 3
        assert brain.asked[0].options.max_output_tokens == 3

    run(talk())


@pytest.mark.parametrize(("asked", "limit"), [(None, 100), (7, 7), ("inf", None)])
def test_a_responses_limit_stands_before_the_sessions(asked: int | str | None, limit: int | None) -> None:
    async def talk() -> None:
        brain = Limited(Finish("length"))
        async with connected(parts={"brain": brain}) as me:
            await me.update(max_output_tokens=100, output_modalities=["text"])
            await me.say("hello")
            done = await me.respond(max_output_tokens=asked)
            assert done["max_output_tokens"] == (limit or "inf")
        assert brain.asked[0].options.max_output_tokens == limit

    run(talk())


def test_no_limit_is_not_to_ask_for_something_else_than_the_greeting() -> None:
    async def talk() -> None:
        async with connected(parts={"greeting": "Welcome."}) as me:
            done = await me.respond(output_modalities=["text"], max_output_tokens="inf")
            assert done["output"][0]["content"][0]["text"] == "Welcome."

    run(talk())


@pytest.mark.parametrize("modality", ["text", "audio"])
def test_a_response_that_says_nothing_has_no_output(modality: str) -> None:
    async def talk() -> None:
        async with connected(parts={"llm": ScriptedLLM([""])}) as me:
            await me.say("hello")
            done = await me.respond(output_modalities=[modality])
            assert (done["status"], done["output"]) == ("completed", [])
            assert done["usage"]["total_tokens"] > 0

    run(talk())


@pytest.mark.parametrize("modality", ["text", "audio"])
def test_a_cancel_before_the_first_word_ends_it(modality: str) -> None:
    async def talk() -> None:
        async with connected(parts={"llm": ScriptedLLM(["Yes."], first_s=5)}) as me:
            await me.say("hello")
            await me.send("response.create", response={"output_modalities": [modality]})
            await me.until("response.created")
            await me.send("response.cancel")
            done = (await me.until("response.done", within=1))["response"]
            assert (done["status"], done["output"]) == ("cancelled", [])
            assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
            assert done["usage"]["total_tokens"] == 0

    run(talk())


def failing(stage: str, fault: Fault) -> dict[str, Any]:
    match stage:
        case "stt":
            return {"stt": ScriptedSTT(["hello"], fault=replace(fault, after=0))}
        case "llm":
            return {"llm": ScriptedLLM([STORY], fault=fault)}
        case _:
            return {"tts": ScriptedTTS(fault=fault)}


@pytest.mark.parametrize("stage", ["stt", "llm", "tts"])
@pytest.mark.parametrize("kind", ["fail", "stall"])
@pytest.mark.parametrize("after", [0, 2])
def test_a_provider_that_fails_at_any_stage_fails_the_response_and_the_next_one_works(
    stage: str, kind: Literal["fail", "stall"], after: int
) -> None:
    async def talk() -> None:
        parts = failing(stage, Fault(kind, after=after, calls=[0]))
        async with connected(parts=parts, bounds=Bounds(reply_stall_s=8)) as me:
            await me.update(audio={"input": {"transcription": {}}})
            await me.append(tone(900, 24_000))
            await me.append(PAUSE)
            done = (await me.until("response.done"))["response"]
            assert done["status"] == "failed"
            error = done["status_details"]["error"]
            assert (error["type"], error["code"]) == ("server_error", "server_error")
            assert not me.all("error")
            await me.say("again")
            assert (await me.respond())["status"] == "completed"
            me.rules.end()

    run(talk())


def test_a_client_that_goes_away_in_the_middle_leaves_nothing_running() -> None:
    async def talk() -> None:
        async with connected(parts={"llm": ScriptedLLM([STORY])}) as me:
            await me.say("hello")
            await me.send("response.create")
            await me.until("response.output_audio.delta")

    run(talk())


def test_a_client_that_stops_reading_is_let_go() -> None:
    async def talk() -> None:
        async with connected(parts={"llm": ScriptedLLM([STORY])}, bounds=Bounds(write_timeout_s=2)) as me:
            await me.say("hello")
            await me.send("response.create")
            await me.until("response.output_audio.delta")
            me.reads_s = 3600
            await asyncio.sleep(10)
            assert me.closed == (1013, "slow_client")

    run(talk())


# --- one of them ---


def test_a_second_response_is_refused_and_the_first_goes_on() -> None:
    async def talk() -> None:
        async with connected(parts={"llm": ScriptedLLM([STORY], first_s=1)}) as me:
            await me.say("hello")
            await me.send("response.create")
            await me.send("response.create", event_id="second")
            await me.refused("conversation_already_has_active_response", "second")
            assert (await me.until("response.done"))["response"]["status"] == "completed"
            assert len(me.all("response.created")) == 1

    run(talk())


def test_a_response_asked_for_while_only_audio_is_left_waits_its_turn() -> None:
    async def talk() -> None:
        async with connected(parts={"llm": ScriptedLLM(["One sentence, and nothing more than that.", "Two."])}) as me:
            await me.say("hello")
            await me.send("response.create")
            await me.until("response.output_audio.delta")
            await me.send("response.create", event_id="next")
            assert [(await me.until("response.done"))["response"]["status"] for _ in range(2)] == ["completed"] * 2
            assert not me.all("error")

    run(talk())


def test_voice_and_format_may_be_one_responses_own() -> None:
    async def talk() -> None:
        async with connected(parts={"llm": ScriptedLLM(["Yes, of course."])}) as me:
            await me.update(audio={"output": {"voice": "ash"}})
            await me.say("hello")
            own = {"format": {"type": "audio/pcmu"}, "voice": "echo"}
            done = await me.respond(audio={"output": own}, metadata={"a": "b"})
            assert done["audio"]["output"] == own
            assert me.all("response.created")[0]["response"]["audio"]["output"] == own
            assert done["metadata"] == {"a": "b"}
            assert me.heard("mu").ms == pytest.approx(1000, abs=2)
            done = await me.respond()
            assert done["audio"]["output"] == {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "ash"}
            assert done["metadata"] is None

    run(talk())


# --- beside the conversation ---


async def beside(me: Client, name: str, about: list[Event] | None = None) -> None:
    response = {"conversation": "none", "output_modalities": ["text"], "metadata": {"topic": name}}
    await me.send("response.create", response=response | ({} if about is None else {"input": about}))


def test_several_responses_run_beside_the_conversations_own() -> None:
    async def talk() -> None:
        llm = ScriptedLLM([STORY], first_s=0.5, tokens_per_s=50)
        async with connected(parts={"llm": llm}) as me:
            await me.say("hello", "mine")
            await me.send("response.create", response={"metadata": {"topic": "main"}})
            text = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "classify"}]}
            await beside(me, "one", [{"type": "item_reference", "id": "mine"}, text])
            await beside(me, "two", [])
            done = [(await me.until("response.done"))["response"] for _ in range(3)]
            topics = [response["metadata"]["topic"] for response in done]
            assert (sorted(topics[:2]), topics[2]) == (["one", "two"], "main")
            assert [response["conversation_id"] is None for response in done] == [True, True, False]
            items = {event["item"]["id"] for event in me.all("conversation.item.added")}
            assert items == {"mine", done[2]["output"][0]["id"]}
            for response in done[:2]:
                item_id = response["output"][0]["id"]
                await me.send("conversation.item.retrieve", item_id=item_id, event_id=item_id)
                await me.refused("item_retrieve_invalid_item_id", item_id)
        told = sorted([message.text for message in asked.messages[1:]] for asked in llm.asked)
        assert told == [[], ["hello"], ["hello", "classify"]]

    run(talk())


def test_speech_interrupts_the_conversations_response_and_none_beside_it() -> None:
    async def talk() -> None:
        llm = ScriptedLLM([STORY, STORY, "Yes."], tokens_per_s=20)
        async with connected(parts={"llm": llm}) as me:
            await me.say("hello")
            await me.send("response.create", response={"metadata": {"topic": "main"}})
            await me.until("response.output_audio.delta")
            await beside(me, "side")
            await me.until("response.output_text.delta")
            await me.append(tone(900, 24_000))
            main = (await me.until("response.done"))["response"]
            assert main["metadata"]["topic"] == "main"
            assert main["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
            side = (await me.until("response.done", where=lambda e: bool(e["response"]["metadata"])))["response"]
            assert (side["metadata"]["topic"], side["status"]) == ("side", "completed")

    run(talk())


def test_a_response_beside_the_conversation_is_cancelled_by_its_id_alone() -> None:
    async def talk() -> None:
        llm = ScriptedLLM([STORY], tokens_per_s=20)
        async with connected(parts={"brain": PlainBrain(llm)}) as me:
            await me.say("hello")
            await beside(me, "side")
            side = (await me.until("response.created"))["response"]["id"]
            await me.send("response.cancel", event_id="any")
            await me.refused("response_cancel_not_active", "any")
            await me.send("response.create", response={"output_modalities": ["text"]})
            main = (await me.until("response.created"))["response"]["id"]
            await me.send("response.cancel", response_id=side)
            done = (await me.until("response.done"))["response"]
            assert (done["id"], done["status"]) == (side, "cancelled")
            await me.send("response.cancel")
            done = (await me.until("response.done"))["response"]
            assert (done["id"], done["status"]) == (main, "cancelled")

    run(talk())
