from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from agents.errors import ConfigurationError, ToolError
from agents.interfaces import ToolCall, ToolResult, ToolSpec
from agents.spec import ToolRef
from agents.tools.schema import Arguments
from agents.tools.toolbox import MAX_AT_ONCE, MAX_RESULT, AgentToolbox, ServerTool, ShieldedToolbox, server_tools
from telemetry.trace import TurnMarks
from tests import virtual_time

CALL = ToolCall("call_1", "slow", "{}")


class Slow:
    """A tool that takes its time and counts how often it began, ended and was stopped."""

    def __init__(self, seconds: float, text: str = "done") -> None:
        self._seconds = seconds
        self._text = text
        self.running = self.most = self.ended = 0

    async def __call__(self, call_id: str, arguments: Mapping[str, Any]) -> ToolResult:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self._seconds)
            self.ended += 1
        finally:
            self.running -= 1
        return ToolResult(self._text)

    def tool(self, timeout_s: float = 100.0) -> ServerTool:
        return ServerTool(ToolSpec("slow", ""), Arguments("slow", {"type": "object"}), self, timeout_s)


def marks() -> TurnMarks:
    return TurnMarks(asyncio.get_running_loop().time)


def test_it_offers_the_agents_tools_and_the_clients() -> None:
    toolbox = AgentToolbox(server_tools([ToolRef(name="time")], secrets={}), [ToolSpec("open_door", "")])
    assert [spec.name for spec in toolbox.specs()] == ["time", "open_door"]
    assert (toolbox.on_server("time"), toolbox.on_server("open_door")) == (True, False)


def test_a_client_cannot_take_the_place_of_an_agents_tool() -> None:
    toolbox = AgentToolbox(server_tools([ToolRef(name="end_call")], secrets={}), [ToolSpec("end_call", "Mine now.")])
    (spec,) = toolbox.specs()
    assert spec.description != "Mine now."
    assert toolbox.on_server("end_call")


def test_a_reference_may_describe_a_builtin_anew_but_must_name_one() -> None:
    (tool,) = server_tools([ToolRef(name="time", description="Clock.")], secrets={})
    assert tool.spec.description == "Clock."
    with pytest.raises(ConfigurationError, match="teleport"):
        server_tools([ToolRef(name="teleport")], secrets={})


def test_the_time_a_tool_takes_is_marked() -> None:
    async def run() -> dict[str, float]:
        turn = marks()
        toolbox = AgentToolbox([Slow(2).tool()])
        await toolbox.run(CALL, turn)
        await toolbox.run(CALL, turn)
        return turn.at

    assert virtual_time.run(run()) == {
        "tool[0].start": 0.0,
        "tool[0].end": 2.0,
        "tool[1].start": 2.0,
        "tool[1].end": 4.0,
    }


def test_a_tool_is_stopped_at_its_timeout() -> None:
    slow = Slow(60)

    async def run() -> float:
        with pytest.raises(ToolError, match="longer than 3 seconds"):
            await AgentToolbox([slow.tool(timeout_s=3)]).run(CALL, marks())
        return asyncio.get_running_loop().time()

    assert virtual_time.run(run()) == 3.0
    assert (slow.running, slow.ended) == (0, 0)


def test_no_more_than_some_run_at_once() -> None:
    slow = Slow(1)

    async def run() -> None:
        toolbox = AgentToolbox([slow.tool()])
        async with asyncio.TaskGroup() as group:
            for _ in range(3 * MAX_AT_ONCE):
                group.create_task(toolbox.run(CALL, marks()))

    virtual_time.run(run())
    assert (slow.most, slow.ended) == (MAX_AT_ONCE, 3 * MAX_AT_ONCE)


def test_a_huge_result_is_cut_and_says_so() -> None:
    result = virtual_time.run(_run_once(Slow(0, "x" * 100_000)))
    assert len(result.text) < MAX_RESULT + 50
    assert result.text.endswith("[cut after 16,000 characters]")


async def _run_once(slow: Slow) -> ToolResult:
    return await AgentToolbox([slow.tool()]).run(CALL, marks())


