"""Speech over the agent in `semantic_vad`: held at once, and then decided by its words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import pytest

from agents.providers.scripted import Fault, ScriptedEndOfTurn, ScriptedLLM, ScriptedSTT, ScriptedTTS
from agents.spec import TurnDetection
from sessions.pipeline.messages import (
    AudioOut,
    CommitAudio,
    Configure,
    ItemAdded,
    MessageItem,
    ReplyHeld,
    ResponseDone,
    SessionConfig,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
)
from telemetry import counters, names
from tests.scenario import Talk, conversation
from tests.virtual_time import run

CONFIG = SessionConfig(turn_detection=TurnDetection(type="semantic_vad"), transcription=True)
SPEECH = "Let me tell you all about it, one thing after the other. " * 10


def held_over(
    script: Callable[[Talk], Awaitable[None]], texts: Sequence[str], *, stt_s: float = 0.1, speech: str = SPEECH
) -> None:
    """Run `script` while the agent speaks. `texts` are what is heard after the first turn, one by one."""

    async def talk_once() -> None:
        stt = ScriptedSTT(["Tell me.", *texts], final_s=stt_s)
        llm = ScriptedLLM([speech, "Sure."], first_s=0.05, tokens_per_s=200)
        async with conversation(
            config=CONFIG, stt=stt, llm=llm, tts=ScriptedTTS(first_s=0.05), end_of_turn=ScriptedEndOfTurn([0.9])
        ) as talk:
            await talk.speak(600)
            await talk.until_while_silent(AudioOut)
            await talk.silence(1_000)
            await script(talk)

    run(talk_once())


def holds(talk: Talk) -> list[bool]:
    return [event.held for event in talk.all(ReplyHeld)]


def user_items(talk: Talk) -> list[MessageItem]:
    return [e.item for e in talk.all(ItemAdded) if isinstance(e.item, MessageItem) and e.item.role == "user"]


def counted(outcome: str) -> int:
    return round(counters.value(names.INTERRUPTIONS, outcome))


@pytest.mark.parametrize(("text", "outcome"), [("Mhm.", "backchannel"), ("[coughs]", "false"), ("", "false")])
def test_what_is_no_turn_leaves_the_reply_where_it_was(text: str, outcome: str) -> None:
    before = counted(outcome)

    async def script(talk: Talk) -> None:
        released = talk.audio_ms()
        await talk.speak(300)
        await talk.silence(400)
        assert holds(talk) == [True, False]
        await talk.silence(1_500)
        assert len(talk.all(SpeechStarted)) == len(user_items(talk)) == 1
        assert not talk.all(ResponseDone)
        assert talk.audio_ms() > released + 1_500
        assert talk.heard[-1][0] - talk.time_of_first(AudioOut) > 2

    held_over(script, [text])
    assert counted(outcome) == before + 1


def test_what_was_held_back_comes_later_and_none_of_it_is_lost() -> None:
    async def script(talk: Talk) -> None:
        await talk.speak(300)
        done = await talk.until_while_silent(ResponseDone)
        assert done.status == "completed"
        assert done.audio_ms == pytest.approx(talk.audio_ms(done.response_id), abs=1)
        assert talk.said().startswith(SPEECH.strip())

    held_over(script, ["Yeah."])


def test_a_word_that_means_something_stops_the_agent_and_is_a_turn() -> None:
    async def script(talk: Talk) -> None:
        onset = talk.now
        await talk.speak(300)
        await talk.until_while_silent(SpeechStarted, where=lambda e: e is not talk.all(SpeechStarted)[0])
        assert (talk.at - onset) * 1000 <= 300 + 96 + 32 + 100 + 20
        done = await talk.until_while_silent(ResponseDone)
        assert done.reason == "turn_detected"
        await talk.until_while_silent(ResponseDone)
        assert [e.text for e in talk.all(TranscriptCompleted)] == ["Tell me.", "Stop."]

    held_over(script, ["Stop."])


def test_half_a_second_of_speech_stops_the_agent_without_words() -> None:
    async def script(talk: Talk) -> None:
        onset = talk.now
        await talk.speak(1_500)
        assert len(talk.all(SpeechStarted)) == 2
        decided = next(at for at, event in reversed(talk.heard) if isinstance(event, SpeechStarted))
        assert 500 <= (decided - onset) * 1000 <= 580

    held_over(script, ["Whatever it was."])


def test_what_follows_a_backchannel_has_it_at_its_beginning() -> None:
    async def script(talk: Talk) -> None:
        start_ms = talk.now * 1000
        await talk.speak(300)
        await talk.silence(500)
        assert holds(talk) == [True, False]
        await talk.speak(900)
        await talk.until_while_silent(SpeechStopped, where=lambda e: e is not talk.all(SpeechStopped)[0])
        await talk.until_while_silent(TranscriptCompleted, where=lambda e: "tomorrow" in e.text)
        second = talk.all(SpeechStarted)[1]
        assert start_ms - 300 - 40 <= second.at_ms <= start_ms
        assert len(user_items(talk)) == 2

    held_over(script, ["Yeah.", "Yeah, what about tomorrow?"])


def test_a_yes_in_the_last_moment_of_what_the_agent_says_is_an_answer() -> None:
    async def script(talk: Talk) -> None:
        while talk.session.snapshot().activity == "speaking":
            await talk.speak(20) if len(holds(talk)) else await talk.silence(20)
            if talk.audio_ms() >= 1_900 and not holds(talk):
                await talk.speak(300)
                break
        await talk.until_while_silent(TranscriptCompleted, where=lambda e: e.text == "Yes.")

    held_over(script, ["Yes."], speech="Shall I book it for you?  And now?")


def test_words_that_take_long_do_not_silence_the_agent_but_stop_it_when_they_come() -> None:
    async def script(talk: Talk) -> None:
        held_at = talk.now
        await talk.speak(300)
        await talk.silence(2_700)
        assert holds(talk) == [True, False]
        released = next(at for at, event in talk.heard if isinstance(event, ReplyHeld) and not event.held)
        assert released - held_at <= 1.1
        assert len(talk.all(SpeechStarted)) == 2

    held_over(script, ["Stop."], stt_s=1.0)


def test_a_client_may_commit_what_is_in_doubt() -> None:
    async def script(talk: Talk) -> None:
        await talk.speak(300)
        await talk.silence(200)
        await talk.session.hear(CommitAudio("event_1"))
        await talk.silence(300)
        assert len(user_items(talk)) == 2
        await talk.until_while_silent(TranscriptCompleted, where=lambda e: e.text == "Mhm.")

    held_over(script, ["Mhm."])


def test_doubt_ends_where_turn_detection_does() -> None:
    async def script(talk: Talk) -> None:
        await talk.speak(200)
        talk.do(Configure(SessionConfig(turn_detection=TurnDetection(type="none"), transcription=True)))
        await talk.silence(500)
        assert holds(talk)[-1] is False
        assert len(talk.all(SpeechStarted)) == 1

    held_over(script, ["Mhm."])


def test_a_failing_stt_does_not_let_a_cough_stop_the_agent() -> None:
    async def talk_once() -> None:
        stt = ScriptedSTT(["Tell me."], fault=Fault("fail", calls=[1]))
        llm = ScriptedLLM([SPEECH], tokens_per_s=200)
        async with conversation(config=CONFIG, stt=stt, llm=llm, end_of_turn=ScriptedEndOfTurn([0.9])) as talk:
            await talk.speak(600)
            await talk.until_while_silent(AudioOut)
            await talk.speak(300)
            await talk.silence(1_000)
            assert holds(talk) == [True, False]
            assert len(talk.all(SpeechStarted)) == 1

    run(talk_once())


def test_words_that_come_late_in_the_silence_are_not_asked_for_again() -> None:
    async def script(talk: Talk) -> None:
        await talk.speak(300)
        await talk.until_while_silent(AudioOut, where=lambda _: len(talk.all(ResponseDone)) == 1)
        assert [done.text for done in talk.all(TranscriptCompleted)] == ["Tell me.", "Stop it now."]

    held_over(script, ["Stop it now.", "What came of asking again."], stt_s=1.5)
