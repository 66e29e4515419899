"""Words while the user speaks: captions that replace one another, and deltas that stand."""

from __future__ import annotations

import dataclasses
from typing import Any

from agents.audio import Audio
from agents.interfaces import STT
from agents.providers.scripted import Fault, ScriptedSTT
from agents.spec import TurnDetection
from sessions.pipeline.messages import (
    AudioCommitted,
    CommitAudio,
    Configure,
    Event,
    SessionConfig,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptDelta,
    TranscriptFailed,
    TranscriptPartial,
)
from tests.scenario import Talk, conversation
from tests.virtual_time import run

CONVERSATION = SessionConfig(transcription=True)
CAPTIONS = SessionConfig(transcription=True, transcription_only=True)
BY_HAND = dataclasses.replace(CAPTIONS, turn_detection=TurnDetection(type="none"))
WORDS = "one two three four five six seven eight nine ten"


def streaming(texts: Any = (WORDS,), **options: Any) -> ScriptedSTT:
    return ScriptedSTT(texts, words_per_s=4, final_s=0.1, **{"settled": True, **options})


def told(talk: Talk) -> str:
    return "".join(delta.text for delta in talk.all(TranscriptDelta))


def order(talk: Talk, *kinds: type[Event]) -> list[type[Event]]:
    return [type(event) for _, event in talk.heard if isinstance(event, kinds)]


async def speak_with_a_pause(talk: Talk) -> None:
    """A second of speech, a pause that is not the end, and another second."""
    await talk.speak(1000)
    await talk.silence(300)
    await talk.speak(1000)
    await talk.until_while_silent(TranscriptCompleted)


def test_captions_never_go_backwards_when_the_user_goes_on_after_a_pause() -> None:
    def by_length(audio: Audio) -> str:
        return WORDS if audio.ms < 1700 else WORDS.upper()

    async def talk_once() -> None:
        stt = streaming(by_length, settled=False)
        async with conversation(stt=stt, config=CONVERSATION) as talk:
            await speak_with_a_pause(talk)
            captions = [partial.text for partial in talk.all(TranscriptPartial)]
            assert stt.calls == 2
            assert len(captions) > 5
            assert [len(text) for text in captions] == sorted(len(text) for text in captions)

    run(talk_once())


def test_nothing_of_a_transcription_that_was_given_up_comes_after_the_user_went_on() -> None:
    async def talk_once() -> None:
        stt = streaming(["first " * 10, "second " * 10], settled=False)
        async with conversation(stt=stt, config=CONVERSATION) as talk:
            await speak_with_a_pause(talk)
            firsts = [partial.text.split()[0] for partial in talk.all(TranscriptPartial)]
            assert firsts == ["first"] * firsts.count("first") + ["second"] * firsts.count("second")
            assert "second" in firsts
            assert told(talk) == talk.all(TranscriptCompleted)[0].text == ("second " * 10).strip()

    run(talk_once())


def test_in_a_transcription_session_settled_words_go_out_while_the_user_speaks() -> None:
    async def talk_once() -> None:
        stt = streaming()
        async with conversation(stt=stt, config=CAPTIONS) as talk:
            await speak_with_a_pause(talk)
            assert stt.calls == 1  # a pause does not void what was told
            spoken = [delta.text for _, delta in before(talk, SpeechStopped) if isinstance(delta, TranscriptDelta)]
            assert len(spoken) > 5
            assert WORDS.startswith("".join(spoken))
            assert told(talk) == talk.all(TranscriptCompleted)[0].text == WORDS

    run(talk_once())


def test_words_that_are_not_settled_are_told_once_they_are_final() -> None:
    async def talk_once() -> None:
        async with conversation(stt=streaming(settled=False), config=CAPTIONS) as talk:
            await speak_with_a_pause(talk)
            assert [delta.text for delta in talk.all(TranscriptDelta)] == [WORDS]
            assert len(talk.all(TranscriptPartial)) > 5

    run(talk_once())


