"""Bounds on what a client sends: lengths, tools, and JSON of any shape, whose length is known before it is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from agents.errors import ClientError
from agents.interfaces import ToolSpec
from sessions.pipeline.bounds import Bounds
from sessions.protocols.realtime_events import JsonObject, ToolFunction, explain

Text = TypeVar("Text", bound=str | bytes)
NESTING = 64
"""Levels of nesting allowed in JSON of any shape: a tool's parameters, a pushed event, tracing metadata."""
_object: msgspec.json.Decoder[dict[str, Any] | None] = msgspec.json.Decoder(dict[str, Any] | None)


def check_length(text: Text, limit: int, param: str | None) -> Text:
    """The text, if it has no more than `limit` characters."""
    if len(text) > limit:
        raise ClientError(f"At most {limit} characters, got {len(text)}.", param=param)
    return text


def size_of(given: JsonObject) -> int:
    """Bytes of JSON, as it was sent."""
    return len(memoryview(given))


def read_object(given: JsonObject, limit: int, param: str) -> dict[str, Any] | None:
    """The object, or None for null. A ClientError if it is neither, longer than `limit` bytes, or nested too deeply."""
    if (size := size_of(given)) > limit:
        raise ClientError(f"At most {limit} bytes of JSON, got {size}.", param=param)
    try:
        value = _object.decode(given)
    except msgspec.ValidationError as error:
        raise explain(error, within=param) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ClientError("This is not valid JSON, or too deeply nested.", code="invalid_json", param=param) from None
    _check_depth(value, param)
    return value


def read_tools(tools: Sequence[ToolFunction], bounds: Bounds, param: str) -> tuple[ToolSpec, ...]:
    """A ClientError if there are too many of them, or too much in one or all."""
    if len(tools) > bounds.tools:
        raise ClientError(f"At most {bounds.tools} tools, got {len(tools)}.", param=param)
    if (size := sum(size_of(tool.parameters) for tool in tools)) > bounds.schema_bytes:
        raise ClientError(
            f"The parameters of all tools may have {bounds.schema_bytes} bytes of JSON; these have {size}. "
            "Describe them more briefly, or give fewer tools.",
            param=param,
        )
    return tuple(_tool(tool, bounds, f"{param}[{index}]") for index, tool in enumerate(tools))


def _tool(tool: ToolFunction, bounds: Bounds, param: str) -> ToolSpec:
    description = tool.description or ""
    check_length(description, bounds.item_text_chars, f"{param}.description")
    parameters = read_object(tool.parameters, bounds.schema_bytes, f"{param}.parameters")
    return ToolSpec(tool.name, description, parameters or {})


def _check_depth(value: object, param: str) -> None:
    """Refuse what is nested so deeply that writing it again would overflow the stack."""
    level = [value]
    for _ in range(NESTING):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise ClientError(f"Nested more than {NESTING} levels deep.", param=param)


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
