"""Structured output: what an agent wrote as JSON, checked against its schema before anybody acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from agents.errors import InvalidOutput
from agents.json_schema import JsonSchema, Uncheckable

MAX_OUTPUT = 64 * 1024
"""Characters that structured output may have."""


class OutputSchema:
    """Reads what is to satisfy a JSON schema. A schema that is itself wrong is a ConfigurationError."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = dict(schema)
        self._checked = JsonSchema(schema)

    def read(self, text: str) -> Any:
        """The value that `text` is, valid. InvalidOutput names the path of what is wrong, and quotes nothing."""
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise InvalidOutput("The output is not JSON.") from None
        try:
            wrong = self._checked.problem(value)
        except Uncheckable as error:
            raise InvalidOutput(f"The output cannot be checked. {error}") from None
        if wrong is not None:
            place = ".".join(["output", *(str(part) for part in wrong.absolute_path)])
            raise InvalidOutput(f"{place}: does not satisfy '{wrong.validator}' of its schema.")
        return value
