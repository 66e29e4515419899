"""A brain of rules: the first rule whose expression holds says something, decides something, or calls a tool.

It holds no state, since one brain serves all sessions: what is kept of earlier events and decisions comes
with each request.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from agents.brain.expressions import BrokenExpression, Expression, Missing, Scope, Text, Value
from agents.errors import ConfigurationError, ProviderError, ToolError
from agents.interfaces import BrainOutput, HangUp, ReplyRequest, TextDelta, Toolbox, ToolCall
from agents.spec import AgentSpec, Rule
from telemetry.trace import TurnMarks

NAMES = frozenset({"key", "event", "series", "last", "events", "latest", "said"})
"""What an expression may ask for. A template of a rule that calls also has the tool's `result`."""


class RuleFailed(ProviderError):
    """A rule could not be worked out."""

    code = "rule_failed"

    def __init__(self, rule: str, reason: object) -> None:
        super().__init__(f'The rule "{rule}" failed: {reason}', provider="rules", retryable=False)


@dataclass(frozen=True, slots=True)
class _Compiled:
    name: str
    when: Expression
    say: Text | None
    decide: Value | None
    call: str
    arguments: Value


class RulesBrain:
    """Follows `spec.rules`, in their order. ConfigurationError if one of them is not valid.

    A rule that asks for what is not there does not hold. If none holds there is nothing to say: the reply is empty.
    """

    def __init__(self, spec: AgentSpec) -> None:
        for path, message in problems(spec):
            raise ConfigurationError(f"{path}: {message}")
        self._rules = [_compiled(rule) for rule in spec.rules]

    async def reply(self, request: ReplyRequest, tools: Toolbox, marks: TurnMarks) -> AsyncGenerator[BrainOutput, None]:
        """A `tool_choice` that demands a tool is a ProviderError: the rules alone choose."""
        choice = request.options.tool_choice
        if choice not in ("auto", "none"):
            message = f'This agent follows rules and cannot be made to call tools (tool_choice "{choice}").'
            raise ProviderError(message, provider="rules", retryable=False)
        scope = scope_of(request)
        rule = next((rule for rule in self._rules if (choice == "auto" or not rule.call) and _holds(rule, scope)), None)
        if rule is None:
            return
        try:
            if rule.decide is not None:
                yield TextDelta(_json(rule.decide.value(scope)))
            elif not rule.call:
                yield TextDelta(rule.say.value(scope) if rule.say else "")
            else:
                call = ToolCall(f"call_{secrets.token_hex(8)}", rule.call, _json(rule.arguments.value(scope)))
                async for output in _called(rule, call, scope, tools, marks):
                    yield output
        except (Missing, BrokenExpression, ToolError) as error:
            raise RuleFailed(rule.name, error) from None


def scope_of(request: ReplyRequest) -> Scope:
    """What the rules see of a request. Without news there is no event; with news, nobody said anything."""
    news = request.news
    if news is None:
        asked = next((message.text for message in reversed(request.messages) if message.role == "user"), "")
        return {"said": asked}
    newest = news.changed[-1]
    return {
        "key": newest.key,
        "event": newest.data,
        "series": newest.series,
        "last": newest.last,
        "events": {event.key: event.data for event in news.changed},
        "latest": news.latest,
        "said": "",
    }


def problems(spec: AgentSpec) -> Iterator[tuple[str, str]]:
    """(dotted path, message) of what is wrong with the rules."""
    for index, rule in enumerate(spec.rules):
        yield from ((f"rules[{index}].{field}", message) for field, message in _problems(rule))
        if rule.decide and spec.feed.mode == "speech":
            yield f"rules[{index}].decide", "this agent speaks its decisions, and JSON cannot be spoken: call a tool"
        if rule.say and spec.feed.schema and spec.feed.mode == "text":
            yield f"rules[{index}].say", "decisions must satisfy feed.schema, and this is text: decide instead"


def _problems(rule: Rule) -> Iterator[tuple[str, str]]:
    names = NAMES | {"result"} if rule.call else NAMES
    made: tuple[tuple[str, type[Expression | Text | Value], Any, frozenset[str]], ...] = (
        ("when", Expression, rule.when, NAMES),
        ("say", Text, rule.say, names),
        ("decide", Value, rule.decide, NAMES),
        ("arguments", Value, rule.arguments, NAMES),
    )
    for field, kind, source, allowed in made:
        try:
            kind(source, allowed)
        except ConfigurationError as error:
            yield field, str(error)
    if rule.decide and (rule.say or rule.call):
        yield "decide", "a rule that decides can neither say nor call anything"
    if not (rule.say or rule.decide or rule.call):
        yield "when", "a rule must say, decide or call something"
    if rule.arguments and not rule.call:
        yield "arguments", "there is no call to give them to"


def _compiled(rule: Rule) -> _Compiled:
    return _Compiled(
        rule.name,
        Expression(rule.when, NAMES),
        Text(rule.say, NAMES | {"result"}) if rule.say else None,
        Value(rule.decide, NAMES) if rule.decide else None,
        rule.call,
        Value(rule.arguments, NAMES),
    )


def _holds(rule: _Compiled, scope: Scope) -> bool:
    try:
        return bool(rule.when.value(scope))
    except Missing:
        return False
    except BrokenExpression as error:
        raise RuleFailed(rule.name, error) from None


async def _called(
    rule: _Compiled, call: ToolCall, scope: Scope, tools: Toolbox, marks: TurnMarks
) -> AsyncGenerator[BrainOutput, None]:
    """A client's tool ends the reply, so what is to be said comes before it."""
    if not tools.on_server(call.name):
        if all(spec.name != call.name for spec in tools.specs()):
            raise ToolError(f"there is no tool {call.name}, neither here nor at the client")
        if rule.say is not None:
            yield TextDelta(rule.say.value(scope))
        yield call
        return
    result = await tools.run(call, marks)
    if rule.say is not None:
        yield TextDelta(rule.say.value({**scope, "result": result.text}))
    if result.hang_up:
        yield HangUp()


def _json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, msgspec.MsgspecError):
        raise BrokenExpression("what it makes is no JSON") from None
