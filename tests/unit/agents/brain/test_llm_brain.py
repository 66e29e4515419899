from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from agents.brain.llm_brain import LLMBrain
from agents.brain.prompt import MAX_PASSAGE_CHARS, SPEAKING, compose
from agents.errors import ProviderError, ToolError
from agents.interfaces import (
    BrainOutput,
    CompletionOptions,
    Finish,
    HangUp,
    Message,
    Passage,
    ReplyRequest,
    TextDelta,
    ToolCall,
    ToolResult,
    Usage,
)
from agents.providers.scripted import ScriptedLLM
from agents.spec import AgentSpec, LLMSpec
from telemetry.trace import TurnMarks
from tests import virtual_time
from tests.fakes.library import Library, NotedTools

SPEC = AgentSpec(slug="terse", brain="llm", llm=LLMSpec(max_tool_rounds=2, max_output_tokens=50, temperature=0.2))
USER = Message("user", "Where is my order?")


def call(name: str, number: int = 1) -> ToolCall:
    return ToolCall(f"call_{number}", name, "{}")


def reply(
    llm: ScriptedLLM,
    tools: NotedTools,
    *,
    spec: AgentSpec = SPEC,
    library: Library | None = None,
    messages: Sequence[Message] = (USER,),
    options: CompletionOptions | None = None,
    marks: TurnMarks | None = None,
) -> list[BrainOutput]:
    async def run() -> list[BrainOutput]:
        request = ReplyRequest(messages, "Be kind.", options or CompletionOptions())
        loop = asyncio.get_running_loop()
        return [o async for o in LLMBrain(llm, spec, library).reply(request, tools, marks or TurnMarks(loop.time))]

    return virtual_time.run(run())


def text(outputs: Sequence[BrainOutput]) -> str:
    return "".join(output.text for output in outputs if isinstance(output, TextDelta))


def test_words_pass_through_as_they_come() -> None:
    llm = ScriptedLLM(["It is on its way."])
    outputs = reply(llm, NotedTools())
    assert text(outputs) == "It is on its way."
    assert isinstance(outputs[-1], Usage)
    (asked,) = llm.asked
    assert asked.messages == [Message("system", f"Be kind.\n\n{SPEAKING}"), USER]
    assert asked.options == CompletionOptions("none", 50, 0.2)


def test_a_tools_result_goes_back_to_the_model_and_usage_is_summed() -> None:
    llm = ScriptedLLM([["Let me look. ", call("order")], "It ships today."])
    outputs = reply(llm, NotedTools({"order": "ships today"}))
    assert text(outputs) == "Let me look. It ships today."
    assert llm.asked[1].messages[-2:] == [
        Message("assistant", "Let me look. ", calls=(call("order"),)),
        Message("tool", "ships today", call_id="call_1"),
    ]
    usage = [output for output in outputs if isinstance(output, Usage)]
    assert len(usage) == 1
    assert usage[0].output_tokens == 3 + 1 + 3


def test_the_calls_of_one_round_run_side_by_side_and_keep_their_order() -> None:
    tools = NotedTools({"a": lambda c: ToolResult(f"A of {c.id}"), "b": "B"}, delay_s=1.0)
    llm = ScriptedLLM([[call("a", 1), call("b", 2), call("a", 3)], "Done."])
    reply(llm, tools)
    assert tools.most_running == 3
    assert [m.text for m in llm.asked[1].messages if m.role == "tool"] == ["A of call_1", "B", "A of call_3"]


def test_a_failure_is_told_to_the_model() -> None:
    llm = ScriptedLLM([[call("order")], "I could not look it up."])
    assert text(reply(llm, NotedTools({"order": ToolError("no such order")}))) == "I could not look it up."
    assert llm.asked[1].messages[-1].text == "Error: no such order"


def test_a_tool_that_nobody_has_is_an_error_for_the_model_and_not_for_the_client() -> None:
    llm = ScriptedLLM([[call("invented")], "Never mind."])
    outputs = reply(llm, NotedTools({"order": "x"}))
    assert not any(isinstance(output, ToolCall) for output in outputs)
    assert "no tool invented" in llm.asked[1].messages[-1].text


def test_a_clients_tool_is_yielded_and_ends_the_reply() -> None:
    llm = ScriptedLLM([["One moment. ", call("open_door")], "never asked"])
    outputs = reply(llm, NotedTools(client=["open_door"]))
    assert [type(output) for output in outputs] == [TextDelta, TextDelta, ToolCall, Usage]
    assert llm.calls == 1


def test_in_a_mixed_round_the_clients_call_does_not_wait_for_the_servers_tools() -> None:
    tools = NotedTools({"order": "x"}, client=["open_door"])
    llm = ScriptedLLM([[call("order", 1), call("open_door", 2)], "never asked"])

    async def first_call() -> tuple[object, list[str]]:
        request = ReplyRequest([Message("user", "Hello")], "")
        async with aclosing(LLMBrain(llm, SPEC).reply(request, tools, TurnMarks(lambda: 0.0))) as outputs:
            first = await anext(outputs)
            ran = [c.id for c in tools.ran]
            async for _ in outputs:
                pass
        return first, ran

    assert virtual_time.run(first_call()) == (call("open_door", 2), [])
    assert [c.id for c in tools.ran] == ["call_1"]
    assert llm.calls == 1


