"""Every response that was asked for is made, once, whatever comes between the asking and the answer."""

from __future__ import annotations

import asyncio

import pytest

from agents.audio import Audio
from agents.providers.scripted import Fault, ScriptedLLM, ScriptedSTT, tone
from agents.spec import TurnDetection
from sessions.pipeline.messages import (
    AppendAudio,
    AudioCommitted,
    AudioOut,
    CancelResponse,
    ClearAudio,
    CommitAudio,
    Content,
    CreateItem,
    CreateResponse,
    ErrorOccurred,
    MessageItem,
    ResponseDone,
    ResponseOptions,
    ResponseStarted,
    SessionConfig,
    SpeechStarted,
    TranscriptCompleted,
    TurnClosed,
)
from sessions.pipeline.records import ItemRecorded
from tests.scenario import RATE, Talk, conversation
from tests.virtual_time import run

BY_HAND = SessionConfig(turn_detection=TurnDetection(type="none"), transcription=True)
POLITE = SessionConfig(turn_detection=TurnDetection(interrupt_response=False), transcription=True)
COUNTING = "One two three four five six seven eight nine ten. " * 2
MARKED = CreateResponse(ResponseOptions(metadata={"mine": "yes"}), event_id="create")


def asks(text: str) -> CreateItem:
    return CreateItem(MessageItem(f"item_{text}", "user", (Content("text", text=text),)))


async def commit_speech(talk: Talk) -> None:
    await talk.session.hear(AppendAudio(tone(900, RATE)))
    await talk.session.hear(CommitAudio())


