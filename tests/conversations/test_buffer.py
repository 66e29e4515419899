"""Audio that is committed, cleared and reconfigured in the middle of speech, and where its time line runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from agents.audio import Audio
from agents.interfaces import NO_HINTS, Hints, Transcript
from agents.providers.scripted import ScriptedEndOfTurn, ScriptedLLM, ScriptedSTT, ScriptedVAD, tone
from agents.spec import TurnDetection
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.messages import (
    AppendAudio,
    AudioCleared,
    AudioCommitted,
    AudioOut,
    ClearAudio,
    CommitAudio,
    Configure,
    Content,
    CreateItem,
    CreateResponse,
    ErrorOccurred,
    MessageItem,
    ResponseDone,
    SessionConfig,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptPartial,
    TurnClosed,
)
from telemetry.trace import TurnMarks
from tests.scenario import RATE, Talk, conversation
from tests.virtual_time import run

BY_HAND = SessionConfig(turn_detection=TurnDetection(type="none"), transcription=True)
LENGTH = ScriptedSTT(lambda audio: f"{audio.ms:.0f}", final_s=0.1)


def lengths(talk: Talk) -> list[int]:
    """ms of audio of each turn, as the STT measured them."""
    return [int(done.text) for done in talk.all(TranscriptCompleted)]


def test_what_was_cleared_does_not_come_back() -> None:
    async def talk_once() -> None:
        async with conversation(stt=LENGTH) as talk:
            await talk.speak(2000)
            await talk.session.hear(ClearAudio())
            await talk.until(AudioCleared)
            await talk.speak(600)
            await talk.until_while_silent(TranscriptCompleted)
            assert [round(started.at_ms, -2) for started in talk.all(SpeechStarted)] == [0, 2000]
            assert lengths(talk)[0] <= 600 + 500

    run(talk_once())


def test_what_was_committed_in_the_middle_of_speech_is_not_heard_twice() -> None:
    async def talk_once() -> None:
        async with conversation(stt=LENGTH) as talk:
            await talk.speak(2000)
            await talk.session.hear(CommitAudio())
            await talk.speak(1000)
            await talk.until_while_silent(AudioCommitted)
            await talk.until_while_silent(AudioCommitted)
            await talk.until_while_silent(ResponseDone)
            first, second = lengths(talk)
            assert first == pytest.approx(2000, abs=40)
            assert second <= 1000 + 500
            assert talk.all(SpeechStarted)[1].at_ms >= 1950

    run(talk_once())


def test_a_monologue_is_cut_at_the_longest_turn_and_heard() -> None:
    async def talk_once() -> None:
        config = SessionConfig(turn_detection=TurnDetection(interrupt_response=False), transcription=True)
        async with conversation(stt=LENGTH, bounds=Bounds(utterance_ms=3000), config=config) as talk:
            await talk.speak(7000)
            await talk.until_while_silent(TranscriptCompleted, where=lambda done: done.item_id is not None)
            await talk.silence(1500)
            assert [3000 <= ms <= 3200 for ms in lengths(talk)] == [True, True, False]
            assert sum(lengths(talk)) == pytest.approx(7100, abs=300)
            assert len(talk.all(SpeechStopped)) == 3

    run(talk_once())


def test_a_turn_by_hand_that_is_never_committed_is_dropped_with_an_error() -> None:
    async def talk_once() -> None:
        async with conversation(bounds=Bounds(utterance_ms=3000), config=BY_HAND) as talk:
            await talk.speak(3200)
            assert (await talk.until(ErrorOccurred)).code == "input_audio_buffer_full"
            await talk.session.hear(AppendAudio(tone(500, RATE)))
            await talk.session.hear(CommitAudio())
            await talk.until(AudioCommitted)

    run(talk_once())


@pytest.mark.parametrize(
    "changed",
    [
        TurnDetection(silence_duration_ms=700),
        TurnDetection(create_response=False),
        TurnDetection(type="semantic_vad"),
        TurnDetection(threshold=0.6, prefix_padding_ms=100),
    ],
)
def test_a_setting_changed_in_the_middle_of_speech_does_not_lose_it(changed: TurnDetection) -> None:
    async def talk_once() -> None:
        async with conversation(stt=LENGTH) as talk:
            await talk.speak(1000)
            talk.do(Configure(SessionConfig(turn_detection=changed, transcription=True)))
            await talk.speak(1000)
            await talk.until_while_silent(TranscriptCompleted)
            started, stopped = talk.all(SpeechStarted), talk.all(SpeechStopped)
            assert [e.item_id for e in started] == [e.item_id for e in stopped]
            assert lengths(talk)[0] >= 2000
            assert stopped[0].at_ms == pytest.approx(2000, abs=64)

    run(talk_once())


@pytest.mark.parametrize("pause_ms", [0, 300])
def test_turn_detection_switched_off_in_the_middle_of_speech_leaves_it_to_the_client(pause_ms: int) -> None:
    async def talk_once() -> None:
        async with conversation(stt=LENGTH) as talk:
            await talk.speak(1000)
            await talk.silence(pause_ms)
            talk.do(Configure(BY_HAND))
            await talk.speak(1000)
            await talk.session.hear(CommitAudio())
            committed = await talk.until(AudioCommitted)
            assert committed.item_id == talk.all(SpeechStarted)[0].item_id
            await talk.until(TranscriptCompleted)
            assert lengths(talk)[0] == pytest.approx(2000 + pause_ms, abs=60)

    run(talk_once())


def test_turn_detection_switched_on_hears_only_what_comes_then() -> None:
    async def talk_once() -> None:
        async with conversation(stt=LENGTH, config=BY_HAND) as talk:
            await talk.speak(3000)
            talk.do(Configure(SessionConfig(transcription=True)))
            await talk.silence(500)
            await talk.speak(1000)
            await talk.until_while_silent(TranscriptCompleted)
            assert lengths(talk)[0] == pytest.approx(1350, abs=50)
            assert talk.all(SpeechStarted)[0].at_ms == pytest.approx(3200, abs=50)

    run(talk_once())


def test_a_hold_ends_even_if_the_client_sends_no_more_audio() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["One two three four five six seven eight nine ten. " * 3])
        async with conversation(llm=llm, vad=ScriptedVAD(sure=0.6)) as talk:
            await talk.speak(600)
            await talk.until_while_silent(AudioOut)
            await talk.silence(1000)
            await talk.speak(60)
            done = await talk.until(ResponseDone, within=30)
            assert done.status == "completed"

    run(talk_once())


def test_an_end_judged_after_the_user_went_on_is_too_late() -> None:
    async def talk_once() -> None:
        config = SessionConfig(turn_detection=TurnDetection(type="semantic_vad"), transcription=True)
        judge = ScriptedEndOfTurn([1.0], delay_s=0.5)
        async with conversation(stt=LENGTH, end_of_turn=judge, config=config) as talk:
            await talk.speak(600)
            await talk.silence(400)
            await talk.speak(600)
            await talk.until_while_silent(TranscriptCompleted)
            assert len(talk.all(SpeechStopped)) == 1
            assert lengths(talk)[0] >= 1600
            assert judge.calls == 2

    run(talk_once())


def test_the_end_of_speech_by_hand_is_where_the_speech_ended() -> None:
    async def talk_once() -> None:
        async with conversation(config=BY_HAND) as talk:
            speech, quiet = tone(1000, RATE), Audio.silence(800, RATE)
            sent = 100_000
            for frame in (*speech.split(20), *quiet.split(20)):
                await talk.session.hear(AppendAudio(frame, start_sample=sent))
                sent += frame.samples
                await asyncio.sleep(frame.ms / 1000)
            await talk.session.hear(CommitAudio())
            talk.do(CreateResponse())
            first = await talk.until(AudioOut)
            assert first.user_end_sample == pytest.approx(100_000 + RATE, abs=RATE * 0.04)
            marks = (await talk.until(TurnClosed)).trace["marks"]
            assert marks["user_speech_start"] == pytest.approx(0, abs=40_000)
            assert marks["user_speech_end"] == pytest.approx(1_000_000, abs=40_000)

    run(talk_once())


def test_the_end_of_speech_is_on_the_clients_clock_even_if_it_leaves_samples_out() -> None:
    async def talk_once() -> None:
        async with conversation() as talk:
            sent = 0
            for frame in tone(1000, RATE).split(20):
                await talk.session.hear(AppendAudio(frame, start_sample=sent))
                sent += frame.samples
                await asyncio.sleep(frame.ms / 1000)
            await asyncio.sleep(5)
            sent += 5 * RATE  # the client's clock ran on, but it sent nothing
            for frame in Audio.silence(1000, RATE).split(20):
                await talk.session.hear(AppendAudio(frame, start_sample=sent))
                sent += frame.samples
                await asyncio.sleep(frame.ms / 1000)
            first = await talk.until(AudioOut)
            assert first.user_end_sample == pytest.approx(RATE, abs=RATE * 0.04)
            marks = (await talk.until(TurnClosed)).trace["marks"]
            assert marks["user_speech_end"] - marks["user_speech_start"] == pytest.approx(1_000_000, abs=40_000)

    run(talk_once())


@pytest.mark.parametrize("burst_ms", [100, 700, 1000, 3000])
def test_marks_keep_their_order_when_audio_comes_in_bursts(burst_ms: int) -> None:
    async def talk_once() -> None:
        async with conversation() as talk:
            await asyncio.sleep(10)
            whole = Audio(Audio.silence(600, RATE).pcm + tone(1000, RATE).pcm + Audio.silence(1400, RATE).pcm, RATE)
            for piece in whole.split(burst_ms):
                await talk.session.hear(AppendAudio(piece))
            marks = (await talk.until(TurnClosed)).trace["marks"]
            order = ["turn_open", "user_speech_start", "user_speech_end", "vad_stop", "eot_decided", "turn_committed"]
            moments = [marks[name] for name in [*order, "first_audio_sent", "turn_close"]]
            assert moments == sorted(moments)

    run(talk_once())


class CountedSTT:
    """Counts how many streams are being read at a time."""

    def __init__(self) -> None:
        self.reading = 0
        self.most = 0

    async def transcribe(
        self, audio: AsyncIterator[Audio], marks: TurnMarks, hints: Hints = NO_HINTS
    ) -> AsyncGenerator[Transcript, None]:
        self.reading += 1
        self.most = max(self.most, self.reading)
        try:
            async for _ in audio:
                pass
            await asyncio.sleep(0.3)
            yield Transcript("hello", final=True)
        finally:
            self.reading -= 1


def test_speech_is_read_by_one_transcription_at_a_time() -> None:
    async def talk_once() -> None:
        stt = CountedSTT()
        async with conversation(stt=stt) as talk:
            for _ in range(4):
                await talk.speak(400)
                await talk.silence(300)
            await talk.until_while_silent(ResponseDone)
            assert (stt.most, stt.reading) == (1, 0)

    run(talk_once())


def test_speech_that_a_change_of_turn_detection_dropped_is_not_awaited() -> None:
    async def talk_once() -> None:
        async with conversation() as talk:
            await talk.speak(600)
            assert talk.session.snapshot().activity == "hearing"
            for kind in ("none", "server_vad"):
                talk.do(Configure(SessionConfig(turn_detection=TurnDetection(type=kind))))
                await asyncio.sleep(0.1)
            assert talk.session.snapshot().activity == "waiting"

    run(talk_once())


def test_an_item_cannot_take_the_id_of_what_is_being_said() -> None:
    async def talk_once() -> None:
        stt = ScriptedSTT(["one two three"], words_per_s=4, final_s=0.1)
        config = SessionConfig(turn_detection=TurnDetection(type="none"), transcription=True)
        async with conversation(stt=stt, config=config) as talk:
            await talk.speak(1_000)
            spoken = (await talk.until(TranscriptPartial)).item_id
            talk.do(CreateItem(MessageItem(spoken, "user", (Content("text", text="mine"),))))
            assert (await talk.until(ErrorOccurred)).code == "item_create_duplicate_item_id"
            await talk.session.hear(CommitAudio())
            assert (await talk.until(AudioCommitted)).item_id == spoken

    run(talk_once())