def test_rounds_are_bounded_and_the_last_one_may_not_call() -> None:
    llm = ScriptedLLM([[call("order")]])
    tools = NotedTools({"order": "x"})
    reply(llm, tools)
    assert llm.calls == 3
    assert len(tools.ran) == 2
    assert [asked.options.tool_choice for asked in llm.asked] == ["auto", "auto", "none"]


@pytest.mark.parametrize("choice", ["required", "order"])
def test_a_forced_choice_holds_for_the_first_round_only(choice: str) -> None:
    llm = ScriptedLLM([[call("order")], "Done."])
    reply(llm, NotedTools({"order": "x"}), options=CompletionOptions(tool_choice=choice))
    assert [asked.options.tool_choice for asked in llm.asked] == [choice, "auto"]


def test_without_rounds_or_with_choice_none_no_tool_runs() -> None:
    tools = NotedTools({"order": "x"})
    reply(ScriptedLLM([[call("order")]]), tools, options=CompletionOptions(tool_choice="none"))
    reply(ScriptedLLM([[call("order")]]), tools, spec=AgentSpec(slug="a", llm=LLMSpec(max_tool_rounds=0)))
    assert tools.ran == []


def test_hanging_up_waits_for_the_words_after_the_tool() -> None:
    tools = NotedTools({"end_call": lambda _: ToolResult("Say goodbye.", hang_up=True)})
    outputs = reply(ScriptedLLM([[call("end_call")], "Goodbye!"]), tools)
    assert [type(output) for output in outputs] == [TextDelta, Usage, HangUp]


def test_why_the_model_stopped_is_passed_on() -> None:
    class Cut(ScriptedLLM):
        async def _complete(self, *_: object) -> object:  # type: ignore[override]
            yield TextDelta("It is ")
            yield Finish("length")

    outputs = reply(Cut(["unused"]), NotedTools())
    assert outputs[-1] == Finish("length")


def test_the_models_failure_is_the_replys() -> None:
    class Broken(ScriptedLLM):
        async def _complete(self, *_: object) -> object:  # type: ignore[override]
            yield TextDelta("It is ")
            raise ProviderError("gone", provider="lab")

    with pytest.raises(ProviderError, match="gone"):
        reply(Broken(["unused"]), NotedTools())


def test_an_interruption_stops_model_and_tools_and_leaves_no_task() -> None:
    tools = NotedTools({"order": "x"}, delay_s=60)
    closed: list[bool] = []

    class Watched(ScriptedLLM):
        async def _complete(self, *args: object) -> object:  # type: ignore[override]
            try:
                yield call("order")
            finally:
                closed.append(True)

    async def run() -> int:
        async def talk() -> None:
            request = ReplyRequest([USER], "")
            async with aclosing(
                LLMBrain(Watched(["x"]), SPEC).reply(request, tools, TurnMarks(lambda: 0.0))
            ) as outputs:
                async for _ in outputs:
                    pass

        async with asyncio.TaskGroup() as group:
            talking = group.create_task(talk())
            await asyncio.sleep(1)
            assert tools.running == 1
            talking.cancel()
        return tools.running

    assert virtual_time.run(run()) == 0
    assert closed == [True]


def test_passages_go_before_the_question_and_nowhere_else() -> None:
    llm = ScriptedLLM(["Two days."])
    library = Library({"order": [Passage("Orders take two days.", "Shipping", 0.8), Passage("Noise.", "Other", 0.1)]})
    earlier = [Message("user", "Hello there"), Message("assistant", "Hi.")]
    reply(llm, NotedTools(), library=library, messages=[*earlier, USER])
    told = llm.asked[0].messages
    assert told[1:3] == earlier
    assert "Shipping: Orders take two days." in told[3].text
    assert told[3].text.endswith("\n\nWhere is my order?")
    assert "Noise" not in told[3].text


def test_a_short_question_is_looked_up_with_the_one_before() -> None:
    library = Library({})
    messages = [USER, Message("assistant", "On its way."), Message("user", "And when?")]
    reply(ScriptedLLM(["Soon."]), NotedTools(), library=library, messages=messages)
    assert library.asked == ["Where is my order? And when?"]


def test_passages_are_bounded() -> None:
    passages = [Passage("word " * 200, f"Title {n}", 0.9) for n in range(10)]
    (_, told) = compose([USER], "", passages)
    assert 1_000 < len(told.text) < MAX_PASSAGE_CHARS + 300


def test_words_that_are_read_and_not_spoken_come_without_rules_for_speaking() -> None:
    (spoken, *_) = compose([USER], "Be kind.", [])
    assert spoken == Message("system", f"Be kind.\n\n{SPEAKING}")
    assert compose([USER], "Be kind.", [], spoken=False) == [Message("system", "Be kind."), USER]
    assert compose([USER], "", [], spoken=False) == [USER]
