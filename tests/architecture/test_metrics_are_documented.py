"""docs/reference/metrics.md lists every counter and gauge with its attribute, and says truly which of them count."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from telemetry import names
from tests.processes import ROOT

PAGE = ROOT / "docs" / "reference" / "metrics.md"
ROW = re.compile(r"^\| `([a-z][a-z_.]+)` \| (?:`([a-z]+)`|–) \|", re.MULTILINE)
CONSTANTS = {
    value: constant for constant, value in vars(names).items() if constant.isupper() and isinstance(value, str)
}


def rows_under(heading: str) -> dict[str, str | None]:
    (section,) = [part for part in PAGE.read_text().split("\n## ") if part.startswith(heading)]
    return {name: attribute or None for name, attribute in ROW.findall(section)}


def names_used() -> Iterator[str]:
    """The names of `telemetry.names` that stand in an expression anywhere else in the product."""
    for package in ("project", "sessions", "agents", "telemetry"):
        for path in (ROOT / package).rglob("*.py"):
            if path != ROOT / "telemetry" / "names.py":
                for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
                    match node:
                        case ast.Name(id=name) | ast.Attribute(attr=name):
                            yield name


def test_every_counter_is_listed_with_its_attribute() -> None:
    listed = {**rows_under("Counters"), **rows_under("Reserved")}
    assert {name: key for name, key in listed.items() if name in names.COUNTERS} == names.COUNTERS


def test_every_gauge_is_listed_with_its_attribute() -> None:
    listed = {**rows_under("Gauges"), **rows_under("Reserved")}
    assert {name: key for name, key in listed.items() if name in names.GAUGES} == names.GAUGES


def test_nothing_else_is_listed() -> None:
    listed = [*rows_under("Counters"), *rows_under("Gauges"), *rows_under("Reserved")]
    assert sorted(listed) == sorted([*names.COUNTERS, *names.GAUGES])


def test_what_is_listed_as_counted_is_counted_and_what_is_reserved_is_not() -> None:
    used = set(names_used())
    reserved = {name for name in (*names.COUNTERS, *names.GAUGES) if CONSTANTS[name] not in used}
    assert set(rows_under("Reserved")) == reserved
