"""A retriever over passages that a test writes down, and tools that note who called them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from agents.errors import ToolError
from agents.interfaces import Passage, ToolCall, ToolResult, ToolSpec
from telemetry.trace import TurnMarks


class Library:
    """Finds for each question what `answers` has for the first of its keys that is in it."""

    def __init__(self, answers: Mapping[str, Sequence[Passage]]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    async def search(self, text: str, k: int) -> list[Passage]:
        self.asked.append(text)
        found = next((passages for key, passages in self._answers.items() if key in text.lower()), [])
        return list(found)[:k]


Answer = str | ToolError | Callable[[ToolCall], ToolResult]


class NotedTools:
    """Server tools that answer as told after `delay_s`, and client tools. `ran` and `running` tell what happened."""

    def __init__(
        self, server: Mapping[str, Answer] | None = None, client: Sequence[str] = (), *, delay_s: float = 0.0
    ) -> None:
        self._server = dict(server or {})
        self._client = client
        self._delay_s = delay_s
        self.ran: list[ToolCall] = []
        self.running = 0
        self.most_running = 0

    def specs(self) -> Sequence[ToolSpec]:
        return [ToolSpec(name, "") for name in (*self._server, *self._client)]

    def on_server(self, name: str) -> bool:
        return name in self._server

    async def run(self, call: ToolCall, marks: TurnMarks) -> ToolResult:
        self.ran.append(call)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self._delay_s)
        finally:
            self.running -= 1
        match self._server.get(call.name, ToolError(f"There is no tool {call.name} on the server.")):
            case ToolError() as error:
                raise error
            case str() as text:
                return ToolResult(text)
            case answer:
                return answer(call)
