"""docs/reference/settings.md lists every variable that the code reads, no other, and the true default of each bound."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from agents.providers.local.models import LocalOptions
from sessions.pipeline.bounds import Bounds
from tests.processes import ROOT

ROW = re.compile(r"^\| `([A-Z][A-Z0-9_]+)` \| (.+?) \|", re.MULTILINE)
OUR_NAME = re.compile(r"REPARTEE_[A-Z0-9_]+")
READERS = {"str", "int", "float", "bool", "list", "db_url", "secret", "get", "getenv", "get_value"}

PUT_TOGETHER = {"REPARTEE_BOUNDS", "REPARTEE_LOCAL_OPTIONS"}  # Django settings made of several variables


def documented() -> dict[str, str]:
    return dict(ROW.findall((ROOT / "docs" / "reference" / "settings.md").read_text()))


def sources() -> Iterator[Path]:
    for package in ("project", "sessions", "agents", "telemetry"):
        yield from (ROOT / package).rglob("*.py")


def variables_read(tree: ast.AST) -> Iterator[str]:
    """Our own names wherever they stand as a string, and whatever is asked of the environment by name."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(name)) if OUR_NAME.fullmatch(name):
                yield name
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]) if reads_environment(function):
                yield name
            case ast.Subscript(value=holder, slice=ast.Constant(value=str(name))) if named(holder, "environ"):
                yield name


def reads_environment(function: ast.expr) -> bool:
    match function:
        case ast.Name(id="secret" | "getenv") | ast.Attribute(attr="getenv"):
            return True
        case ast.Attribute(value=holder, attr=method):
            return method in READERS and (named(holder, "env") or named(holder, "environ"))
    return False


def named(node: ast.expr, name: str) -> bool:
    return (isinstance(node, ast.Name) and node.id == name) or (isinstance(node, ast.Attribute) and node.attr == name)


def bounds() -> dict[str, str]:
    return {f"REPARTEE_{field.name.upper()}": f"`{field.default}`" for field in dataclasses.fields(Bounds)}


def read_by_the_code() -> set[str]:
    found: set[str] = set(bounds())
    for path in sources():
        found.update(variables_read(ast.parse(path.read_text(), filename=str(path))))
    return found - PUT_TOGETHER


def test_every_variable_is_documented() -> None:
    assert read_by_the_code() - documented().keys() == set()


def test_every_documented_variable_is_read() -> None:
    assert documented().keys() - read_by_the_code() == set()


def test_documented_bounds_have_their_true_defaults() -> None:
    assert bounds() == {name: default for name, default in documented().items() if name in bounds()}


def test_documented_local_options_have_their_true_defaults() -> None:
    assert dataclasses.asdict(LocalOptions()) == settings.REPARTEE_LOCAL_OPTIONS


def test_the_reader_of_this_test_sees_each_way_of_reading() -> None:
    code = 'env.int("A_B"); os.environ["C"]; environ.get("D", ""); os.getenv("E"); secret("F"); x = "REPARTEE_G"'
    assert set(variables_read(ast.parse(code))) == {"A_B", "C", "D", "E", "F", "REPARTEE_G"}