def responses_overlap(talk: Talk) -> bool:
    kinds = [type(e) for _, e in talk.heard if isinstance(e, ResponseStarted | ResponseDone)]
    return kinds != [ResponseStarted, ResponseDone] * (len(kinds) // 2)


def test_a_response_asked_for_is_made_even_if_no_words_were_heard() -> None:
    async def talk_once() -> None:
        async with conversation(stt=ScriptedSTT([""], final_s=0.3), config=BY_HAND) as talk:
            await commit_speech(talk)
            talk.do(CreateResponse())
            assert (await talk.until(ResponseDone)).status == "completed"

    run(talk_once())


def test_an_earlier_turn_without_words_does_not_take_the_answer_of_the_next() -> None:
    async def talk_once() -> None:
        async with conversation(stt=ScriptedSTT(["", "hello"], final_s=1.5)) as talk:
            await talk.speak(400)
            await talk.silence(600)
            await talk.speak(400)
            assert (await talk.until_while_silent(ResponseDone)).status == "completed"
            assert [done.text for done in talk.all(TranscriptCompleted)] == ["", "hello"]

    run(talk_once())


def test_an_item_that_is_not_there_fails_the_request_and_nothing_else() -> None:
    async def talk_once() -> None:
        async with conversation(stt=ScriptedSTT(["what?"], final_s=0.3), config=BY_HAND) as talk:
            await commit_speech(talk)
            talk.do(CreateResponse(ResponseOptions(input=("nothing",)), event_id="create"))
            error = await talk.until(ErrorOccurred)
            assert (error.code, error.event_id) == ("item_reference_not_found", "create")
            talk.do(CreateResponse())
            assert (await talk.until(ResponseDone)).status == "completed"
            assert (await talk.until(TurnClosed)).trace["kind"] == "plain"

    run(talk_once())


def test_words_not_heard_are_apologised_for_only_when_the_reply_before_has_been_said() -> None:
    async def talk_once() -> None:
        stt = ScriptedSTT(["count"], fault=Fault("fail", calls=[1]))
        async with conversation(llm=ScriptedLLM([COUNTING]), stt=stt, config=POLITE) as talk:
            await talk.speak(600)
            await talk.until_while_silent(AudioOut)
            await talk.speak(600)
            assert (await talk.until_while_silent(ResponseDone)).status == "completed"
            assert (await talk.until_while_silent(ResponseDone)).status == "failed"
            assert not responses_overlap(talk)

    run(talk_once())


def test_speech_over_a_response_that_is_still_waiting_cancels_it() -> None:
    async def talk_once() -> None:
        config = SessionConfig(turn_detection=TurnDetection(create_response=False))
        async with conversation(stt=ScriptedSTT(["hello"], final_s=3), config=config) as talk:
            await talk.speak(600)
            await talk.until_while_silent(AudioCommitted)
            talk.do(MARKED)
            await talk.speak(600)
            await talk.until(SpeechStarted)
            done = await talk.until(ResponseDone, within=1)
            assert (done.status, done.reason, done.options) == ("cancelled", "turn_detected", MARKED.options)
            await talk.silence(5000)
            assert len(talk.all(ResponseStarted)) == 1

    run(talk_once())


def test_a_response_that_is_still_waiting_can_be_cancelled() -> None:
    async def talk_once() -> None:
        async with conversation(stt=ScriptedSTT(["hello"], final_s=3), config=BY_HAND) as talk:
            await commit_speech(talk)
            talk.do(MARKED)
            talk.do(CancelResponse())
            done = await talk.until(ResponseDone, within=1)
            assert (done.status, done.reason, done.options) == ("cancelled", "client_cancelled", MARKED.options)
            await asyncio.sleep(5)
            assert len(talk.all(ResponseStarted)) == 1

    run(talk_once())


def test_a_response_asked_for_is_not_lost_to_the_next_turn() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([COUNTING], tokens_per_s=100)
        async with conversation(llm=llm, config=POLITE) as talk:
            await talk.speak(600)
            await talk.until_while_silent(AudioOut)
            await talk.silence(500)
            talk.do(MARKED)  # waits: what is left of the first reply is audio
            await talk.speak(600)
            await talk.until_while_silent(ResponseDone)
            assert (await talk.until_while_silent(ResponseDone)).options == MARKED.options
            assert not responses_overlap(talk)

    run(talk_once())


def test_a_turn_over_a_reply_that_may_not_be_interrupted_is_answered_afterwards() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([COUNTING, "Yes."], tokens_per_s=100)
        async with conversation(llm=llm, stt=ScriptedSTT(["count", "stop"]), config=POLITE) as talk:
            await talk.speak(600)
            await talk.until_while_silent(AudioOut)
            await talk.speak(600)
            traces = [(await talk.until_while_silent(TurnClosed)).trace for _ in range(2)]
            assert [trace["end_reason"] for trace in traces] == ["completed", "completed"]
            assert [trace["index"] for trace in traces] == [0, 1]
            assert [trace["kind"] for trace in traces] == ["plain", "plain"]
            assert [done.status for done in talk.all(ResponseDone)] == ["completed", "completed"]
            assert not responses_overlap(talk)
            assert llm.asked[1].messages[-1].text == "stop"

    run(talk_once())


def test_two_turns_in_quick_succession_get_one_answer_that_has_heard_both() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Yes."], first_s=0.5)
        async with conversation(llm=llm, stt=ScriptedSTT(["one", "two"], final_s=1.5)) as talk:
            await talk.speak(400)
            await talk.silence(600)
            await talk.speak(400)
            await talk.until_while_silent(ResponseDone)
            assert [message.text for message in llm.asked[-1].messages[1:]] == ["one", "two"]
            assert len(talk.all(ResponseStarted)) == 1
            await talk.until_while_silent(TurnClosed)
            assert len(talk.all(TurnClosed)) == 1

    run(talk_once())


def test_a_text_message_during_speech_is_a_turn_of_its_own() -> None:
    async def talk_once() -> None:
        config = SessionConfig(turn_detection=TurnDetection(interrupt_response=False))
        async with conversation(llm=ScriptedLLM(["Yes."]), config=config) as talk:
            await talk.speak(300)
            talk.do(asks("this"))
            talk.do(CreateResponse())
            await talk.speak(1000)
            traces = [(await talk.until_while_silent(TurnClosed)).trace for _ in range(2)]
            assert [trace["kind"] for trace in traces] == ["text", "plain"]

    run(talk_once())


def test_many_words_at_once_do_not_make_a_client_slow() -> None:
    async def talk_once() -> None:
        words = "word " * 2000
        async with conversation(llm=ScriptedLLM([words]), config=SessionConfig(modality="text")) as talk:
            talk.do(asks("this"))
            talk.do(CreateResponse())
            assert (await talk.until(ResponseDone)).status == "completed"
            assert talk.said() == words

    run(talk_once())


def test_silence_is_audio_too() -> None:
    """Push-to-talk without a word: the commit stands, and the response that was asked for is made."""

    async def talk_once() -> None:
        async with conversation(config=BY_HAND) as talk:
            await talk.session.hear(AppendAudio(Audio.silence(900, RATE)))
            await talk.session.hear(CommitAudio())
            talk.do(CreateResponse())
            assert (await talk.until(ResponseDone)).status == "completed"

    run(talk_once())


def test_a_response_that_waits_for_a_reply_begins_when_that_is_cancelled() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([COUNTING, "Yes."], tokens_per_s=100)
        async with conversation(llm=llm, config=BY_HAND) as talk:
            talk.do(asks("this"))
            talk.do(CreateResponse())
            await talk.until(AudioOut)
            await asyncio.sleep(1)
            talk.do(MARKED)
            talk.do(CancelResponse())
            assert (await talk.until(ResponseDone)).status == "cancelled"
            assert (await talk.until(ResponseDone, within=5)).options == MARKED.options

    run(talk_once())


@pytest.mark.parametrize("words_s", [0.1, 1.5])
def test_a_noise_before_the_answer_is_heard_does_not_take_it_away(words_s: float) -> None:
    """Whether the noise comes while the words are awaited, or while the agent thinks."""

    async def talk_once() -> None:
        llm = ScriptedLLM(["Sunny."], first_s=1.5)
        async with conversation(llm=llm, stt=ScriptedSTT(["What is the weather?", ""], final_s=words_s)) as talk:
            await talk.speak(600)
            await talk.silence(800)
            await talk.speak(300)
            await talk.until_while_silent(AudioOut)
            assert (await talk.until_while_silent(ResponseDone, where=lambda done: done.status == "completed")).audio_ms
            assert [done.text for done in talk.all(TranscriptCompleted)] == ["What is the weather?", ""]
            assert llm.asked[-1].messages[-1].text == "What is the weather?"
            await talk.silence(3_000)
            assert len([done for done in talk.all(ResponseDone) if done.status == "completed"]) == 1

    run(talk_once())


def test_turns_are_numbered_without_gaps_whatever_noises_come_between() -> None:
    async def talk_once() -> None:
        stt = ScriptedSTT(["one", "", "two", "", "and a half"], final_s=0.3)
        async with conversation(stt=stt, llm=ScriptedLLM(["Yes."], first_s=0.5)) as talk:
            for spoken_ms in (600, 300, 600):
                await talk.speak(spoken_ms)
                await talk.silence(4_000)
            traces = [event.trace for event in talk.all(TurnClosed)]
            assert [(trace["index"], trace["end_reason"]) for trace in traces] == [(0, "completed"), (1, "completed")]

    run(talk_once())


def test_a_noise_whose_words_are_late_takes_no_number() -> None:
    async def talk_once() -> None:
        async with conversation(stt=ScriptedSTT(["", "", "two"], final_s=3)) as talk:
            await talk.speak(400)
            await talk.silence(800)
            await talk.speak(400)
            await talk.silence(6_000)
            await talk.speak(600)
            assert (await talk.until_while_silent(TurnClosed)).trace["index"] == 0

    run(talk_once())


def test_a_noise_after_words_leaves_the_turn_to_who_answers_by_hand() -> None:
    async def talk_once() -> None:
        async with conversation(stt=ScriptedSTT(["words", ""], final_s=0.3), config=BY_HAND) as talk:
            await commit_speech(talk)
            await talk.silence(1_000)
            await commit_speech(talk)
            await talk.silence(1_000)
            talk.do(CreateResponse())
            trace = (await talk.until_while_silent(TurnClosed)).trace
            assert (trace["index"], trace["kind"]) == (0, "plain")
            (said,) = [r for r in talk.journal.records if isinstance(r, ItemRecorded) and r.role == "user"]
            assert (said.text, said.turn_index) == ("words", 0)

    run(talk_once())


def test_a_response_that_is_refused_takes_no_number() -> None:
    async def talk_once() -> None:
        async with conversation() as talk:
            talk.do(CreateResponse(ResponseOptions(input=("nothing",))))
            await talk.until(ErrorOccurred)
            talk.do(asks("hello"))
            talk.do(CreateResponse())
            assert (await talk.until_while_silent(TurnClosed)).trace["index"] == 0

    run(talk_once())


def test_what_is_said_before_the_answer_is_of_one_turn_with_what_is_answered() -> None:
    async def talk_once() -> None:
        stt = ScriptedSTT(["What is the weather", "in Oslo?", "And in Rome?"], final_s=1.5)
        async with conversation(stt=stt) as talk:
            await talk.speak(600)
            await talk.silence(800)
            await talk.speak(600)
            first = (await talk.until_while_silent(TurnClosed)).trace
            await talk.speak(600)
            second = (await talk.until_while_silent(TurnClosed)).trace
            assert [first["index"], second["index"]] == [0, 1]
            items = [r for r in talk.journal.records if isinstance(r, ItemRecorded) and r.role == "user"]
            assert [(item.text, item.turn_index) for item in items] == [
                ("What is the weather", 0),
                ("in Oslo?", 0),
                ("And in Rome?", 1),
            ]

    run(talk_once())


def test_a_noise_behind_a_waiting_turn_does_not_take_its_answer_away() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([COUNTING, "Yes."], tokens_per_s=100)
        async with conversation(llm=llm, stt=ScriptedSTT(["count", "stop", ""]), config=POLITE) as talk:
            await talk.speak(600)
            await talk.until_while_silent(AudioOut)
            await talk.speak(400)
            await talk.silence(800)
            await talk.speak(300)
            traces = [(await talk.until_while_silent(TurnClosed)).trace for _ in range(2)]
            assert [trace["kind"] for trace in traces] == ["plain", "plain"]
            assert [trace["index"] for trace in traces] == [0, 1]
            assert llm.asked[1].messages[-1].text == "stop"
            assert not responses_overlap(talk)

    run(talk_once())


def test_speech_that_was_cleared_does_not_take_the_answer_away() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Sunny."], first_s=1.5)
        async with conversation(llm=llm, stt=ScriptedSTT(["What is the weather?"], final_s=0.1)) as talk:
            await talk.speak(600)
            await talk.silence(800)
            await talk.speak(300)
            await talk.session.hear(ClearAudio())
            done = await talk.until_while_silent(ResponseDone, where=lambda done: done.status == "completed")
            assert done.audio_ms

    run(talk_once())


def test_words_that_follow_words_get_one_answer_however_the_first_was_cut() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Sunny."], first_s=1.5)
        async with conversation(llm=llm, stt=ScriptedSTT(["the weather", "in Rome"], final_s=0.1)) as talk:
            await talk.speak(600)
            await talk.silence(800)
            await talk.speak(600)
            await talk.until_while_silent(AudioOut)
            await talk.silence(5_000)
            assert [done.status for done in talk.all(ResponseDone)] == ["cancelled", "completed"]
            assert [message.text for message in llm.asked[-1].messages[-2:]] == ["the weather", "in Rome"]

    run(talk_once())


def test_a_client_that_commits_in_mid_speech_is_not_answered_later_for_a_noise() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Sunny."], first_s=1.5)
        async with conversation(llm=llm, stt=ScriptedSTT(["the weather", "in Rome", ""], final_s=0.1)) as talk:
            await talk.speak(600)
            await talk.silence(800)
            await talk.speak(600)
            await talk.session.hear(CommitAudio())
            await talk.silence(1_000)
            await talk.speak(300)
            await talk.silence(5_000)
            assert [done.text for done in talk.all(TranscriptCompleted)] == ["the weather", "in Rome", ""]
            assert [done.status for done in talk.all(ResponseDone)] == ["cancelled"]

    run(talk_once())
