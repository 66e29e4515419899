"""Requests of a conversation extend one another, so that a server reads only what is new."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

from agents.brain.llm_brain import LLMBrain
from agents.interfaces import BrainOutput, ReplyRequest, TextDelta, Toolbox, ToolCall, ToolResult, ToolSpec, Usage
from agents.providers.openai_compatible.messages import chat_messages, chat_tools
from agents.providers.scripted import Asked, ScriptedLLM, ScriptedSTT
from agents.tools.schema import Arguments
from agents.tools.toolbox import AgentToolbox, ServerTool
from sessions.pipeline.messages import (
    AudioOut,
    Content,
    CreateItem,
    CreateResponse,
    MessageItem,
    ResponseDone,
    TruncateItem,
    TurnClosed,
)
from telemetry.trace import TurnMarks
from tests.scenario import Talk, conversation, make_agent
from tests.virtual_time import run

LONG = "Well, let me tell you all about it, one thing after the other. " * 8


async def look(call_id: str, arguments: Mapping[str, Any]) -> ToolResult:
    return ToolResult("seven")


def extends(later: Asked, earlier: Asked) -> bool:
    before, after = chat_messages(earlier.messages), chat_messages(later.messages)
    same_head = chat_tools(later.tools) == chat_tools(earlier.tools) and later.options.cache_key
    return bool(same_head) and later.options.cache_key == earlier.options.cache_key and after[: len(before)] == before


async def ask(talk: Talk) -> None:
    await talk.speak(600)
    await talk.until_while_silent(ResponseDone)
    await talk.silence(3_000)


def test_each_request_begins_with_the_one_before_it() -> None:
    async def talk_once() -> None:
        spec = ToolSpec("look", "Looks.", {"type": "object"}, True)
        tools = [ServerTool(spec, Arguments("look", spec.parameters), look, 5.0)]
        llm = ScriptedLLM(["One, yes.", [ToolCall("a", "look", "{}")], "Seven.", LONG, "So be it."], tokens_per_s=50)
        agent = make_agent(llm=llm, stt=ScriptedSTT(["First?", "Second?", "Third?", "Stop.", "Fifth?"]))
        agent = replace(agent, brain=LLMBrain(llm, agent.spec), toolbox=partial(AgentToolbox, tools))
        async with conversation(agent) as talk:
            await ask(talk)
            await ask(talk)
            await talk.speak(600)
            await talk.until_while_silent(AudioOut)
            await talk.silence(1_500)
            await talk.speak(600)  # an interruption: what was heard is what stays
            cut_off = await talk.until_while_silent(ResponseDone)
            assert cut_off.reason == "turn_detected"
            message = cut_off.output[0]
            talk.do(TruncateItem(message.id, 900))
            await talk.until_while_silent(ResponseDone)
            talk.do(CreateItem(MessageItem("typed", "user", (Content("text", text="Sixth?"),))))
            talk.do(CreateResponse())
            await talk.until_while_silent(ResponseDone)
        asked = list(llm.asked)
        assert len(asked) == 6
        assert [extends(later, earlier) for earlier, later in pairwise(asked)] == [True] * 5

    run(talk_once())


class Remembering:
    """A brain whose server had read most of the prompt before."""

    async def reply(self, request: ReplyRequest, tools: Toolbox, marks: TurnMarks) -> AsyncGenerator[BrainOutput, None]:
        yield TextDelta("Yes.")
        yield Usage(1_200, 3, 1_024)


def test_what_the_server_had_read_before_is_in_the_trace() -> None:
    async def talk_once() -> None:
        async with conversation(brain=Remembering()) as talk:
            await talk.speak(600)
            closed = await talk.until_while_silent(TurnClosed)
            assert closed.trace["facts"]["cached_tokens"] == 1_024

    run(talk_once())
