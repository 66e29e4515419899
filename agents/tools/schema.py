"""Arguments of tools: a JSON schema from a dataclass, and what a model wrote checked against it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from jsonschema.exceptions import ValidationError

from agents.errors import ConfigurationError, ToolError
from agents.json_schema import JsonSchema, Uncheckable

MAX_ARGUMENTS = 64 * 1024
"""Characters of JSON a call's arguments may have."""


def parameters_of(arguments: type) -> dict[str, Any]:
    """The JSON schema of a dataclass. `Annotated[…, msgspec.Meta(description=…)]` describes a field."""
    (reference,), defined = msgspec.json.schema_components([arguments])
    schema = dict(defined[reference["$ref"].rsplit("/", 1)[1]])
    schema.pop("title", None)
    return {**schema, "additionalProperties": False}


class Arguments:
    """Reads the arguments of one tool. A schema that is itself wrong is a ConfigurationError."""

    def __init__(self, tool: str, schema: Mapping[str, Any]) -> None:
        try:
            self._checked = JsonSchema(schema)
        except ConfigurationError as error:
            raise ConfigurationError(f"The parameters of the tool {tool}: {error}") from None

    def read(self, text: str) -> dict[str, Any]:
        """The arguments in `text`, valid. A ToolError says what is wrong in words a model can act on."""
        if len(text) > MAX_ARGUMENTS:
            raise ToolError(f"The arguments are longer than {MAX_ARGUMENTS} characters.")
        try:
            arguments = json.loads(text or "{}")
        except (ValueError, RecursionError) as error:
            raise ToolError(f"The arguments are not valid JSON: {error}") from error
        if not isinstance(arguments, dict):
            raise ToolError("The arguments must be a JSON object.")
        try:
            wrong = self._checked.problem(arguments)
        except Uncheckable as error:
            raise ToolError(f"The arguments cannot be checked. {error}") from None
        if wrong is not None:
            raise ToolError(f"The arguments are not valid: {_explain(wrong)}")
        return arguments


def _explain(error: ValidationError) -> str:
    path = ".".join(str(part) for part in error.absolute_path)
    return f"{path}: {error.message}" if path else error.message
