"""What the listener heard is what the history holds, whenever a reply is cut and by whomever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from agents.providers.scripted import CHARS_PER_SECOND, ScriptedLLM, ScriptedTTS
from sessions.pipeline.messages import (
    AudioOut,
    CancelResponse,
    Content,
    CreateItem,
    CreateResponse,
    ErrorOccurred,
    ItemRetrieved,
    ItemTruncated,
    MessageItem,
    OutputStarted,
    ResponseDone,
    ResponseOptions,
    RetrieveItem,
    SpeechStarted,
    TruncateItem,
)
from tests.scenario import Talk, conversation
from tests.virtual_time import run

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen " * 2
"""A sentence of some 14 s, without a place to cut it."""
CUTS_S = [0.35, 1.0, 3.0, 7.5]


def says(text: str, item_id: str) -> CreateItem:
    return CreateItem(MessageItem(item_id, "user", (Content("text", text=text),)))


async def retrieved(talk: Talk, item_id: str) -> tuple[str, float]:
    """The words and the ms of audio that an item is left with."""
    talk.do(RetrieveItem(item_id))
    answer = await talk.until(ItemRetrieved, where=lambda event: event.item.id == item_id)
    assert isinstance(answer.item, MessageItem)
    return answer.item.content[0].transcript or "", answer.audio.ms if answer.audio else 0.0


async def remembered(talk: Talk, llm: ScriptedLLM) -> str:
    """The agent's words as the brain is shown them next."""
    talk.do(says("and then?", "next"))
    talk.do(CreateResponse(ResponseOptions(modality="text")))
    await talk.until(ResponseDone)
    return next(message.text for message in reversed(llm.asked[-1].messages) if message.role == "assistant")


def assert_heard(words: str, ms: float) -> None:
    """Whole words of LONG, as many as `ms` had room for, give or take a word and an error of the pace."""
    room = ms / 1000 * CHARS_PER_SECOND
    assert LONG.startswith(words)
    assert LONG[len(words)] == " " or not words
    assert 0.9 * room - 10 <= len(words) <= 1.12 * room + 3


def talk_with(tts: ScriptedTTS, script: Callable[[Talk, ScriptedLLM, str], Awaitable[None]]) -> None:
    """`script` begins when the agent's long answer has begun; it is given the answer's item."""

    async def talk_once() -> None:
        llm = ScriptedLLM([LONG, "Well."], tokens_per_s=100)
        async with conversation(llm=llm, tts=tts) as talk:
            talk.do(says("go on", "mine"))
            talk.do(CreateResponse())
            await script(talk, llm, (await talk.until(AudioOut)).item_id)

    run(talk_once())


VOICES = {
    "says where it is": lambda: ScriptedTTS(first_s=0.1, speed=5),
    "says nothing": lambda: ScriptedTTS(first_s=0.1, speed=5, offsets=False),
    "is barely fast enough": lambda: ScriptedTTS(first_s=0.1, speed=1.1, offsets=False),
}


@pytest.fixture(params=VOICES)
def tts(request: pytest.FixtureRequest) -> ScriptedTTS:
    return VOICES[request.param]()


@pytest.mark.parametrize("cut_s", CUTS_S)
def test_a_barge_in_in_the_middle_of_a_sentence_leaves_the_words_heard(tts: ScriptedTTS, cut_s: float) -> None:
    async def script(talk: Talk, llm: ScriptedLLM, item_id: str) -> None:
        begun = talk.now
        await asyncio.sleep(cut_s - 0.1)
        await talk.speak(300)
        await talk.until(SpeechStarted)
        heard_ms = (talk.at - begun) * 1000
        await talk.until(ResponseDone)
        words, audio_ms = await retrieved(talk, item_id)
        assert_heard(words, heard_ms)
        assert audio_ms == pytest.approx(heard_ms, abs=80)
        assert await remembered(talk, llm) == words

    talk_with(tts, script)


