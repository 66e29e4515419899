"""Items as a Realtime client sees them: places, ids, audio, and what is refused with which code."""

from __future__ import annotations

import base64

import pytest

from agents.audio import Audio
from agents.providers.scripted import ScriptedLLM, ScriptedSTT, tone
from tests.virtual_time import run
from tests.wire import Client, Event, connected

BY_HAND = {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}


async def place(me: Client) -> str | None:
    """What the next item that is added comes after."""
    added: str | None = (await me.until("conversation.item.added"))["previous_item_id"]
    return added


async def retrieved(me: Client, item_id: str) -> Event:
    await me.send("conversation.item.retrieve", item_id=item_id)
    item: Event = (await me.until("conversation.item.retrieved"))["item"]
    return item


def test_items_are_put_where_the_client_says() -> None:
    async def talk() -> None:
        llm = ScriptedLLM(["Yes."])
        async with connected(parts={"llm": llm}) as me:
            await me.say("two", "b")
            assert await place(me) is None
            await me.say("four", "d")
            assert await place(me) == "b"
            await me.say("one", "a", "root")
            assert await place(me) is None
            await me.say("three", "c", "b")
            assert await place(me) == "b"
            await me.respond(output_modalities=["text"])
        assert [message.text for message in llm.asked[0].messages[1:]] == ["one", "two", "three", "four"]

    run(talk())


def test_what_was_deleted_is_no_place_any_more() -> None:
    async def talk() -> None:
        async with connected() as me:
            for name in ("a", "b"):
                await me.say(name, name)
            await me.send("conversation.item.delete", item_id="b")
            assert (await me.until("conversation.item.deleted"))["item_id"] == "b"
            await me.say("c", "c")
            assert (await me.until("conversation.item.added"))["previous_item_id"] == "a"
            await me.say("d", "d", "b")
            await me.refused("item_create_invalid_previous_item_id", "say_d")
            await me.say("b", "b")
            assert (await me.until("conversation.item.added"))["previous_item_id"] == "c"

    run(talk())


def test_an_item_deleted_while_it_is_spoken_is_no_place_either() -> None:
    async def talk() -> None:
        async with connected(parts={"llm": ScriptedLLM(["Once upon a time there was a long story. " * 3])}) as me:
            await me.say("tell me", "mine")
            await me.send("response.create")
            item_id = (await me.until("response.output_item.added"))["item"]["id"]
            await me.until("response.output_audio.delta")
            await me.send("conversation.item.delete", item_id=item_id)
            await me.until("conversation.item.deleted")
            done = (await me.until("response.done"))["response"]
            assert done["output"][0]["id"] == item_id
            await me.say("and then", "next")
            assert (await me.until("conversation.item.added"))["previous_item_id"] == "mine"
            me.rules.end()

    run(talk())


CODES = [
    ("conversation.item.retrieve", {"item_id": "none"}, "item_retrieve_invalid_item_id", "item_id"),
    ("conversation.item.delete", {"item_id": "none"}, "item_delete_invalid_item_id", "item_id"),
    (
        "conversation.item.truncate",
        {"item_id": "none", "content_index": 0, "audio_end_ms": 5},
        "item_truncate_invalid_item_id",
        "item_id",
    ),
    (
        "conversation.item.truncate",
        {"item_id": "mine", "content_index": 0, "audio_end_ms": 5},
        "item_truncate_invalid_item",
        "item_id",
    ),
    (
        "conversation.item.create",
        {"item": {"type": "message", "id": "mine", "role": "user", "content": []}},
        "item_create_duplicate_item_id",
        "item.id",
    ),
    (
        "conversation.item.create",
        {"item": {"type": "message", "role": "user", "content": []}, "previous_item_id": "none"},
        "item_create_invalid_previous_item_id",
        "previous_item_id",
    ),
    (
        "response.create",
        {"response": {"input": [{"type": "item_reference", "id": "none"}]}},
        "item_reference_not_found",
        "response.input",
    ),
    (
        "response.create",
        {"response": {"conversation": "none", "input": [{"type": "item_reference", "id": "none"}]}},
        "item_reference_not_found",
        "response.input",
    ),
    ("response.cancel", {}, "response_cancel_not_active", "response_id"),
    ("response.cancel", {"response_id": "none"}, "response_cancel_not_active", "response_id"),
    ("input_audio_buffer.commit", {}, "input_audio_buffer_commit_empty", None),
    ("response.invent", {}, "unknown_event", "type"),
]


@pytest.mark.parametrize(("kind", "fields", "code", "param"), CODES, ids=lambda value: str(value)[:40])
def test_each_mistake_has_its_code_and_names_its_event(kind: str, fields: Event, code: str, param: str | None) -> None:
    async def talk() -> None:
        async with connected() as me:
            await me.update(audio=BY_HAND)
            await me.say("hello", "mine")
            await me.send(kind, **fields, event_id="the one")
            error = await me.refused(code, "the one")
            assert (error["type"], error["param"]) == ("invalid_request_error", param)
            assert error["message"]
            assert (await me.respond(output_modalities=["text"]))["status"] == "completed"

    run(talk())


def test_a_cancel_with_nothing_to_cancel_begins_with_the_words_that_clients_look_for() -> None:
    async def talk() -> None:
        async with connected() as me:
            await me.say("hello")
            done = await me.respond(output_modalities=["text"])
            await me.send("response.cancel", response_id=done["id"], event_id="late")
            error = await me.refused("response_cancel_not_active", "late")
            assert error["message"].startswith("Cancellation failed")

    run(talk())


def test_audio_comes_back_whole_and_only_when_asked_for() -> None:
    async def talk() -> None:
        parts = {"llm": ScriptedLLM(["Yes."]), "stt": ScriptedSTT(["hello there"])}
        async with connected(parts=parts) as me:
            await me.update(audio=BY_HAND)
            await me.append(tone(900, 24_000))
            await me.append(Audio.silence(100, 24_000))
            await me.send("input_audio_buffer.commit")
            question = (await me.until("input_audio_buffer.committed"))["item_id"]
            await me.until("conversation.item.input_audio_transcription.completed")
            done = await me.respond()
            heard = await retrieved(me, question)
            said = await retrieved(me, done["output"][0]["id"])
            assert heard["content"][0]["transcript"] == "hello there"
            assert said["content"][0]["transcript"] == "Yes."
            assert Audio(base64.b64decode(heard["content"][0]["audio"]), 24_000).ms == pytest.approx(1000, abs=10)
            assert base64.b64decode(said["content"][0]["audio"]) == me.heard().pcm

    run(talk())


def test_an_items_transcript_is_null_until_it_is_known() -> None:
    async def talk() -> None:
        async with connected(parts={"stt": ScriptedSTT(["hello there"], final_s=2.0)}) as me:
            await me.update(audio=BY_HAND)
            await me.append(tone(900, 24_000))
            await me.send("input_audio_buffer.commit")
            added = (await me.until("conversation.item.added"))["item"]
            assert added["content"] == [{"type": "input_audio", "transcript": None}]
            await me.until("conversation.item.input_audio_transcription.completed")
            assert (await retrieved(me, added["id"]))["content"][0]["transcript"] == "hello there"

    run(talk())
