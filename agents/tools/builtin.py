"""The tools every agent may have without any set-up: the time, arithmetic, and ending the call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from msgspec import Meta

from agents.errors import ToolError
from agents.interfaces import ToolResult, ToolSpec
from agents.tools.calculation import calculate
from agents.tools.schema import parameters_of

TIME = "time"
ARITHMETIC = "arithmetic"
END_CALL = "end_call"


@dataclass(frozen=True, slots=True)
class Builtin:
    spec: ToolSpec
    call: Callable[[Mapping[str, Any]], Awaitable[ToolResult]]


@dataclass(frozen=True, slots=True)
class _TimeArguments:
    timezone: Annotated[str, Meta(description="A city or an IANA time zone; empty is the server's.")] = ""


@dataclass(frozen=True, slots=True)
class _ArithmeticArguments:
    expression: Annotated[
        str, Meta(description="Numbers with + - * / ** ( ) and sqrt(), as 0.15 * (80 + 3)", max_length=200)
    ]


@dataclass(frozen=True, slots=True)
class _NoArguments:
    pass


async def _time(arguments: Mapping[str, Any]) -> ToolResult:
    place = str(arguments.get("timezone", ""))
    return ToolResult(describe(datetime.now(zone(place)) if place else datetime.now().astimezone(), place))


async def _arithmetic(arguments: Mapping[str, Any]) -> ToolResult:
    return ToolResult(calculate(arguments["expression"]))


async def _end_call(arguments: Mapping[str, Any]) -> ToolResult:
    return ToolResult("The call ends after your next words. Say goodbye.", hang_up=True)


def describe(moment: datetime, place: str = "") -> str:
    """A moment in words that can be spoken: "It is 3:05 PM on Saturday, 22 November 2025, in Paris."."""
    clock = f"{moment.hour % 12 or 12}:{moment:%M %p}"
    where = f", in {place.rsplit('/', 1)[-1].replace('_', ' ').title()}" if place else ""
    return f"It is {clock} on {moment:%A}, {moment.day} {moment:%B %Y}{where}."


def zone(place: str) -> ZoneInfo:
    """The time zone of an IANA name or of a city that has one, in any letter case."""
    name = _zones().get(place.strip().lower().replace(" ", "_"))
    if name is None:
        raise ToolError(f"I do not know the time zone of {place}.")
    return ZoneInfo(name)


@cache
def _zones() -> dict[str, str]:
    """Zone names by full name and by city, in lower case. A name with a region wins over one without."""
    names = sorted(available_timezones(), key=lambda name: "/" in name)
    cities = {name.rsplit("/", 1)[-1].lower(): name for name in names if not name.startswith("Etc/")}
    return {**cities, **{name.lower(): name for name in names}}


BUILTINS: Mapping[str, Builtin] = {
    tool.spec.name: tool
    for tool in (
        Builtin(
            ToolSpec(TIME, "The current time and date, here or elsewhere.", parameters_of(_TimeArguments), False), _time
        ),
        Builtin(
            ToolSpec(ARITHMETIC, "Works out an arithmetic expression.", parameters_of(_ArithmeticArguments), False),
            _arithmetic,
        ),
        Builtin(
            ToolSpec(END_CALL, "Ends the call. Use it when the user says goodbye.", parameters_of(_NoArguments), True),
            _end_call,
        ),
    )
}
