"""The language of rules: Jinja's expressions and `{{ … }}` templates, locked so that they only look at data.

Dots and brackets look up keys of mappings and places of lists, and nothing else: no attribute or method of a
Python object can be reached. Statements, globals and most filters are left out; what is left takes time in
proportion to the data (or n log n, to sort), since nothing loops without an end, repeats or pads.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.filters import FILTERS, do_join
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.utils import pass_eval_context

from agents.errors import ConfigurationError, ReparteeError

Scope = Mapping[str, Any]
SEPARATOR_CHARS = 16
_FILTERS = [
    "abs",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "int",
    "items",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "string",
    "title",
    "trim",
    "unique",
    "upper",
]
_TESTS = [
    "boolean",
    "defined",
    "divisibleby",
    "eq",
    "even",
    "float",
    "ge",
    "gt",
    "integer",
    "le",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "string",
    "undefined",
]
_WHOLE = re.compile(r"\s*\{\{((?:(?!\}\}).)*)\}\}\s*", re.DOTALL)
_WRONG = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, jinja2.TemplateError)


class Missing(ReparteeError):
    """The expression asks for something that is not there."""


class BrokenExpression(ReparteeError):
    """The expression cannot be worked out."""


class _Locked(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Numbers only: texts and lists are not repeated, and texts not formatted."""
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            raise TypeError(f"{operator} takes two numbers")
        match operator:
            case "*":
                return left * right
            case "%":
                return left % right
            case _:
                return float(left) ** right

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        found = isinstance(obj, dict) and isinstance(argument, str) and argument in obj
        if found or (isinstance(obj, list | tuple) and _fits(argument, len(obj))):
            return obj[argument]
        return self.undefined(name=str(argument))


def _fits(place: Any, length: int) -> bool:
    return isinstance(place, slice) or (isinstance(place, int) and -length <= place < length)


def _sum(values: Iterable[Any]) -> float:
    return sum(float(value) if isinstance(value, bool) else value for value in values)


def _values(mapping: Any) -> list[Any]:
    if not isinstance(mapping, dict):
        raise TypeError("values takes a mapping")
    return list(mapping.values())


@pass_eval_context
def _join(context: nodes.EvalContext, values: Iterable[Any], separator: str = "") -> str:
    joined: str = do_join(context, values, separator[:SEPARATOR_CHARS])
    return joined


_locked = _Locked(undefined=jinja2.StrictUndefined, cache_size=0)
_locked.globals.clear()
_locked.filters = {**{name: FILTERS[name] for name in _FILTERS}, "sum": _sum, "join": _join, "values": _values}
_locked.tests = {name: TESTS[name] for name in _TESTS}


class Expression:
    """One expression over `names`. ConfigurationError if it is none, or uses another name."""

    def __init__(self, source: str, names: Collection[str]) -> None:
        _check(f"{{{{ {source} }}}}", names)
        try:
            self._compiled = _locked.compile_expression(source, undefined_to_none=False)
        except jinja2.TemplateError as error:
            raise ConfigurationError(error.message or "this is no expression") from None

    def value(self, scope: Scope) -> Any:
        """What it is in `scope`. Missing if that has not all it asks for; BrokenExpression if it cannot be."""
        try:
            value = self._compiled(scope)
        except jinja2.UndefinedError as error:
            raise Missing(error.message) from None
        except _WRONG as error:
            raise BrokenExpression(f"{type(error).__name__}: {error}") from None
        if isinstance(value, jinja2.Undefined):
            raise Missing
        return value


class Text:
    """Text with `{{ expression }}` in it. ConfigurationError as above."""

    def __init__(self, source: str, names: Collection[str]) -> None:
        _check(source, names)
        self._compiled = _locked.from_string(source)

    def value(self, scope: Scope) -> str:
        try:
            return self._compiled.render(scope)
        except jinja2.UndefinedError as error:
            raise Missing(error.message) from None
        except _WRONG as error:
            raise BrokenExpression(f"{type(error).__name__}: {error}") from None


class Value:
    """JSON whose texts are templates. One that is a single `{{ expression }}` gives what that is, of its own type."""

    def __init__(self, source: Any, names: Collection[str]) -> None:
        self._made = _make(source, names)

    def value(self, scope: Scope) -> Any:
        return _filled(self._made, scope)


def _make(source: Any, names: Collection[str]) -> Any:
    match source:
        case str() if whole := _WHOLE.fullmatch(source):
            return Expression(whole[1], names)
        case str() if "{{" in source:
            return Text(source, names)
        case dict():
            return {key: _make(value, names) for key, value in source.items()}
        case list():
            return [_make(value, names) for value in source]
    return source


def _filled(made: Any, scope: Scope) -> Any:
    match made:
        case Expression() | Text():
            return made.value(scope)
        case dict():
            return {key: _filled(value, scope) for key, value in made.items()}
        case list():
            return [_filled(value, scope) for value in made]
    return made


def _check(template: str, names: Collection[str]) -> None:
    try:
        parsed = _locked.parse(template)
    except jinja2.TemplateError as error:
        raise ConfigurationError(error.message or "this is no expression") from None
    except RecursionError:
        raise ConfigurationError("this is too deeply nested") from None
    if any(not isinstance(node, nodes.Output) for node in parsed.find_all(nodes.Stmt)):
        raise ConfigurationError("only {{ expressions }} are allowed, no {% statements %}")
    for name in parsed.find_all(nodes.Name):
        if name.name not in names:
            raise ConfigurationError(f'there is no "{name.name}" here; there is {", ".join(sorted(names))}')
