"""Agents as code: the YAML file that `manage.py agent apply` reads and `agent export` writes.

Pure: it knows the file's shape and where each value stands in it, and nothing of the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta
from msgspec.inspect import StructType, Type, UnionType, VarTupleType, type_info

from agents import changes
from agents.errors import ConfigurationError
from agents.spec import AgentSpec, Part, Slug, ToolRef

Seconds = Annotated[float, Meta(gt=0, le=120)]
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>.*?)`(?: - at `(?P<path>.*)`)?\Z")
_PLACED = re.compile(r"(?P<message>.*) - at `(?P<path>\$.*)`\Z", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_UNQUOTED = re.compile(r"Expected `str`.*, got `(bool|int|float|date|datetime)`")


class FileError(ConfigurationError):
    """The file is not valid. `line` counts from 1."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


class AccountEntry(Part, frozen=True, kw_only=True):
    """A provider account. Without a key the stored one is kept; `api_key_env` names a variable to read it from."""

    name: Slug
    kind: str
    base_url: str = ""
    api_key: str | None = None
    api_key_env: str = ""
    connect_timeout_s: Seconds = 3.0
    first_output_timeout_s: Seconds = 10.0
    stall_timeout_s: Seconds = 5.0


class ToolEntry(Part, frozen=True, kw_only=True):
    """A webhook. Without a signing secret the stored one is kept."""

    name: str
    description: str
    url: str
    parameters: dict[str, Any] = {}
    signing_secret: str | None = None
    signing_secret_env: str = ""
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 10.0
    side_effects: bool = True


class AgentFile(Part, frozen=True, kw_only=True):
    accounts: tuple[AccountEntry, ...] = ()
    tools: tuple[ToolEntry, ...] = ()
    agents: tuple[AgentSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Lines:
    """Where each value of a file stands, by a path such as "$.agents[0].stt.account"."""

    by_path: Mapping[str, int] = field(default_factory=dict)

    def at(self, path: str) -> int | None:
        """The line of `path`, or of the nearest thing around it."""
        while path not in self.by_path and path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.by_path.get(path)

    def error(self, message: str, path: str) -> FileError:
        return FileError(message, self.at(path))


def parse(text: str, is_builtin: Callable[[str], bool]) -> tuple[AgentFile, Lines]:
    """What the file says, and where. A tool named alone is built in or a webhook, as `is_builtin` knows."""
    root = _compose(text)
    lines = Lines(dict(_positions(root, "$", ())))
    data = yaml.constructor.SafeConstructor().construct_document(root)
    _prepare_agents(data, lines, is_builtin)
    try:
        parsed = msgspec.convert(data, AgentFile)
    except msgspec.ValidationError as error:
        raise _explained(str(error), lines) from None
    _refuse_twins(parsed, lines)
    return parsed, lines


def dump(file: AgentFile) -> str:
    """The file's text, without what equals the defaults. `parse(dump(f))` is `f`."""
    data = changes.sparse(file)
    for agent in data.get("agents", []):
        agent.pop("version", None)
        if "tools" in agent:
            agent["tools"] = [tool["name"] for tool in agent["tools"]]
    return dump_value(data)


def dump_value(data: Any) -> str:
    """JSON-safe data as YAML."""
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _compose(text: str) -> yaml.Node:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise FileError(f"not valid YAML: {error.problem or error.context}", mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise FileError(f"not valid YAML: {getattr(error, 'reason', 'unreadable')}") from None
    if not isinstance(root, yaml.MappingNode):
        raise FileError("the file must be a mapping with accounts, tools or agents", 1)
    return root


def _positions(node: yaml.Node, path: str, around: tuple[yaml.Node, ...]) -> Iterator[tuple[str, int]]:
    """(path, line) of `node` and all below it; a key's line counts, not its value's."""
    if node in around:
        raise FileError("an anchor contains itself", node.start_mark.line + 1)
    if not around:
        yield path, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield f"{path}[{index}]", item.start_mark.line + 1
            yield from _positions(item, f"{path}[{index}]", (*around, node))
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise FileError("a key must be plain text", line)
            if key.value in seen:
                raise FileError(f'the key "{key.value}" stands twice', line)
            seen.add(key.value)
            yield f"{path}.{key.value}", line
            yield from _positions(value, f"{path}.{key.value}", (*around, node))


def _prepare_agents(data: Any, lines: Lines, is_builtin: Callable[[str], bool]) -> None:
    """In place: tools named alone become references. A version number is refused: it is given, not written."""
    agents = data.get("agents") if isinstance(data, dict) else None
    for index, agent in enumerate(agents if isinstance(agents, list) else ()):
        if not isinstance(agent, dict):
            continue
        path = f"$.agents[{index}]"
        if "version" in agent:
            raise lines.error('unknown key "version": versions are numbered when they are published', f"{path}.version")
        if isinstance(agent.get("tools"), list):
            agent["tools"] = [
                _reference(tool, is_builtin, lines, f"{path}.tools[{n}]") for n, tool in enumerate(agent["tools"])
            ]


def _reference(tool: Any, is_builtin: Callable[[str], bool], lines: Lines, path: str) -> Any:
    if not isinstance(tool, str):
        raise lines.error('a tool is given by its name; describe a webhook under "tools:" at the top', path)
    kind = "builtin" if is_builtin(tool) else "webhook"
    return {"name": tool, "kind": kind}


def reference(name: str, is_builtin: Callable[[str], bool]) -> ToolRef:
    """The reference that a tool's bare name stands for."""
    return ToolRef(name=name, kind="builtin" if is_builtin(name) else "webhook")


def _explained(message: str, lines: Lines) -> FileError:
    if unknown := _UNKNOWN.match(message):
        path, key = unknown["path"] or "$", unknown["key"]
        known = _keys_at(path)
        close = get_close_matches(key, known, n=1)
        hint = f'; did you mean "{close[0]}"?' if close else f"; known here: {', '.join(known)}"
        return lines.error(f'unknown key "{key}"{_within(path)}{hint}', f"{path}.{key}")
    if placed := _PLACED.match(message):
        quote = " (put it in quotes)" if _UNQUOTED.match(placed["message"]) else ""
        return lines.error(f"{placed['path'].removeprefix('$.')}: {placed['message']}{quote}", placed["path"])
    return lines.error(message, "$")


def _within(path: str) -> str:
    return f" in {path.removeprefix('$.')}" if path != "$" else ""


def _keys_at(path: str) -> list[str]:
    """The keys that the object at `path` may have; "version" is not for writing."""
    place: Type = type_info(AgentFile)
    for key, _ in _STEP.findall(path):
        place = _struct(place)
        if key:
            place = next((f.type for f in place.fields if f.name == key), place)  # type: ignore[attr-defined]
    struct = _struct(place)
    return [f.name for f in struct.fields if f.name != "version"] if isinstance(struct, StructType) else []


def _struct(place: Type) -> Type:
    """The struct inside a list or an optional."""
    if isinstance(place, VarTupleType):
        return _struct(place.item_type)
    if isinstance(place, UnionType):
        return next((kind for kind in place.types if isinstance(kind, StructType)), place)
    return place


def _refuse_twins(file: AgentFile, lines: Lines) -> None:
    for group, key in (("accounts", "name"), ("tools", "name"), ("agents", "slug")):
        seen: set[str] = set()
        for index, entry in enumerate(getattr(file, group)):
            name = getattr(entry, key)
            if name in seen:
                raise lines.error(f'{group} has "{name}" twice', f"$.{group}[{index}].{key}")
            seen.add(name)
