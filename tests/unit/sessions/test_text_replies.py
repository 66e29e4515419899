"""Answers in words on virtual time: made, followed, cancelled, kept and forgotten."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from agents.errors import ContextFull, Overloaded, ProviderError
from agents.interfaces import Brain, BrainOutput, Finish, Message, ReplyRequest, TextDelta, Toolbox, ToolCall, Usage
from agents.providers.scripted import Fault, ScriptedLLM
from sessions.errors import UnknownResponse
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.records import ItemRecorded, SessionClosed, SessionOpened, TurnRecorded
from sessions.protocols.responses_answers import ResponseWriter
from sessions.protocols.responses_requests import ResponseRequest
from sessions.protocols.text_requests import TextRequest
from sessions.text_records import TextSession
from sessions.text_replies import KEEP_ALIVE, TextOrder, TextReplies, TextReply
from telemetry import counters
from telemetry.trace import TurnMarks
from tests import virtual_time
from tests.scenario import Kept, make_agent

WORDS = "One two three four five six seven eight nine ten."
ME = "key-1"


@dataclass
class Desk:
    """Where answers are ordered: `ask` begins one, by the next scripted brain or `brain`."""

    replies: TextReplies
    journal: Kept
    brain: Brain | None
    llm: ScriptedLLM | None
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    held: list[str] = field(default_factory=list)

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self.ids)}"

    def session(self) -> TextSession:
        clock = asyncio.get_running_loop().time
        spec = make_agent().spec
        return TextSession(
            spec, principal="server", journal=self.journal, trace_key=b"key", new_id=self.new_id, items=9, clock=clock
        )

    async def ask(
        self,
        text: str = "Hello there?",
        *,
        owner: str = ME,
        stored: bool = True,
        one_call: bool = False,
        session: TextSession | None = None,
        asked_bytes: int = 0,
    ) -> TextReply:
        reply_id = self.new_id("resp")
        request = TextRequest(messages=(Message("user", text),), instructions="", one_call=one_call)
        asked = ResponseRequest(input=text)
        writer = ResponseWriter(reply_id, asked, model="m", created=1, refused=(), new_id=self.new_id)
        order = TextOrder(
            reply_id=reply_id,
            owner=owner,
            request=request,
            writer=writer,
            session=session or self.session(),
            stored=stored,
            asked_bytes=asked_bytes,
        )
        async with AsyncExitStack() as stack:
            self.held.append(reply_id)
            stack.callback(self.held.remove, reply_id)
            return self.replies.start(order, make_agent(brain=self.brain, llm=self.llm), stack)


@asynccontextmanager
async def desk(
    llm: ScriptedLLM | None = None, brain: Brain | None = None, bounds: Bounds | None = None
) -> AsyncIterator[Desk]:
    """Everything that was held is let go in the end, however it ends."""
    async with asyncio.TaskGroup() as group:
        replies = TextReplies(group, bounds or Bounds())
        one = Desk(replies, Kept(), brain, llm or ScriptedLLM([WORDS], first_s=0.5, tokens_per_s=10))
        yield one
        replies.end()
    assert one.held == []
    assert len(replies) == 0


def on_desk(test: Callable[[Desk], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with desk(**options) as one:
            await test(one)

    virtual_time.run(run())


def events(frames: list[bytes]) -> list[dict[str, Any]]:
    lines = b"".join(frames).decode().split("\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def all_of(reply: TextReply, after: int = -1) -> list[bytes]:
    return [frame async for frame in reply.follow(after)]


class Said:
    """A brain of `outputs`; an exception among them is raised. `closed` is when it was closed."""

    def __init__(self, *outputs: BrainOutput | BaseException | float) -> None:
        self._outputs = outputs
        self.closed: float | None = None

    async def reply(self, request: ReplyRequest, tools: Toolbox, marks: TurnMarks) -> AsyncGenerator[BrainOutput, None]:
        try:
            for output in self._outputs:
                if isinstance(output, BaseException):
                    raise output
                if isinstance(output, float):
                    await asyncio.sleep(output)
                else:
                    yield output
        finally:
            self.closed = asyncio.get_running_loop().time()


class TestFollowing:
    def test_words_come_when_they_are_thought_of(self) -> None:
        async def test(d: Desk) -> None:
            reply = await d.ask()
            now = asyncio.get_running_loop().time
            times = [round(now(), 2) async for frame in reply.follow() if b"output_text.delta" in frame]
            assert times == [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4]

        on_desk(test)

    def test_a_reader_who_comes_later_gets_the_same_from_where_it_says(self) -> None:
        async def test(d: Desk) -> None:
            reply = await d.ask()
            whole = asyncio.create_task(all_of(reply))
            await asyncio.sleep(0.95)
            late = asyncio.create_task(all_of(reply, after=5))
            frames = await whole
            assert b"".join(frames) == b"".join(await all_of(reply))
            assert events(await late) == events(frames)[6:]
            assert await all_of(reply, after=1_000) == []

        on_desk(test)

    def test_a_reader_who_dawdles_does_not_hold_the_brain_back(self) -> None:
        async def test(d: Desk) -> None:
            reply = await d.ask()
            async with aclosing(reply.follow()) as frames:
                read = [await anext(frames)]
                await reply.wait()
                assert asyncio.get_running_loop().time() == pytest.approx(1.4)
                read += [frame async for frame in frames]
            assert [event["sequence_number"] for event in events(read)] == list(range(18))

        on_desk(test)

    def test_while_nothing_comes_there_are_comments(self) -> None:
        async def test(d: Desk) -> None:
            frames = await all_of(await d.ask())
            assert frames.count(KEEP_ALIVE) == 2
            assert len(events(frames)) == 9

        on_desk(test, brain=Said(35.0, TextDelta("Well.")))


class TestEnding:
    def test_usage_and_words_are_kept_as_a_turn_of_text(self) -> None:
        async def test(d: Desk) -> None:
            reply = await d.ask()
            await reply.wait()
            opened, user, agent, turn, closed = d.journal.records
            assert isinstance(opened, SessionOpened)
            assert (opened.transport, opened.principal, opened.agent) == ("http", "server", "scripted")
            assert isinstance(user, ItemRecorded)
            assert isinstance(agent, ItemRecorded)
            assert (user.role, user.text, agent.role, agent.text) == ("user", "Hello there?", "assistant", WORDS)
            assert isinstance(turn, TurnRecorded)
            assert (turn.trace.kind, turn.trace.end_reason, turn.trace.index) == ("text", "completed", 0)
            assert turn.trace.facts["output_tokens"] == 10
            assert turn.trace.latencies["llm_ttft"] == 500_000
            assert isinstance(closed, SessionClosed)

        on_desk(test)

    def test_answers_that_go_on_from_each_other_are_turns_of_one_session(self) -> None:
        async def test(d: Desk) -> None:
            first = await d.ask()
            await first.wait()
            for reply in [await d.ask("And?", session=first.session), await d.ask("Or?", session=first.session)]:
                await reply.wait()
            turns = [record.trace for record in d.journal.records if isinstance(record, TurnRecorded)]
            assert [turn.index for turn in turns] == [0, 1, 2]
            assert len({turn.session_id for turn in turns}) == 1
            items = [record for record in d.journal.records if isinstance(record, ItemRecorded)]
            assert [item.index for item in items] == list(range(6))

        on_desk(test)

    def test_the_session_is_closed_when_the_last_of_them_has_ended(self) -> None:
        """The journal keeps the words of open sessions only."""

        async def test(d: Desk) -> None:
            session = d.session()
            first = await d.ask("Quick?", session=session)
            await asyncio.sleep(0.2)
            second = await d.ask("Slow?", session=session)
            await first.wait()
            assert [type(record) for record in d.journal.records].count(SessionClosed) == 0
            await second.wait()
            assert isinstance(d.journal.records[-1], SessionClosed)
            third = await d.ask("Later?", session=session)
            await third.wait()
            assert [type(record) for record in d.journal.records].count(SessionClosed) == 2

        on_desk(test)

    def test_cancelled_it_stops_at_once(self) -> None:
        brain = Said(TextDelta("One "), 60.0, TextDelta("two."))

        async def test(d: Desk) -> None:
            reply = await d.ask()
            reading = asyncio.create_task(all_of(reply))
            await asyncio.sleep(1)
            reply.cancel()
            reply.cancel()
            await reply.wait()
            assert brain.closed == 1
            assert reply.outcome is not None
            assert reply.outcome.status == "cancelled"
            last = events(await reading)[-1]
            assert (last["type"], last["response"]["status"]) == ("response.incomplete", "cancelled")
            (turn,) = [record for record in d.journal.records if isinstance(record, TurnRecorded)]
            assert turn.trace.end_reason == "cancelled"

        on_desk(test, brain=brain)

    @pytest.mark.parametrize("outputs", [(TextDelta("One "), ToolCall("c", "f", "{}"), Usage(1, 2)), ()])
    def test_cancelled_at_any_moment_it_has_one_end_and_every_reader_sees_it(
        self, outputs: Sequence[BrainOutput]
    ) -> None:
        """Also in the very moment in which it ends, and for readers who come back then."""
        ends = set()

        async def cancelled_after(steps: int) -> None:
            async with desk(brain=Said(*outputs)) as d:
                reply = await d.ask()
                readers = [asyncio.create_task(all_of(reply))]
                for step in range(steps):
                    readers.append(asyncio.create_task(all_of(reply, after=step)))
                    await asyncio.sleep(0)
                reply.cancel()
                await reply.wait()
                readers.append(asyncio.create_task(all_of(reply, after=1)))
                whole, *rest = [events(await reader) for reader in readers]
                status = str(reply.shown()["status"])
                assert [event["sequence_number"] for event in whole] == list(range(len(whole)))
                assert [event["response"]["status"] for event in whole if "response" in event][2:] == [status]
                assert all(read == whole[len(whole) - len(read) :] for read in rest)
                assert rest[-1] == whole[2:]
                assert sum(isinstance(record, TurnRecorded) for record in d.journal.records) == 1
                ends.add(status)

        for steps in range(12):
            virtual_time.run(cancelled_after(steps))
        assert ends == {"cancelled", "completed"}

    def test_cancelled_before_it_has_begun_it_never_asks_the_brain(self) -> None:
        llm = ScriptedLLM([WORDS])

        async def test(d: Desk) -> None:
            reply = await d.ask()
            reply.cancel()
            await reply.wait()
            kinds = [event["type"] for event in events(await all_of(reply))]
            assert kinds == ["response.created", "response.in_progress", "response.incomplete"]
            assert llm.calls == 0

        on_desk(test, llm=llm)

    def test_when_the_process_ends_it_fails(self) -> None:
        async def test(d: Desk) -> None:
            reply = await d.ask()
            await asyncio.sleep(0.6)
            d.replies.end()
            await asyncio.wait(d.replies.tasks, timeout=1)
            assert reply.outcome is not None
            assert reply.outcome.fault is not None
            assert reply.outcome.fault.status == 503

        on_desk(test)

    @pytest.mark.parametrize(
        ("brain", "status", "words"),
        [
            (Said(ProviderError("It broke.", provider="lab")), 502, "It broke."),
            (Said(TextDelta("One"), ProviderError("It broke.", provider="lab")), 502, "It broke."),
            (Said(ContextFull("It is too long.")), 400, "too long"),
            (Said(TextDelta("One"), 999.0), 504, "stopped moving"),
            (Said(*(TextDelta("One"), 60.0) * 20), 504, "took too long"),
        ],
    )
    def test_faults_of_providers(self, brain: Said, status: int, words: str) -> None:
        async def test(d: Desk) -> None:
            reply = await d.ask()
            await reply.wait()
            assert reply.outcome is not None
            assert reply.outcome.fault is not None
            assert reply.outcome.fault.status == status
            assert words in reply.outcome.fault.message
            assert brain.closed is not None

        on_desk(test, brain=brain)

    def test_a_bug_is_logged_once_and_told_to_nobody(self, caplog: pytest.LogCaptureFixture) -> None:
        async def test(d: Desk) -> None:
            reply = await d.ask()
            await reply.wait()
            last = events(await all_of(reply))[-1]
            assert last["type"] == "response.failed"
            assert "canary" not in json.dumps(last)
            d.brain = None
            after = await d.ask()
            await after.wait()
            assert after.shown()["status"] == "completed"

        with caplog.at_level(logging.ERROR):
            on_desk(test, brain=Said(KeyError("canary")))
        assert [record.message for record in caplog.records] == ["text reply failed"]

    def test_one_call_at_a_time_for_who_wants_it_so(self) -> None:
        calls = [ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}")]

        async def test(d: Desk) -> None:
            for one_call, count in ((True, 1), (False, 2)):
                reply = await d.ask(one_call=one_call)
                await reply.wait()
                assert len(reply.said.calls) == count

        on_desk(test, llm=ScriptedLLM([calls]))

    def test_calls_have_ids_that_clients_can_use(self) -> None:
        calls = [
            ToolCall("a", "f", "{}"),
            ToolCall("a", "g", "{}"),
            ToolCall("", "f", "{}"),
            ToolCall("x" * 99, "f", "{}"),
        ]

        async def test(d: Desk) -> None:
            reply = await d.ask()
            await reply.wait()
            ids = [call.id for call in reply.said.calls]
            assert ids[0] == "a"
            assert len(set(ids)) == 4
            assert all(0 < len(call_id) <= 32 for call_id in ids)

        on_desk(test, llm=ScriptedLLM([calls]))

    def test_a_limit_of_tokens(self) -> None:
        async def test(d: Desk) -> None:
            reply = await d.ask()
            await reply.wait()
            assert reply.shown()["incomplete_details"] == {"reason": "max_output_tokens"}
            assert reply.outcome is not None
            assert reply.outcome.usage == Usage(1, 2)

        on_desk(test, brain=Said(TextDelta("One"), Usage(1, 2), Finish("length")))


def refusals() -> float:
    return counters.snapshot().get(("overloaded", "text_replies"), 0)


class TestBounds:
    def test_an_answer_has_so_many_bytes(self) -> None:
        brain = Said(*[TextDelta("word ")] * 10_000)

        async def test(d: Desk) -> None:
            reply = await d.ask()
            await reply.wait()
            assert reply.outcome is not None
            assert (reply.outcome.status, reply.outcome.reason) == ("incomplete", "max_output_tokens")
            assert 20 < len(reply.said.text.split()) < 100
            assert brain.closed is not None

        on_desk(test, brain=brain, bounds=Bounds(text_reply_bytes=10_000))

    def test_so_many_are_made_at_once(self) -> None:
        before = refusals()

        async def test(d: Desk) -> None:
            first, _ = await d.ask(), await d.ask()
            with pytest.raises(Overloaded):
                await d.ask()
            await first.wait()
            await asyncio.sleep(0)
            await d.ask()
            assert refusals() == before + 1

        on_desk(test, bounds=Bounds(text_replies=2))

    def test_they_are_kept_for_a_while(self) -> None:
        async def test(d: Desk) -> None:
            reply = await d.ask()
            assert d.replies.get(reply.id, ME) is reply
            await reply.wait()
            await asyncio.sleep(59)
            assert d.replies.get(reply.id, ME) is reply
            await asyncio.sleep(2)
            with pytest.raises(UnknownResponse):
                d.replies.get(reply.id, ME)

        on_desk(test, bounds=Bounds(text_stored_s=60))

    @pytest.mark.parametrize("bounds", [Bounds(text_stored=2), Bounds(text_stored_bytes=13_000)])
    def test_the_oldest_go_first(self, bounds: Bounds) -> None:
        async def test(d: Desk) -> None:
            made = [await d.ask() for _ in range(3)]
            for reply in made:
                await reply.wait()
            await asyncio.sleep(0)
            assert 4_000 < made[0].size < 6_000
            with pytest.raises(UnknownResponse):
                d.replies.get(made[0].id, ME)
            assert [d.replies.get(reply.id, ME) for reply in made[1:]] == made[1:]

        on_desk(test, bounds=bounds)

    @pytest.mark.parametrize("bounds", [Bounds(text_stored=4), Bounds(text_stored_bytes=110_000)])
    def test_who_stores_much_loses_nobody_elses(self, bounds: Bounds) -> None:
        async def test(d: Desk) -> None:
            made = []
            for owner in (ME, *["key-2"] * 9):
                made.append(await d.ask(owner=owner, asked_bytes=20_000))
                await made[-1].wait()
            await asyncio.sleep(0)
            mine, *theirs = made
            assert d.replies.get(mine.id, ME) is mine
            for gone in theirs[:-3]:
                with pytest.raises(UnknownResponse):
                    d.replies.get(gone.id, "key-2")
            assert [d.replies.get(reply.id, "key-2") for reply in theirs[-3:]] == theirs[-3:]

        on_desk(test, bounds=bounds)

    def test_what_is_larger_than_all_that_may_be_kept_takes_the_place_of_its_owners_only(self) -> None:
        async def test(d: Desk) -> None:
            other, huge = await d.ask(owner="key-2"), await d.ask(asked_bytes=1_000_000)
            for reply in (other, huge):
                await reply.wait()
            await asyncio.sleep(0)
            assert d.replies.get(other.id, "key-2") is other
            with pytest.raises(UnknownResponse):
                d.replies.get(huge.id, ME)

        on_desk(test, bounds=Bounds(text_stored_bytes=100_000))

    def test_what_was_asked_counts_too(self) -> None:
        async def test(d: Desk) -> None:
            made = [await d.ask(asked_bytes=20_000) for _ in range(2)]
            for reply in made:
                await reply.wait()
            await asyncio.sleep(0)
            with pytest.raises(UnknownResponse):
                d.replies.get(made[0].id, ME)
            assert d.replies.get(made[1].id, ME) is made[1]

        on_desk(test, bounds=Bounds(text_stored_bytes=40_000))

    def test_nobody_gets_at_what_is_not_stored_or_somebody_elses(self) -> None:
        async def test(d: Desk) -> None:
            unstored, others = await d.ask(stored=False), await d.ask(owner="key-2")
            for reply in (unstored, others):
                with pytest.raises(UnknownResponse):
                    d.replies.get(reply.id, ME)

        on_desk(test)

    def test_what_may_be_referred_to_is_what_its_owner_can_read(self) -> None:
        async def test(d: Desk) -> None:
            mine, others, unstored = await d.ask(), await d.ask(owner="key-2"), await d.ask(stored=False)
            assert d.replies.items(ME) == {}
            for reply in (mine, others, unstored):
                await reply.wait()
            (item,) = mine.items
            assert d.replies.items(ME) == {item["id"]: item}
            await asyncio.sleep(0)
            assert d.replies.items(ME) == {item["id"]: item}
            d.replies.forget(mine)
            assert d.replies.items(ME) == {}

        on_desk(test)

    def test_forgotten_it_stops_too(self) -> None:
        async def test(d: Desk) -> None:
            at_work, done = await d.ask(), await d.ask()
            await asyncio.sleep(0.6)
            d.replies.forget(at_work)
            await at_work.wait()
            assert at_work.shown()["status"] == "cancelled"
            await done.wait()
            await asyncio.sleep(0)
            d.replies.forget(done)
            for reply in (at_work, done):
                with pytest.raises(UnknownResponse):
                    d.replies.get(reply.id, ME)

        on_desk(test)


def test_a_scripted_fault_is_a_provider_error() -> None:
    async def test(d: Desk) -> None:
        reply = await d.ask()
        await reply.wait()
        assert reply.shown()["status"] == "failed"

    on_desk(test, llm=ScriptedLLM([WORDS], fault=Fault("fail")))