@pytest.mark.parametrize("name", ["gone", "open_door"])
async def test_a_tool_that_is_not_here_cannot_be_run(name: str) -> None:
    with pytest.raises(ToolError, match=name):
        await AgentToolbox([], [ToolSpec("open_door", "")]).run(ToolCall("c", name, "{}"), marks())


async def test_arguments_are_checked_before_the_tool_runs() -> None:
    slow = Slow(0)
    with pytest.raises(ToolError, match="JSON"):
        await AgentToolbox([slow.tool()]).run(ToolCall("c", "slow", "{"), marks())
    assert slow.most == 0


# --- tools that outlive their reply --------------------------------------------------------------


class Interrupted:
    """A reply that runs one tool and is cancelled after `after_s`, in a session that lasts until its tools end."""

    def __init__(self, tool: ServerTool, after_s: float) -> None:
        self.ended: list[tuple[float, str, str]] = []
        self._tool = tool
        self._after_s = after_s

    async def run(self) -> float:
        loop = asyncio.get_running_loop()

        def note(call: ToolCall, output: str) -> None:
            self.ended.append((loop.time(), call.id, output))

        async with asyncio.TaskGroup() as session:
            toolbox = ShieldedToolbox(AgentToolbox([self._tool]), session, note)
            reply = session.create_task(toolbox.run(CALL, marks()))
            await asyncio.sleep(self._after_s)
            reply.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reply
            return loop.time()
        raise AssertionError("a session's group does not swallow")


def test_an_interrupted_tool_goes_on_and_its_result_is_told() -> None:
    session = Interrupted(Slow(5).tool(), after_s=1)
    assert virtual_time.run(session.run()) == 1.0
    assert session.ended == [(5.0, "call_1", "done")]


def test_its_failure_is_told_and_does_not_end_the_session() -> None:
    session = Interrupted(Slow(60).tool(timeout_s=5), after_s=1)
    virtual_time.run(session.run())
    ((when, _, output),) = session.ended
    assert when == 5.0
    assert "longer than 5 seconds" in output


def test_uninterrupted_results_and_failures_pass_through() -> None:
    async def run() -> list[str]:
        told: list[str] = []
        async with asyncio.TaskGroup() as session:
            good = ShieldedToolbox(AgentToolbox([Slow(1).tool()]), session, lambda _, output: told.append(output))
            assert await good.run(CALL, marks()) == ToolResult("done")
            bad = ShieldedToolbox(AgentToolbox([]), session, lambda _, output: told.append(output))
            with pytest.raises(ToolError):
                await bad.run(CALL, marks())
        return told

    assert virtual_time.run(run()) == ["done", "There is no tool slow on the server."]


def test_a_session_that_ends_stops_its_tools_and_leaves_no_task() -> None:
    slow = Slow(60)

    async def run() -> None:
        async def session() -> None:
            async with asyncio.TaskGroup() as group:
                toolbox = ShieldedToolbox(AgentToolbox([slow.tool()]), group, lambda _, __: None)
                group.create_task(toolbox.run(CALL, marks()))

        open_session = asyncio.ensure_future(session())
        await asyncio.sleep(1)
        open_session.cancel()
        with pytest.raises(asyncio.CancelledError):
            await open_session

    virtual_time.run(run())
    assert (slow.running, slow.ended) == (0, 0)


def test_a_call_made_while_the_session_ends_does_not_begin() -> None:
    """What runs inside a reply hears of the session's end a moment after the session's group does."""
    slow = Slow(1)

    async def run() -> None:
        made = asyncio.Event()

        async def reply(toolbox: ShieldedToolbox) -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                made.set()
                await toolbox.run(CALL, marks())

        async def session() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(reply(ShieldedToolbox(AgentToolbox([slow.tool()]), group, lambda _, __: None)))

        open_session = asyncio.ensure_future(session())
        await asyncio.sleep(1)
        open_session.cancel()
        with pytest.raises(asyncio.CancelledError):
            await open_session
        assert made.is_set()

    virtual_time.run(run())
    assert (slow.running, slow.most) == (0, 0)
