"""A brain that passes on what its LLM says, without tools or retrieval of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from agents.errors import ToolError
from agents.interfaces import LLM, BrainOutput, Message, ReplyRequest, Toolbox, ToolCall, ToolResult, ToolSpec
from telemetry.trace import TurnMarks


class PlainBrain:
    def __init__(self, llm: LLM) -> None:
        self._llm = llm

    async def reply(self, request: ReplyRequest, tools: Toolbox, marks: TurnMarks) -> AsyncGenerator[BrainOutput, None]:
        messages = [Message("system", request.instructions), *request.messages]
        async with aclosing(self._llm.complete(messages, tools.specs(), request.options, marks)) as outputs:
            async for output in outputs:
                yield output


class ClientToolbox:
    """Only the client's tools."""

    def __init__(self, tools: Sequence[ToolSpec]) -> None:
        self._tools = tools

    def specs(self) -> Sequence[ToolSpec]:
        return self._tools

    def on_server(self, name: str) -> bool:
        return False

    async def run(self, call: ToolCall, marks: TurnMarks) -> ToolResult:
        raise ToolError(f"no tool {call.name}")
