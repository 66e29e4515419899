"""Sessions as a Realtime client sees them: settings, formats, transcription, and how they end."""

from __future__ import annotations

import asyncio
import base64

import pytest

from agents import g711
from agents.audio import Audio
from agents.providers.scripted import ScriptedLLM, ScriptedSTT, tone
from agents.spec import TurnDetection
from sessions.pipeline.bounds import Bounds
from tests.virtual_time import run
from tests.wire import Client, connected

BY_HAND = {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}
PAUSE = Audio.silence(800, 24_000)


async def ask_by_voice(me: Client, law: g711.Law | None = None) -> str:
    """A spoken question; its item's id."""
    await me.append(tone(900, 24_000), law)
    await me.append(PAUSE, law)
    return str((await me.until("input_audio_buffer.committed"))["item_id"])


def test_updates_sent_before_the_session_is_created_are_answered_one_by_one() -> None:
    async def talk() -> None:
        async with connected() as me:
            for n in range(3):
                await me.send("session.update", session={"type": "realtime", "instructions": f"{n}"})
            await me.send("session.update", session={"type": "realtime", "tool_choice": "perhaps"}, event_id="bad")
            await me.send("session.update", session={"tracing": "auto"})
            seen = [(await me.until("session.updated"))["session"] for _ in range(4)]
            assert [shown["instructions"] for shown in seen] == ["0", "1", "2", "2"]
            assert [shown["tracing"] for shown in seen] == [None, None, None, "auto"]
            assert [error["error"]["event_id"] for error in me.all("error")] == ["bad"]
            assert me.kinds()[0] == "session.created"
            me.rules.end()

    run(talk())


def test_an_update_that_finds_no_room_changes_nothing() -> None:
    async def talk() -> None:
        async with connected(bounds=Bounds(inbox_messages=4)) as me:
            for n in range(4):
                await me.send("session.update", session={"instructions": f"{n}"})
            await me.send("session.update", session={"max_output_tokens": 9}, event_id="fifth")
            await me.refused("rate_limit_exceeded", "fifth")
            shown = await me.update(tracing="auto")
            while shown["tracing"] is None:
                shown = (await me.until("session.updated"))["session"]
            assert (shown["instructions"], shown["max_output_tokens"]) == ("3", "inf")

    run(talk())


def test_the_effective_turn_detection_is_shown() -> None:
    async def talk() -> None:
        async with connected() as me:
            shown = await me.update(audio={"input": {"turn_detection": {"type": "semantic_vad", "model_version": 3}}})
            assert shown["audio"]["input"]["turn_detection"] == {
                "type": "semantic_vad",
                "eagerness": "auto",
                "create_response": True,
                "interrupt_response": True,
            }

    run(talk())


@pytest.mark.parametrize(("form", "law"), [("audio/pcmu", "mu"), ("audio/pcma", "a")])
def test_a_telephone_speaks_hears_and_retrieves_in_its_own_law(form: str, law: g711.Law) -> None:
    async def talk() -> None:
        async with connected(parts={"llm": ScriptedLLM(["Yes, of course."])}) as me:
            g_711 = {"format": {"type": form}}
            await me.update(audio={"input": {**g_711, "transcription": {}}, "output": g_711})
            question = await ask_by_voice(me, law)
            done = (await me.until("response.done"))["response"]
            spoken_ms = me.heard(law).ms
            assert done["audio"]["output"]["format"] == {"type": form}
            assert spoken_ms == pytest.approx(1000, abs=2)
            reply = done["output"][0]["id"]
            for item_id, ms in ((question, 900), (reply, spoken_ms)):
                await me.send("conversation.item.retrieve", item_id=item_id)
                item = (await me.until("conversation.item.retrieved"))["item"]
                kept = g711.decode(base64.b64decode(item["content"][0]["audio"]), law)
                assert kept.ms >= ms - 5
                assert abs(kept.float32()).max() > 0.1

    run(talk())


def test_a_transcription_session_hears_and_says_nothing() -> None:
    async def talk() -> None:
        stt = ScriptedSTT(["hello there"], final_s=0.1)
        async with connected(parts={"stt": stt}, kind="transcription") as me:
            created = me.events[0][1]["session"]
            assert created["object"] == "realtime.transcription_session"
            item_id = await ask_by_voice(me)
            completed = await me.until("conversation.item.input_audio_transcription.completed")
            assert (completed["item_id"], completed["transcript"]) == (item_id, "hello there")
            assert completed["usage"]["type"] == "duration"
            await me.send("response.create", event_id="r1")
            assert "transcription session" in (await me.refused("invalid_value", "r1"))["message"]
            await asyncio.sleep(5)
            assert not [kind for kind in me.kinds() if kind.startswith("response.")]
            me.rules.end()

    run(talk())


