"""The tools of one session, behind one interface."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agents.errors import ConfigurationError, ToolError
from agents.interfaces import Toolbox, ToolCall, ToolResult, ToolSpec
from agents.spec import ToolRef
from agents.tools.builtin import BUILTINS
from agents.tools.schema import Arguments
from agents.tools.webhook import Webhook
from telemetry.trace import TurnMarks

MAX_RESULT = 16_000
"""Characters of a result that reach the brain; the rest is cut, and the cut is said."""

MAX_AT_ONCE = 8
"""Calls of one toolbox that run at the same time; more wait, on their own time."""

BUILTIN_TIMEOUT_S = 5.0

Outcome = ToolResult | ToolError


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool that runs here. `call` gets the call's id and its arguments, already valid."""

    spec: ToolSpec
    arguments: Arguments
    call: Callable[[str, Mapping[str, Any]], Awaitable[ToolResult]]
    timeout_s: float


def server_tools(
    refs: Sequence[ToolRef], *, secrets: Mapping[str, str], allow_private: bool = False
) -> tuple[ServerTool, ...]:
    """An agent's own tools. `secrets` sign webhooks, by tool name; `allow_private` lets them call private addresses."""
    return tuple(_builtin(ref) if ref.kind == "builtin" else _webhook(ref, secrets, allow_private) for ref in refs)


def _builtin(ref: ToolRef) -> ServerTool:
    try:
        tool = BUILTINS[ref.name]
    except KeyError:
        raise ConfigurationError(f"There is no built-in tool {ref.name}; there are {', '.join(BUILTINS)}.") from None
    spec = replace(tool.spec, description=ref.description) if ref.description else tool.spec

    async def call(_: str, arguments: Mapping[str, Any]) -> ToolResult:
        return await tool.call(arguments)

    return ServerTool(spec, Arguments(ref.name, spec.parameters), call, BUILTIN_TIMEOUT_S)


def _webhook(ref: ToolRef, secrets: Mapping[str, str], allow_private: bool) -> ServerTool:
    spec = ToolSpec(ref.name, ref.description, ref.parameters or {"type": "object", "properties": {}}, ref.side_effects)
    webhook = Webhook(ref.name, ref.url, secrets.get(ref.name, ""), ref.timeout_s, allow_private)
    return ServerTool(spec, Arguments(ref.name, spec.parameters), webhook.call, ref.timeout_s)


class AgentToolbox:
    """A Toolbox of the agent's tools and the client's.

    Where both have a tool of one name, the agent's is kept and the client's is not offered: a client must
    not be able to put itself in the place of a tool the agent's author chose. A call that is cancelled
    stops; `ShieldedToolbox` lets it go on.
    """

    def __init__(self, server: Sequence[ServerTool], client: Sequence[ToolSpec] = ()) -> None:
        self._server = {tool.spec.name: tool for tool in server}
        offered = {spec.name: spec for spec in client if spec.name not in self._server}
        self._specs = (*(tool.spec for tool in self._server.values()), *offered.values())
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)

    def specs(self) -> Sequence[ToolSpec]:
        return self._specs

    def on_server(self, name: str) -> bool:
        return name in self._server

    async def run(self, call: ToolCall, marks: TurnMarks) -> ToolResult:
        """The result of a server tool; its name and the time it took go to `marks` as tool[n]."""
        tool = self._server.get(call.name)
        if tool is None:
            raise ToolError(f"There is no tool {call.name} on the server.")
        arguments = tool.arguments.read(call.arguments)
        try:
            async with asyncio.timeout(tool.timeout_s), self._slots:
                return _bounded(await _timed(call.name, tool.call(call.id, arguments), marks))
        except TimeoutError as error:
            raise ToolError(f"{call.name} took longer than {tool.timeout_s:g} seconds and was stopped.") from error


async def _timed(name: str, work: Awaitable[ToolResult], marks: TurnMarks) -> ToolResult:
    n = marks.number("tool")
    marks.fact(f"tool[{n}].name", name)
    marks.stamp(f"tool[{n}].start")
    try:
        return await work
    finally:
        marks.stamp(f"tool[{n}].end")


def _bounded(result: ToolResult) -> ToolResult:
    if len(result.text) <= MAX_RESULT:
        return result
    return replace(result, text=f"{result.text[:MAX_RESULT]}\n[cut after {MAX_RESULT:,} characters]")


class ShieldedToolbox:
    """A Toolbox whose calls outlive the reply that made them, inside `tasks`, the session's TaskGroup.

    `ended` is told the output of every call, in words, when it ends: it belongs in the history even if
    the reply was interrupted. A call lasts no longer than its tool's timeout. While `outlives` says no, a call stops
    with its reply.
    """

    def __init__(
        self,
        inner: Toolbox,
        tasks: asyncio.TaskGroup,
        ended: Callable[[ToolCall, str], None],
        *,
        outlives: Callable[[], bool] = lambda: True,
    ) -> None:
        self._inner = inner
        self._tasks = tasks
        self._ended = ended
        self._outlives = outlives

    def specs(self) -> Sequence[ToolSpec]:
        return self._inner.specs()

    def on_server(self, name: str) -> bool:
        return self._inner.on_server(name)

    async def run(self, call: ToolCall, marks: TurnMarks) -> ToolResult:
        running = self._begin(self._outcome(call, marks))
        try:
            outcome = await asyncio.shield(running)
        except asyncio.CancelledError:
            if not self._outlives():
                running.cancel()
            raise
        if isinstance(outcome, ToolError):
            raise outcome
        return outcome

    def _begin(self, work: Coroutine[Any, Any, Outcome]) -> asyncio.Task[Outcome]:
        try:
            return self._tasks.create_task(work)
        except RuntimeError:  # the group takes no more: the session ends, and this reply is about to be cancelled
            work.close()
            raise asyncio.CancelledError from None

    async def _outcome(self, call: ToolCall, marks: TurnMarks) -> Outcome:
        """A ToolError is returned, not raised: nobody may be waiting, and it must not end the session's group."""
        try:
            outcome: Outcome = await self._inner.run(call, marks)
        except ToolError as error:
            outcome = error
        self._ended(call, outcome.text if isinstance(outcome, ToolResult) else str(outcome))
        return outcome
