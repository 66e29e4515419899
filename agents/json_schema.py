"""JSON schemas: one that is valid, and values checked against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from agents.errors import ConfigurationError


class Uncheckable(Exception):
    """Nobody can say whether a value satisfies the schema; the message says why not."""


class JsonSchema:
    """A JSON schema (draft 2020-12). ConfigurationError if it is none.

    References to other documents are not followed, so a schema cannot make the server fetch anything.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        try:
            Draft202012Validator.check_schema(dict(schema))
        except SchemaError as error:
            place = ".".join(["schema", *(str(part) for part in error.absolute_path)])
            raise ConfigurationError(f"this is no JSON schema: {place}: {error.message}") from None
        except RecursionError:
            raise ConfigurationError("this is no JSON schema: it is too deeply nested") from None
        self._validator = Draft202012Validator(dict(schema), registry=Registry())

    def problem(self, value: object) -> ValidationError | None:
        """What is most wrong with `value`. Uncheckable if the schema, or the two together, cannot be followed."""
        try:
            worst: ValidationError | None = best_match(self._validator.iter_errors(value))
        except Unresolvable:
            raise Uncheckable("The schema refers to something that is not in it.") from None
        except RecursionError:
            raise Uncheckable("It is nested too deeply for its schema.") from None
        return worst