def test_in_a_conversation_words_are_told_once_the_turn_is_over() -> None:
    """Until then the user may go on, and all is transcribed anew: asking early is what makes answers prompt."""

    async def talk_once() -> None:
        stt = streaming(["not this", WORDS])
        async with conversation(stt=stt, config=CONVERSATION) as talk:
            await speak_with_a_pause(talk)
            assert stt.calls == 2
            assert order(talk, AudioCommitted, TranscriptDelta, TranscriptCompleted) == [
                AudioCommitted,
                TranscriptDelta,
                TranscriptCompleted,
            ]
            assert told(talk) == WORDS

    run(talk_once())


def test_a_client_that_commits_gets_words_before_it_does() -> None:
    async def talk_once() -> None:
        async with conversation(stt=streaming(), config=BY_HAND) as talk:
            await talk.speak(1500)
            early = told(talk)
            await talk.session.hear(CommitAudio())
            completed = await talk.until(TranscriptCompleted)
            assert early == "one two three four five six", "at four a second"
            assert told(talk) == completed.text == WORDS
            assert len({delta.item_id for delta in talk.all(TranscriptDelta)} | {completed.item_id}) == 1

    run(talk_once())


def test_turn_detection_taken_away_in_mid_speech_takes_no_word_back() -> None:
    async def talk_once() -> None:
        stt = streaming()
        async with conversation(stt=stt, config=CAPTIONS) as talk:
            await talk.speak(1000)
            talk.do(Configure(BY_HAND))
            await talk.speak(1000)
            await talk.session.hear(CommitAudio())
            completed = await talk.until(TranscriptCompleted)
            assert stt.calls == 1
            assert told(talk) == completed.text == WORDS

    run(talk_once())


def test_a_sound_too_short_for_words_keeps_those_that_were_told() -> None:
    async def talk_once() -> None:
        stt: STT = ScriptedSTT(["yes indeed"], words_per_s=10, settled=True)
        async with conversation(stt=stt, config=CAPTIONS) as talk:
            await talk.speak(160)
            completed = await talk.until_while_silent(TranscriptCompleted)
            assert told(talk) == completed.text == "yes indeed"

    run(talk_once())


def test_ears_that_fail_after_some_words_say_so_once() -> None:
    async def talk_once() -> None:
        async with conversation(stt=streaming(fault=Fault("fail", after=3)), config=CAPTIONS) as talk:
            await talk.speak(2000)
            await talk.until_while_silent(TranscriptFailed)
            assert told(talk) == "one two three"
            assert not talk.all(TranscriptCompleted)
            assert len(talk.all(TranscriptFailed)) == 1

    run(talk_once())


def test_a_promise_that_the_recogniser_breaks_is_mended_by_the_completed_transcript() -> None:
    async def talk_once() -> None:
        stt = streaming(lambda audio: WORDS if audio.ms < 1500 else "something else")
        async with conversation(stt=stt, config=CAPTIONS) as talk:
            talk.wire.rules.joins = False
            await talk.speak(1400)
            completed = await talk.until_while_silent(TranscriptCompleted)
            assert completed.text == "something else"
            assert WORDS.startswith(told(talk))

    run(talk_once())


def before(talk: Talk, kind: type[Event]) -> list[tuple[float, Event]]:
    first = next(n for n, (_, event) in enumerate(talk.heard) if isinstance(event, kind))
    return talk.heard[:first]


def test_ears_that_failed_try_again_when_the_speaker_goes_on_after_a_pause() -> None:
    async def talk_once() -> None:
        stt = streaming(["one two three four five six"], fault=Fault("fail", after=2, calls=[0]))
        async with conversation(stt=stt, config=CAPTIONS) as talk:
            await talk.speak(1_500)
            await talk.silence(250)
            await talk.speak(600)
            done = await talk.until_while_silent(TranscriptCompleted)
            assert done.text == "one two three four five six"
            assert not talk.all(TranscriptFailed)

    run(talk_once())
