"""What happens at each bound, and that a long session stays small."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from agents.audio import Audio
from agents.interfaces import Transcript
from agents.providers.scripted import ScriptedLLM, ScriptedSTT, tone
from agents.spec import TurnDetection
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.listening import TRANSCRIPTIONS
from sessions.pipeline.messages import (
    AppendAudio,
    AudioCleared,
    AudioCommitted,
    AudioOut,
    CallItem,
    CallOutputItem,
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
    RetrieveItem,
    SessionConfig,
    SessionEnded,
    SpeechStarted,
    TurnClosed,
)
from sessions.pipeline.records import ItemRecorded, TurnRecorded
from telemetry import counters
from telemetry.trace import TurnMarks
from tests.scenario import RATE, Talk, conversation
from tests.virtual_time import run

COUNTING = "One two three four five six seven eight nine ten. " * 3
TEXT = SessionConfig(modality="text", turn_detection=TurnDetection(type="none"))
BESIDE = CreateResponse(ResponseOptions(in_conversation=False, input=()), event_id="beside")


def counted(name: str, what: str = "") -> float:
    return counters.snapshot().get((name, what), 0)


def test_a_client_that_does_not_read_is_still_heard() -> None:
    """Answers wait for room; what the user does is not behind them."""

    async def talk_once() -> None:
        async with conversation(bounds=Bounds(events_out=64)) as talk:
            talk.reads_s = 10
            talk.do(RetrieveItem("first"))
            await asyncio.sleep(0)
            for _ in range(200):
                talk.do(RetrieveItem("nothing"))
            await talk.speak(400)
            talk.reads_s = 0
            await asyncio.sleep(30)
            kinds = [type(event) for _, event in talk.heard]
            assert kinds.count(ErrorOccurred) == 201
            assert kinds.index(SpeechStarted) < 60

    run(talk_once())


def test_a_client_that_never_reads_is_a_slow_client() -> None:
    async def talk_once() -> None:
        before = counted("clients.slow")
        config = SessionConfig(turn_detection=TurnDetection(create_response=False))
        async with conversation(bounds=Bounds(events_out=16), config=config) as talk:
            talk.reads_s = 600
            talk.do(RetrieveItem("first"))
            for _ in range(8):
                await talk.speak(400)
                await talk.silence(700)
            assert (await talk.until(SessionEnded, within=700)).reason == "slow_client"
        assert counted("clients.slow") == before + 1

    run(talk_once())


def test_audio_waits_when_too_much_is_unheard() -> None:
    async def talk_once() -> None:
        async with conversation(bounds=Bounds(audio_in_bytes=100_000)) as talk:
            second = AppendAudio(tone(1000, RATE))
            await talk.session.hear(second)
            await talk.session.hear(second)
            third = asyncio.ensure_future(talk.session.hear(second))
            done, _ = await asyncio.wait([third], timeout=0)
            assert not done
            await third

    run(talk_once())


def test_side_responses_are_bounded() -> None:
    async def talk_once() -> None:
        before = counted("overloaded", "side_responses")
        llm = ScriptedLLM(["Yes."], first_s=1)
        async with conversation(llm=llm, bounds=Bounds(side_responses=2), config=TEXT) as talk:
            for _ in range(3):
                talk.do(BESIDE)
            error = await talk.until(ErrorOccurred)
            assert (error.code, error.event_id) == ("rate_limit_exceeded", "beside")
            await asyncio.sleep(5)
            assert len(talk.all(ResponseDone)) == 2
            talk.do(BESIDE)
            await talk.until(ResponseDone)
        assert counted("overloaded", "side_responses") == before + 1

    run(talk_once())


def test_the_oldest_items_leave() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Yes."])
        async with conversation(llm=llm, bounds=Bounds(conversation_items=5), config=TEXT) as talk:
            for n in range(20):
                talk.do(CreateItem(MessageItem(f"mine_{n}", "user", (Content("text", text=str(n)),))))
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
            assert [m.text for m in llm.asked[0].messages[1:]] == ["15", "16", "17", "18", "19"]

    run(talk_once())


def test_the_oldest_items_leave_when_all_their_words_are_too_many() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Yes."])
        async with conversation(llm=llm, bounds=Bounds(conversation_chars=25), config=TEXT) as talk:
            talk.do(CreateItem(CallItem("call", "c1", "look", "x" * 20)))
            talk.do(CreateItem(CallOutputItem("output", "c1", "y" * 20)))
            for n in range(4):
                talk.do(CreateItem(MessageItem(f"mine_{n}", "user", (Content("text", text=str(n) * 10),))))
            talk.do(RetrieveItem("mine_1"))
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
            assert [m.text for m in llm.asked[0].messages[1:]] == ["2" * 10, "3" * 10]
            assert [e.code for e in talk.all(ErrorOccurred)] == ["item_retrieve_invalid_item_id"]

    run(talk_once())


def test_an_item_that_alone_has_too_many_words_stays() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Yes."])
        async with conversation(llm=llm, bounds=Bounds(conversation_chars=5), config=TEXT) as talk:
            talk.do(CreateItem(MessageItem("mine", "user", (Content("text", text="x" * 10),))))
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
            assert [m.text for m in llm.asked[0].messages[1:]] == ["x" * 10]

    run(talk_once())


def test_an_end_in_the_middle_of_a_reply_leaves_what_was_heard_on_record() -> None:
    async def talk_once() -> None:
        talk: Talk
        async with conversation(llm=ScriptedLLM([COUNTING], tokens_per_s=100)) as talk:
            await talk.speak(600)
            await talk.until_while_silent(AudioOut)
            await asyncio.sleep(1)
        done = talk.all(ResponseDone)[0]
        assert (done.status, done.reason) == ("cancelled", "client_cancelled")
        spoken = [r for r in talk.journal.records if isinstance(r, ItemRecorded) and r.role == "assistant"]
        assert spoken[-1].interrupted
        assert 900 <= (spoken[-1].heard_ms or 0) <= 1400
        (trace,) = [r.trace for r in talk.journal.records if isinstance(r, TurnRecorded)]
        assert trace.end_reason == "session_closed"
        assert len(talk.all(TurnClosed)) == 1

    run(talk_once())


def test_a_long_session_stays_small() -> None:
    """Two hundred turns, every other one interrupted: nothing in the session grows with them."""

    async def talk_once() -> None:
        llm = ScriptedLLM([COUNTING], tokens_per_s=500)
        bounds = Bounds(conversation_items=20, session_s=100_000)
        async with conversation(llm=llm, stt=ScriptedSTT(["more"], final_s=0.05), bounds=bounds) as talk:
            sizes = []
            for turn in range(60):
                await talk.session.hear(AppendAudio(Audio(tone(300, RATE).pcm + Audio.silence(900, RATE).pcm, RATE)))
                await talk.until(ResponseStarted)
                await asyncio.sleep(2 if turn % 2 else 60)
                if turn >= 20:
                    sizes.append(size_of(talk))
                talk.heard.clear()
                talk.journal.records.clear()
                talk._seen = 0
            assert max(sizes[20:]) <= max(sizes[:20])

    run(talk_once())


def size_of(talk: Talk) -> int:
    """How many things the session and its listening hold, in all their collections."""
    session = talk.session
    parts = [session, session._listening, session._conversation, session._outbox, session._listening._tail]
    held = [value for part in parts for value in vars(part).values()]
    sizes = [len(value) for value in held if isinstance(value, dict | set | list) or hasattr(value, "popleft")]
    return sum(sizes) + len(asyncio.all_tasks())


def test_commits_that_come_faster_than_words_wait_for_theirs() -> None:
    async def talk_once() -> None:
        stt = Counting(["word"], final_s=1.0)
        async with conversation(stt=stt, config=SessionConfig(turn_detection=TurnDetection(type="none"))) as talk:
            for _ in range(20):
                await talk.session.hear(AppendAudio(tone(300, RATE)))
                await talk.session.hear(CommitAudio())
            for _ in range(20):
                await talk.until(AudioCommitted)
            await asyncio.sleep(10)
            assert (stt.most, stt.calls) == (TRANSCRIPTIONS, 20)

    run(talk_once())


class Counting(ScriptedSTT):
    """Knows how many asked at once."""

    now = most = 0

    async def _transcribe(
        self, audio: AsyncIterator[Audio], marks: TurnMarks, call: int
    ) -> AsyncGenerator[Transcript, None]:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            async for transcript in super()._transcribe(audio, marks, call):
                yield transcript
        finally:
            self.now -= 1


def test_clears_without_end_at_once_end_no_session() -> None:
    async def talk_once() -> None:
        async with conversation(bounds=Bounds(inbox_messages=16)) as talk:
            await talk.session.hear(AppendAudio(tone(100, RATE)))
            for _ in range(200):
                await talk.session.hear(ClearAudio())
            for _ in range(200):
                await talk.until(AudioCleared)
            assert not talk.all(SessionEnded)

    run(talk_once())
