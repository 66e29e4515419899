"""Rules look at data, and at nothing else."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.brain.expressions import BrokenExpression, Expression, Missing, Text, Value
from agents.errors import ConfigurationError

NAMES = {"event", "items"}
SCOPE: dict[str, Any] = {
    "event": {"price": 101.5, "size": 100, "symbol": "ACME", "items": "a key, not a method", "none": None},
    "items": [{"x": 1}, {"x": 3.5}, {"x": -2}],
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("event.price > 100 and event.size * 1.5 == 150", True),
        ("event.items", "a key, not a method"),
        ("event['symbol'] ~ '!'", "ACME!"),
        ("event.missing is defined", False),
        ("event.missing | default(7)", 7),
        ("items | map(attribute='x') | min", -2),
        ("items | map(attribute='x') | sum", 2.5),
        ("(items | sort(attribute='x') | last).x", 3.5),
        ("items | selectattr('x', 'gt', 0) | list | length", 2),
        ("[10, [event.size, 3] | min] | max", 10),
        ("'buy' if event.price > 100 else 'sell'", "buy"),
        ("7 // 2", 3),
        ("{'a': {'k': 1}, 'b': {'k': 2}} | values | selectattr('k', 'gt', 1) | list", [{"k": 2}]),
    ],
)
def test_what_expressions_can_say(source: str, value: Any) -> None:
    assert Expression(source, NAMES).value(SCOPE) == value


@pytest.mark.parametrize(
    "source",
    [
        "event.__class__",
        "event.keys()",
        "event.symbol.upper()",
        "''.__class__.__mro__[1].__subclasses__()",
        "items.append(1)",
        "event.price.is_integer",
        "items[7]",
        "event[items]",
    ],
)
def test_nothing_of_python_can_be_reached(source: str) -> None:
    with pytest.raises(Missing):
        Expression(source, NAMES).value(SCOPE)


@pytest.mark.parametrize("source", ["event.symbol * 9", "items * 100000000", "'%09d' % event.size", "9.0 ** 999"])
def test_nothing_grows_without_bounds(source: str) -> None:
    with pytest.raises(BrokenExpression):
        Expression(source, NAMES).value(SCOPE)


def test_the_largest_event_is_worked_through_at_once() -> None:
    numbers = list(range(8_000))
    scope = {"event": {"a": numbers, "b": numbers}, "items": []}
    started = time.perf_counter()
    assert Expression("(event.a | sort | unique | list)[-1] in event.b", NAMES).value(scope) is True
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("event.price >", "unexpected"),
        ("evnt.price > 3", 'no "evnt" here; there is event, items'),
        ("range(3)", 'no "range"'),
        ("self", 'no "self"'),
        ("event | attr('x')", "No filter named 'attr'"),
        ("'%s' | format(1)", "No filter named 'format'"),
        ("event is callable", "No test named 'callable'"),
        ("event }} {{ event", "chunk after expression"),
        ("[x for x in items]", "expected token"),
    ],
)
def test_what_cannot_be_is_refused_before_it_is_used(source: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        Expression(source, NAMES)


@pytest.mark.parametrize("source", ["{% for x in items %}{% endfor %}", "{% set event = 1 %}", "{% include 'x' %}"])
def test_templates_have_no_statements(source: str) -> None:
    with pytest.raises(ConfigurationError):
        Text(source, NAMES)


def test_templates_are_filled_in() -> None:
    assert Text("{{ event.symbol }} at {{ event.price | round(0) | int }}.", NAMES).value(SCOPE) == "ACME at 102."
    with pytest.raises(Missing):
        Text("{{ event.missing }}", NAMES).value(SCOPE)


def test_values_keep_their_types() -> None:
    source = {"size": "{{ event.size }}", "text": "n={{ event.size }}", "list": ["{{ items[0] }}", 1, None, "plain"]}
    assert Value(source, NAMES).value(SCOPE) == {"size": 100, "text": "n=100", "list": [{"x": 1}, 1, None, "plain"]}


@given(st.text(alphabet="event.items|[]()'\"{}%+-*/<>=! 019_azx~:,", max_size=60))
def test_no_text_does_anything_but_give_a_value_or_an_error(source: str) -> None:
    try:
        value = Expression(source, NAMES).value(SCOPE)
    except (ConfigurationError, Missing, BrokenExpression):
        return
    assert not callable(value)
