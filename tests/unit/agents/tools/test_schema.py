from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
from msgspec import Meta

from agents.errors import ConfigurationError, ToolError
from agents.tools.schema import MAX_ARGUMENTS, Arguments, parameters_of

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
}


@dataclass
class _Forecast:
    """Docstrings of arguments are for us."""

    city: Annotated[str, Meta(description="Where.")]
    days: int = 1


def test_a_dataclass_becomes_a_schema() -> None:
    schema = parameters_of(_Forecast)
    assert schema["properties"]["city"] == {"type": "string", "description": "Where."}
    assert schema["required"] == ["city"]
    assert schema["additionalProperties"] is False
    assert Arguments("forecast", schema).read('{"city": "Rome", "days": 2}') == {"city": "Rome", "days": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"city": 5}', "city: 5 is not of type 'string'"),
        ('{"city": "Rome", "days": 0}', "days: 0 is less than the minimum"),
        ("{}", "'city' is a required property"),
        ("", "'city' is a required property"),
        ("[1]", "must be a JSON object"),
        ("{city}", "not valid JSON"),
        ("[" * 2_000, "not valid JSON"),
        ('{"city": "' + "x" * MAX_ARGUMENTS + '"}', "longer than"),
    ],
)
def test_wrong_arguments_are_explained(text: str, message: str) -> None:
    with pytest.raises(ToolError, match=message):
        Arguments("forecast", SCHEMA).read(text)


def test_a_wrong_schema_is_the_configurations_fault() -> None:
    with pytest.raises(ConfigurationError, match="forecast"):
        Arguments("forecast", {"type": "objekt"})


def test_arguments_too_deep_for_their_schema_are_explained() -> None:
    tree = {"$defs": {"t": {"properties": {"c": {"$ref": "#/$defs/t"}}}}, "$ref": "#/$defs/t"}
    with pytest.raises(ToolError, match="nested too deeply"):
        Arguments("plant", tree).read('{"c":' * 450 + "{}" + "}" * 450)


def test_a_schema_cannot_make_the_server_fetch_anything() -> None:
    arguments = Arguments("forecast", {"$ref": "http://127.0.0.1:9/schema.json"})
    with pytest.raises(ToolError, match="not in it"):
        arguments.read("{}")
