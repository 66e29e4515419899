"""Specs as plain data: written out in full, and compared field by field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

import msgspec

from agents.spec import AgentSpec, Part

IDENTITY = ("slug", "version")
PARTS = frozenset(
    f.name for f in msgspec.structs.fields(AgentSpec) if isinstance(f.type, type) and issubclass(f.type, Part)
)
"""Fields of a spec that have fields of their own."""
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs. `path` is dotted, as in "turn_detection.threshold"."""

    path: str
    before: Any
    after: Any


def complete(spec: AgentSpec) -> dict[str, Any]:
    """`spec` as JSON-safe data with its defaults written out: a later default does not change it."""
    written: dict[str, Any] = _written_out(spec)
    return written


def _written_out(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {name: _written_out(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [_written_out(item) for item in value]
    return value


def sparse(value: Any) -> Any:
    """`value` as JSON-safe data without what equals the default, as a person would write it."""
    if isinstance(value, msgspec.Struct):
        return {
            field.name: sparse(own)
            for field in msgspec.structs.fields(value)
            if (own := getattr(value, field.name)) != _default(field)
        }
    if isinstance(value, tuple):
        return [sparse(item) for item in value]
    return value


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def flatten(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of each leaf; lists and JSON schemas are leaves."""
    for key, value in data.items():
        if isinstance(value, dict) and prefix + key in PARTS:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def diff(before: AgentSpec, after: AgentSpec) -> list[Change]:
    """What differs besides slug and version, in the order of the spec."""
    old, new = dict(flatten(complete(before))), dict(flatten(complete(after)))
    return [Change(path, old[path], new[path]) for path in new if path not in IDENTITY and old[path] != new[path]]


def same(before: AgentSpec, after: AgentSpec) -> bool:
    return not diff(before, after)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that a change "kept", "added" or "removed"."""

    kind: Literal["kept", "added", "removed"]
    text: str


def text_diff(before: str, after: str) -> list[Piece]:
    """How `before` became `after`, word by word."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    pieces: list[Piece] = []
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(Piece("kept", "".join(old[i1:i2])))
            continue
        if i1 < i2:
            pieces.append(Piece("removed", "".join(old[i1:i2])))
        if j1 < j2:
            pieces.append(Piece("added", "".join(new[j1:j2])))
    return pieces