@pytest.mark.parametrize(("kind", "other"), [("realtime", "transcription"), ("transcription", "realtime")])
def test_a_sessions_type_cannot_change(kind: str, other: str) -> None:
    async def talk() -> None:
        async with connected(kind=kind) as me:
            await me.send("session.update", session={"type": other}, event_id="u1")
            assert (await me.refused("invalid_value", "u1"))["param"] == "session.type"
            await me.send("session.update", session={"type": kind})
            assert (await me.until("session.updated"))["session"]["type"] == kind

    run(talk())


def test_a_session_that_expires_ends_its_response_says_so_and_closes() -> None:
    async def talk() -> None:
        long = ScriptedLLM(["Once upon a time there was a very long story to tell. " * 20])
        async with connected(bounds=Bounds(session_s=30), parts={"llm": long}) as me:
            await me.say("tell me")
            done = await me.respond()
            assert done["status"] == "cancelled"
            assert done["usage"] is not None
            error = await me.refused("session_expired")
            assert error["type"] == "invalid_request_error"
            assert me.at == pytest.approx(30, abs=0.1)
            await asyncio.sleep(0.1)
            assert me.closed == (1000, "expired")
            assert me.kinds()[-1] == "error"

    run(talk())


def test_spoken_questions_are_answered_in_text_if_so_asked() -> None:
    async def talk() -> None:
        async with connected(parts={"llm": ScriptedLLM(["Yes."])}) as me:
            await me.update(output_modalities=["text"], audio={"input": {"transcription": {}}})
            await ask_by_voice(me)
            done = (await me.until("response.done"))["response"]
            assert done["output_modalities"] == ["text"]
            assert done["output"][0]["content"] == [{"type": "output_text", "text": "Yes."}]
            assert not [kind for kind in me.kinds() if "output_audio" in kind]
            assert done["usage"]["output_token_details"]["audio_tokens"] == 0

    run(talk())


def test_silence_for_the_idle_timeout_is_an_item_and_is_answered() -> None:
    async def talk() -> None:
        detection = {"type": "server_vad", "idle_timeout_ms": 5000}
        async with connected(parts={"llm": ScriptedLLM(["Yes.", "Still there?"])}) as me:
            await me.update(audio={"input": {"turn_detection": detection, "transcription": {}}})
            await ask_by_voice(me)
            await me.until("response.done")
            await me.append(Audio.silence(6000, 24_000))
            timeout = await me.until("input_audio_buffer.timeout_triggered")
            assert (await me.until("input_audio_buffer.committed"))["item_id"] == timeout["item_id"]
            assert (await me.until("conversation.item.done"))["item"]["id"] == timeout["item_id"]
            assert (await me.until("response.done"))["response"]["status"] == "completed"
            me.rules.end()

    run(talk())


def test_speech_is_slower_or_faster_as_asked() -> None:
    async def talk(speed: float) -> float:
        async with connected(parts={"llm": ScriptedLLM(["Yes, of course."])}) as me:
            await me.update(audio={"output": {"speed": speed}})
            await me.say("hello")
            await me.respond()
            return me.heard().ms

    assert run(talk(0.5)) == pytest.approx(2000, abs=2)
    assert run(talk(1.5)) == pytest.approx(667, abs=2)


def test_what_a_secret_chose_holds_from_the_start_and_may_be_changed() -> None:
    async def talk() -> None:
        start = {"type": "realtime", "output_modalities": ["text"], "audio": BY_HAND}
        async with connected(start=start, parts={"turn_detection": TurnDetection()}) as me:
            created = me.events[0][1]["session"]
            assert created["output_modalities"] == ["text"]
            assert created["audio"]["input"]["turn_detection"] is None
            await me.append(tone(900, 24_000))
            await me.append(PAUSE)
            await me.send("input_audio_buffer.commit")
            await me.until("conversation.item.input_audio_transcription.completed")
            assert not me.all("input_audio_buffer.speech_started")
            assert not me.all("response.created")
            assert (await me.update(output_modalities=["audio"]))["output_modalities"] == ["audio"]

    run(talk())


def test_answers_come_in_the_order_of_what_they_answer_errors_too() -> None:
    async def talk() -> None:
        async with connected() as me:
            await me.say("hello", "a")
            await me.send("session.update", session={"tool_choice": "perhaps"}, event_id="bad")
            await me.send("session.update", session={})
            await me.send("nonsense", event_id="worse")
            await me.append(tone(500, 24_000))
            await me.send("input_audio_buffer.clear")
            await me.send("conversation.item.create", item={}, event_id="worst")
            await me.send("conversation.item.delete", item_id="a")
            await me.until("conversation.item.deleted")
            answers = [kind for kind in me.kinds()[1:] if "speech" not in kind]
            assert answers == [
                "conversation.item.added",
                "conversation.item.done",
                "error",
                "session.updated",
                "error",
                "input_audio_buffer.cleared",
                "error",
                "conversation.item.deleted",
            ]
            assert [event["error"]["event_id"] for event in me.all("error")] == ["bad", "worse", "worst"]

    run(talk())
