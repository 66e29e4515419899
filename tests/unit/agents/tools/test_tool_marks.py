from __future__ import annotations

import pytest

from agents.errors import ToolError
from agents.interfaces import ToolCall
from agents.spec import ToolRef
from agents.tools.toolbox import AgentToolbox, server_tools
from telemetry.trace import TurnMarks


async def test_each_call_of_a_server_tool_is_named_and_timed() -> None:
    toolbox = AgentToolbox(server_tools([ToolRef("time"), ToolRef("arithmetic")], secrets={}))
    moments = iter(range(10))
    marks = TurnMarks(lambda: float(next(moments)))
    await toolbox.run(ToolCall("call_1", "arithmetic", '{"expression": "2 + 2"}'), marks)
    await toolbox.run(ToolCall("call_2", "time", "{}"), marks)
    assert marks.at == {"tool[0].start": 0, "tool[0].end": 1, "tool[1].start": 2, "tool[1].end": 3}
    assert marks.facts == {"tool[0].name": "arithmetic", "tool[1].name": "time"}


async def test_a_tool_that_fails_is_named_and_timed_all_the_same() -> None:
    toolbox = AgentToolbox(server_tools([ToolRef("arithmetic")], secrets={}))
    marks = TurnMarks(lambda: 1.0)
    with pytest.raises(ToolError):
        await toolbox.run(ToolCall("call_1", "arithmetic", '{"expression": "1 / 0"}'), marks)
    assert marks.at.keys() == {"tool[0].start", "tool[0].end"}
    assert marks.facts == {"tool[0].name": "arithmetic"}
