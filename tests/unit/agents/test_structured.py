from __future__ import annotations

from typing import Any

import pytest

from agents.errors import ConfigurationError, InvalidOutput
from agents.structured import OutputSchema

ORDER = {
    "type": "object",
    "properties": {"action": {"enum": ["buy", "sell"]}, "legs": {"type": "array", "items": {"type": "integer"}}},
    "required": ["action"],
    "additionalProperties": False,
}


def test_what_satisfies_the_schema_is_read() -> None:
    assert OutputSchema(ORDER).read('{"action": "buy", "legs": [1, 2.0]}') == {"action": "buy", "legs": [1, 2.0]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("buy", "not JSON"),
        ("", "not JSON"),
        ('{"action": "buy"} and more', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"action": "hold"}', r"output.action: does not satisfy 'enum'"),
        ('{"action": "buy", "legs": [1, "secret"]}', r"output.legs.1: does not satisfy 'type'"),
        ("{}", r"output: does not satisfy 'required'"),
    ],
)
def test_what_does_not_is_named_by_its_path_and_not_quoted(text: str, reason: str) -> None:
    with pytest.raises(InvalidOutput, match=reason) as wrong:
        OutputSchema(ORDER).read(text)
    assert "secret" not in str(wrong.value)
    assert wrong.value.code == "invalid_output"


@pytest.mark.parametrize("schema", [{"type": "objekt"}, {"properties": {"a": {"minimum": "x"}}}])
def test_a_schema_that_is_none_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="no JSON schema: schema"):
        OutputSchema(schema)


TREE = {"$defs": {"t": {"properties": {"c": {"$ref": "#/$defs/t"}}}}, "$ref": "#/$defs/t"}


@pytest.mark.parametrize("schema", [TREE, {"$ref": "#"}])
def test_what_is_too_deep_for_its_schema_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidOutput, match="nested too deeply for its schema"):
        OutputSchema(schema).read('{"c":' * 450 + "{}" + "}" * 450)


def test_a_schema_that_is_too_deep_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"items": deep}
    with pytest.raises(ConfigurationError, match="too deeply nested"):
        OutputSchema(deep)


def test_a_schema_cannot_make_the_server_fetch_anything() -> None:
    with pytest.raises(InvalidOutput, match="not in it"):
        OutputSchema({"$ref": "http://example.com/schema.json"}).read("{}")
