"""Structured output: what an agent wrote as JSON, checked against its schema before anybody acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from agents.errors import ConfigurationError, InvalidOutput

MAX_OUTPUT = 64 * 1024
"""Characters that structured output may have."""


class OutputSchema:
    """A JSON schema (draft 2020-12). ConfigurationError if it is none.

    References to other documents are not followed, so a schema cannot make the server fetch anything.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = dict(schema)
        try:
            Draft202012Validator.check_schema(self.schema)
        except SchemaError as error:
            place = ".".join(["schema", *(str(part) for part in error.absolute_path)])
            raise ConfigurationError(f"this is no JSON schema: {place}: {error.message}") from None
        self._validator = Draft202012Validator(self.schema, registry=Registry())

    def read(self, text: str) -> Any:
        """The value that `text` is, valid. InvalidOutput names the path of what is wrong, and quotes nothing."""
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise InvalidOutput("The output is not JSON.") from None
        try:
            wrong = best_match(self._validator.iter_errors(value))
        except Unresolvable:
            raise InvalidOutput("The schema refers to something that is not in it.") from None
        if wrong is not None:
            place = ".".join(["output", *(str(part) for part in wrong.absolute_path)])
            raise InvalidOutput(f"{place}: does not satisfy '{wrong.validator}' of its schema.")
        return value
