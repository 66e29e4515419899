"""A response that was cancelled says nothing more, whatever its models do in that very moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from agents.errors import ProviderError
from agents.interfaces import BrainOutput, ReplyRequest, Toolbox, ToolCall
from sessions.pipeline.messages import CancelResponse, CreateResponse, OutputStarted, ResponseDone, ResponseStarted
from telemetry.trace import TurnMarks
from tests.scenario import conversation, make_agent
from tests.virtual_time import run


class CallsAtOnce:
    """Calls a tool of the client's when told to."""

    def __init__(self) -> None:
        self.now = asyncio.Event()

    async def reply(self, request: ReplyRequest, tools: Toolbox, marks: TurnMarks) -> AsyncGenerator[BrainOutput, None]:
        await self.now.wait()
        yield ToolCall("call_1", "look", "{}")


class FailsWhenLeft:
    """A connection that breaks just as it is given up."""

    async def reply(self, request: ReplyRequest, tools: Toolbox, marks: TurnMarks) -> AsyncGenerator[BrainOutput, None]:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            raise ProviderError("The connection broke.", provider="llm") from None
        yield ToolCall("call_1", "look", "{}")


def test_a_call_that_comes_with_the_cancel_is_not_announced() -> None:
    async def talk_once() -> None:
        brain = CallsAtOnce()
        async with conversation(make_agent(brain=brain)) as talk:
            talk.do(CreateResponse())
            await talk.until(ResponseStarted)
            await asyncio.sleep(0.1)
            talk.do(CancelResponse())
            brain.now.set()
            await talk.until(ResponseDone)
            await asyncio.sleep(5)
            assert not talk.all(OutputStarted)

    run(talk_once())


def test_a_model_that_fails_at_the_cancel_is_not_apologised_for() -> None:
    async def talk_once() -> None:
        async with conversation(make_agent(brain=FailsWhenLeft(), apology="Sorry about that.")) as talk:
            talk.do(CreateResponse())
            await talk.until(ResponseStarted)
            await asyncio.sleep(0.1)
            talk.do(CancelResponse())
            assert (await talk.until(ResponseDone)).status == "cancelled"
            await asyncio.sleep(5)
            assert not talk.all(OutputStarted)

    run(talk_once())
