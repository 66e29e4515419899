from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from agents.interfaces import (
    LLM,
    CompletionOptions,
    LLMOutput,
    Message,
    TextDelta,
    ToolCall,
    ToolSpec,
    Usage,
)
from telemetry.trace import TurnMarks
from tests.contract.remote.providers import CALL, LLMS, REPLY, LLMCase, Surroundings, settle

HISTORY = [Message("system", "You are terse."), Message("user", "What time is it?")]
TOOL = ToolSpec(CALL.name, "The time in a zone.", {"type": "object", "properties": {"zone": {"type": "string"}}})


def ask(
    llm: LLM, marks: TurnMarks, history: Sequence[Message] = HISTORY, tools: Sequence[ToolSpec] = ()
) -> AsyncGenerator[LLMOutput, None]:
    return llm.complete(history, tools, CompletionOptions(), marks)


@pytest.mark.parametrize("case", LLMS, ids=str)
class TestLLM:
    async def test_text_comes_in_pieces_that_join_to_the_reply(self, case: LLMCase, around: Surroundings) -> None:
        outputs = [output async for output in ask(case.make(around), TurnMarks(time.monotonic))]
        texts = [output.text for output in outputs if isinstance(output, TextDelta)]
        assert len(texts) > 1
        assert "".join(texts) == REPLY

    async def test_usage_comes_last_if_at_all(self, case: LLMCase, around: Surroundings) -> None:
        outputs = [output async for output in ask(case.make(around), TurnMarks(time.monotonic))]
        usages = [n for n, output in enumerate(outputs) if isinstance(output, Usage)]
        assert usages in ([], [len(outputs) - 1])

    async def test_moments_are_stamped_in_order(self, case: LLMCase, around: Surroundings) -> None:
        marks = TurnMarks(time.monotonic)
        async for _ in ask(case.make(around), marks):
            pass
        moments = [marks.at[f"llm[0].{name}"] for name in ("request_sent", "first_chunk", "first_token", "end")]
        assert moments == sorted(moments)
        assert moments[-1] > moments[0]
        assert marks.facts["llm_model"]

    async def test_a_tool_call_comes_whole(self, case: LLMCase, around: Surroundings) -> None:
        outputs = [o async for o in ask(case.make_caller(around), TurnMarks(time.monotonic), tools=[TOOL])]
        (call,) = [output for output in outputs if isinstance(output, ToolCall)]
        assert call.id
        assert call.name == CALL.name
        assert json.loads(call.arguments) == json.loads(CALL.arguments)

    async def test_a_tool_result_is_answered_in_words(self, case: LLMCase, around: Surroundings) -> None:
        llm = case.make_caller(around)
        asked = [output async for output in ask(llm, TurnMarks(time.monotonic), tools=[TOOL])]
        (call,) = [output for output in asked if isinstance(output, ToolCall)]
        history = [*HISTORY, Message("assistant", "", calls=(call,)), Message("tool", "09:15", call_id=call.id)]
        outputs = [output async for output in ask(llm, TurnMarks(time.monotonic), history, [TOOL])]
        assert "".join(output.text for output in outputs if isinstance(output, TextDelta)) == REPLY

    async def test_closing_early_leaves_nothing_running(self, case: LLMCase, around: Surroundings) -> None:
        before = asyncio.all_tasks()
        async with aclosing(ask(case.make(around), TurnMarks(time.monotonic))) as outputs:
            async for _ in outputs:
                break
        await settle()
        assert asyncio.all_tasks() == before

    async def test_cancelling_leaves_nothing_running(self, case: LLMCase, around: Surroundings) -> None:
        async def consume() -> None:
            async for _ in ask(case.make(around), TurnMarks(time.monotonic)):
                await asyncio.sleep(1)

        before = asyncio.all_tasks()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(consume(), 0.005)
        await settle()
        assert asyncio.all_tasks() == before

    async def test_calls_do_not_disturb_each_other(self, case: LLMCase, around: Surroundings) -> None:
        llm = case.make(around)

        async def reply() -> str:
            outputs = [output async for output in ask(llm, TurnMarks(time.monotonic))]
            return "".join(output.text for output in outputs if isinstance(output, TextDelta))

        assert await asyncio.gather(*(reply() for _ in range(4))) == [REPLY] * 4