@pytest.mark.parametrize("cut_s", CUTS_S)
@pytest.mark.parametrize("cancels", [True, False])
def test_a_truncate_while_speaking_leaves_the_words_heard(tts: ScriptedTTS, cut_s: float, cancels: bool) -> None:
    """With a cancel or without one, before the reply's end and, in the same words, after it."""

    async def script(talk: Talk, llm: ScriptedLLM, item_id: str) -> None:
        await asyncio.sleep(cut_s)
        heard_ms = round(cut_s * 1000)
        talk.do(TruncateItem(item_id, heard_ms))
        assert (await talk.until(ItemTruncated)).audio_end_ms == heard_ms
        assert_heard((await retrieved(talk, item_id))[0], heard_ms)
        if cancels:
            talk.do(CancelResponse())
        await talk.until(ResponseDone)
        words, audio_ms = await retrieved(talk, item_id)
        assert_heard(words, heard_ms)
        assert audio_ms == pytest.approx(heard_ms, abs=1)
        assert await remembered(talk, llm) == words

    talk_with(tts, script)


def test_the_last_word_of_the_client_on_what_it_played_counts(tts: ScriptedTTS) -> None:
    async def script(talk: Talk, llm: ScriptedLLM, item_id: str) -> None:
        await asyncio.sleep(3)
        talk.do(CancelResponse())
        await talk.until(ResponseDone)
        for ms in (2500, 500, 1500):
            talk.do(TruncateItem(item_id, ms))
            assert (await talk.until(ItemTruncated)).audio_end_ms == ms
            words, audio_ms = await retrieved(talk, item_id)
            assert_heard(words, ms)
            assert audio_ms == pytest.approx(ms, abs=1)
        assert_heard(await remembered(talk, llm), 1500)

    talk_with(tts, script)


def test_audio_that_was_never_sent_cannot_have_been_heard(tts: ScriptedTTS) -> None:
    async def script(talk: Talk, llm: ScriptedLLM, item_id: str) -> None:
        talk.reads_s = 0.5
        await asyncio.sleep(3)
        talk.do(CancelResponse())
        done = await talk.until(ResponseDone)
        talk.do(TruncateItem(item_id, 60_000))
        used_ms = (await talk.until(ItemTruncated)).audio_end_ms
        assert used_ms == done.audio_ms == round(talk.audio_ms())
        assert_heard((await retrieved(talk, item_id))[0], used_ms)

    talk_with(tts, script)


def test_a_completed_answer_is_cut_too_and_whole_sentences_stay_whole() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Yes, of course. I will do that now.", "Well."])
        async with conversation(llm=llm) as talk:
            talk.do(says("please", "mine"))
            talk.do(CreateResponse())
            item_id = (await talk.until(AudioOut)).item_id
            done = await talk.until(ResponseDone)
            words, audio_ms = await retrieved(talk, item_id)
            assert (words, round(audio_ms)) == ("Yes, of course. I will do that now.", done.audio_ms)
            talk.do(TruncateItem(item_id, 1050))
            assert (await retrieved(talk, item_id))[0] == "Yes, of course."
            talk.do(TruncateItem(item_id, 99_999))
            assert await retrieved(talk, item_id) == (words, audio_ms)

    run(talk_once())


def test_only_a_spoken_reply_can_be_truncated() -> None:
    async def talk_once() -> None:
        async with conversation() as talk:
            talk.do(says("hello", "mine"))
            talk.do(CreateResponse(ResponseOptions(modality="text")))
            reply = (await talk.until(OutputStarted)).item.id
            await talk.until(ResponseDone)
            for item_id, code in [
                ("mine", "item_truncate_invalid_item"),
                (reply, "item_truncate_invalid_item"),
                ("none", "item_truncate_invalid_item_id"),
            ]:
                talk.do(TruncateItem(item_id, 10, event_id=f"cut_{item_id}"))
                error = await talk.until(ErrorOccurred)
                assert (error.code, error.param, error.event_id) == (code, "item_id", f"cut_{item_id}")

    run(talk_once())
