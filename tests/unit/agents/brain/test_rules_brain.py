from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from agents import feed_check
from agents.brain.rules_brain import RuleFailed, RulesBrain
from agents.errors import ConfigurationError, ProviderError
from agents.interfaces import (
    BrainOutput,
    CompletionOptions,
    FeedEvent,
    Message,
    News,
    ReplyRequest,
    TextDelta,
    ToolCall,
)
from agents.spec import AgentSpec, FeedSpec, Rule, SeriesSpec
from telemetry.trace import TurnMarks
from tests import virtual_time
from tests.fakes.library import NotedTools

BUY = Rule(
    name="buy",
    when="series.fast > series.slow and event.position < 5 and last.action | default('') != 'buy'",
    decide={"action": "buy", "symbol": "{{ key }}", "size": "{{ [2, 5 - event.position] | min }}"},
)


def news(key: str = "ACME", last: Any = None, series: dict[str, float] | None = None, **data: Any) -> News:
    event = FeedEvent(key, data, series or {"fast": 2.0, "slow": 1.0}, last)
    return News((event,), {key: data})


def reply(
    rules: Sequence[Rule],
    about: News | None = None,
    *,
    said: str = "",
    tools: NotedTools | None = None,
    choice: str = "auto",
) -> list[BrainOutput]:
    async def run() -> list[BrainOutput]:
        brain = RulesBrain(AgentSpec(slug="ruled", brain="rules", rules=tuple(rules)))
        messages = [Message("user", said)] if said else []
        request = ReplyRequest(messages, "", CompletionOptions(tool_choice=choice), news=about)
        marks = TurnMarks(asyncio.get_running_loop().time)
        return [output async for output in brain.reply(request, tools or NotedTools(), marks)]

    return virtual_time.run(run())


def decided(outputs: Sequence[BrainOutput]) -> Any:
    (output,) = outputs
    assert isinstance(output, TextDelta)
    return json.loads(output.text)


def test_the_first_rule_that_holds_decides() -> None:
    sell = Rule(name="sell", when="true", decide={"action": "sell"})
    assert decided(reply([BUY, sell], news(position=4))) == {"action": "buy", "symbol": "ACME", "size": 1}
    assert decided(reply([BUY, sell], news(position=5))) == {"action": "sell"}
    assert decided(reply([sell, BUY], news(position=4))) == {"action": "sell"}


def test_the_last_decision_of_the_key_can_be_asked_for() -> None:
    assert reply([BUY], news(position=0, last={"action": "buy"})) == []


def test_a_rule_about_what_is_not_there_does_not_hold() -> None:
    assert reply([BUY], news()) == []
    assert reply([BUY], news(position=1, series={"slow": 1.0})) == []
    assert reply([BUY]) == []


def test_what_the_user_says_can_be_answered() -> None:
    rules = [Rule(name="hours", when="'open' in said | lower", say="We are open from nine to five.")]
    assert reply(rules, said="When are you OPEN?") == [TextDelta("We are open from nine to five.")]
    assert reply(rules, said="Goodbye.") == []


def test_a_rule_that_cannot_be_worked_out_fails_the_reply_and_names_itself() -> None:
    rules = [Rule(name="compare", when="event.position > 5", say="Much.")]
    with pytest.raises(RuleFailed, match='"compare" failed: TypeError') as failed:
        reply(rules, news(position="five"))
    assert failed.value.code == "rule_failed"


def test_a_template_that_lacks_something_fails_the_reply() -> None:
    with pytest.raises(RuleFailed, match="price"):
        reply([Rule(name="tell", when="true", say="It costs {{ event.price }}.")], news())


def test_a_tool_of_the_agents_runs_and_its_result_can_be_told() -> None:
    tools = NotedTools({"time": "noon"})
    rules = [Rule(name="ask", when="true", call="time", arguments={"at": "{{ key }}"}, say="It is {{ result }}.")]
    assert reply(rules, news(), tools=tools) == [TextDelta("It is noon.")]
    assert [(call.name, json.loads(call.arguments)) for call in tools.ran] == [("time", {"at": "ACME"})]


def test_a_tool_of_the_clients_ends_the_reply() -> None:
    tools = NotedTools(client=["move"])
    said, call = reply([Rule(name="go", when="true", call="move", say="Going.")], news(), tools=tools)
    assert said == TextDelta("Going.")
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("move", "{}")


def test_a_tool_that_nobody_has_fails_the_reply() -> None:
    with pytest.raises(RuleFailed, match="no tool fly"):
        reply([Rule(name="go", when="true", call="fly")], news())


def test_tool_choice_is_kept() -> None:
    rules = [Rule(name="go", when="true", call="move"), Rule(name="say", when="true", say="No.")]
    assert reply(rules, news(), tools=NotedTools(client=["move"]), choice="none") == [TextDelta("No.")]
    with pytest.raises(ProviderError, match="rules"):
        reply(rules, news(), choice="required")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"rules": (Rule(name="a", when="evnt.x > 3", say="x"),)}, ("rules[0].when", 'no "evnt"')),
        ({"rules": (Rule(name="a", when="true", say="{{ result }}"),)}, ("rules[0].say", 'no "result"')),
        ({"rules": (Rule(name="a", when="true", decide={"a": ["{{ x"]}),)}, ("rules[0].decide", "unexpected")),
        ({"rules": (Rule(name="a", when="true"),)}, ("rules[0].when", "must say, decide or call")),
        ({"rules": (Rule(name="a", when="true", say="a", arguments={"b": 1}),)}, ("rules[0].arguments", "no call")),
        ({"rules": (Rule(name="a", when="true", say="a", decide={"b": 1}),)}, ("rules[0].decide", "neither say")),
        ({"rules": ()}, ("rules", "at least one rule")),
        ({"brain": "answers", "feed": FeedSpec(mode="text")}, ("feed.mode", "cannot decide on events")),
        ({"feed": FeedSpec(mode="text", schema={"type": "objekt"})}, ("feed.schema", "no JSON schema: schema.type")),
        ({"feed": FeedSpec(mode="speech", schema={"type": "object"})}, ("feed.schema", "cannot be spoken")),
        (
            {"rules": (Rule(name="a", when="true", decide={"b": 1}),), "feed": FeedSpec(mode="speech")},
            ("rules[0].decide", "cannot be spoken"),
        ),
        (
            {
                "rules": (Rule(name="a", when="true", say="b"),),
                "feed": FeedSpec(mode="text", schema={"type": "object"}),
            },
            ("rules[0].say", "decide instead"),
        ),
        (
            {
                "feed": FeedSpec(
                    series=(SeriesSpec(name="a", of="p", kind="min"), SeriesSpec(name="a", of="p", kind="max"))
                )
            },
            ("feed.series[1].name", "already"),
        ),
    ],
)
def test_problems_are_found_before_the_agent_is_saved(spec: dict[str, Any], problem: tuple[str, str]) -> None:
    good = {"brain": "rules", "rules": (Rule(name="ok", when="true", say="ok", call="t"),)}
    found = list(feed_check.problems(AgentSpec(slug="a", **{**good, **spec})))
    assert any(path == problem[0] and problem[1] in message for path, message in found), found


def test_a_brain_is_not_made_of_rules_that_are_wrong() -> None:
    with pytest.raises(ConfigurationError, match=r"rules\[0\].when"):
        reply([Rule(name="a", when="1 +", say="x")])
