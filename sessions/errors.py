"""Requests that are refused before a session begins, as HTTP knows them.

Refusal           400
├── InvalidKey       401
├── Forbidden        403
│   └── MissingScope
├── NotFound         404
├── UnknownModel     404
├── UnknownResponse  404
├── TooSlow          408
├── Conflict         409
├── TooLarge         413
└── RateLimited      429
    ├── TooManyFailures
    ├── TooManyRequests
    └── TooManySessions
ServerFull        503
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from django.db import DatabaseError

from agents.errors import ClientError, ConfigurationError, Overloaded

RETRY_AFTER_S = 5


class Refusal(ClientError):
    """The request is not valid."""

    status = 400


class InvalidKey(Refusal):
    """No valid API key. Send it as `Authorization: Bearer <key>`."""

    status = 401

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or str(type(self).__doc__), code="invalid_api_key")


class Forbidden(Refusal):
    """This key may not do that."""

    status = 403

    def __init__(self, message: str) -> None:
        super().__init__(message, code="permission_denied")


class MissingScope(Forbidden):
    """This key is not for that."""

    def __init__(self, scope: str, *, secret: bool = False) -> None:
        super().__init__(
            f"A client secret opens Realtime sessions only; this needs an API key with the scope '{scope}'."
            if secret
            else f"This API key lacks the scope '{scope}'. Its operator can add it in the admin, or make a key "
            f"with: manage.py apikey create NAME --scope {scope}"
        )


class NotFound(Refusal):
    """There is no such thing, or not for this key."""

    status = 404

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message, code="not_found", param=param)


class UnknownModel(Refusal):
    """There is no such model, or not for this key."""

    status = 404

    def __init__(self, message: str) -> None:
        super().__init__(message, code="model_not_found", param="model")


class Conflict(Refusal):
    """Not as things stand."""

    status = 409


class UnknownResponse(Refusal):
    """There is no such response, or not for this key."""

    status = 404

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"Response '{response_id[:100]}' not found: it was never stored, or its time is over.",
            code="response_not_found",
            param="response_id",
        )


class TooLarge(Refusal):
    """The request is too large."""

    status = 413

    def __init__(self) -> None:
        super().__init__(str(type(self).__doc__), code="request_too_large")


class TooSlow(Refusal):
    """The request's body did not come in time."""

    status = 408

    def __init__(self) -> None:
        super().__init__(str(type(self).__doc__), code="request_timeout")


class RateLimited(Refusal):
    """Come back in `retry_after_s` seconds, a whole number."""

    status = 429

    def __init__(self, message: str, *, retry_after_s: float, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, code="rate_limit_exceeded")
        self.retry_after_s = max(1, ceil(retry_after_s))
        self.headers = {**(headers or {}), "Retry-After": str(self.retry_after_s)}


class TooManyFailures(RateLimited):
    """Too many requests with a wrong key."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("Too many wrong keys from this address; try again later.", retry_after_s=retry_after_s)


class TooManyRequests(RateLimited):
    """The key has used up its requests of a minute."""

    def __init__(self, limit: int, retry_after_s: float, headers: Mapping[str, str]) -> None:
        message = f"Rate limit reached for this API key: {limit} requests a minute. Wait, or ask its operator for more."
        super().__init__(message, retry_after_s=retry_after_s, headers=headers)


class TooManySessions(RateLimited):
    """The key has as many sessions as it may have at once."""

    def __init__(self, limit: int) -> None:
        message = f"This API key has {limit} sessions open, which is its limit. End one, or ask its operator for more."
        super().__init__(message, retry_after_s=RETRY_AFTER_S)


class ServerFull(Overloaded):
    """This process has no room for a new session just now. Come back in `retry_after_s` seconds, a whole number."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("This server is full. Try again in a few seconds.")
        self.retry_after_s = retry_after_s


REFUSED = (ClientError, ConfigurationError, Overloaded, DatabaseError)
"""What may go wrong between a request and its session, and has an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An error as an HTTP response. `error` is the object that OpenAI's clients read."""

    status: int
    error: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.error}

    @property
    def close_code(self) -> int:
        """For a WebSocket whose upgrade could not be refused: 1013 if it may try again."""
        return 1013 if self.status >= 500 or self.status == 429 else 1008


def answer_to(error: Exception) -> Answer:
    """The answer to one of `REFUSED`. What an operator must repair is not told to the client."""
    match error:
        case RateLimited():
            return Answer(error.status, _details("rate_limit_error", error.code, str(error)), error.headers)
        case ClientError():
            status = error.status if isinstance(error, Refusal) else 404 if error.code == "model_not_found" else 400
            return Answer(status, _details("invalid_request_error", error.code, str(error), error.param))
        case ServerFull():
            return _unavailable(str(error), "server_overloaded", error.retry_after_s)
        case Overloaded():
            return _unavailable(str(error), "server_overloaded")
        case ConfigurationError():
            message = "The agent is not set up correctly; its operator finds the reason in the server's log."
            return Answer(500, _details("server_error", "agent_misconfigured", message))
        case _:
            return _unavailable("The server cannot reach its database; try again shortly.", "server_error")


def bug_answer() -> Answer:
    """What is told of an error of our own."""
    return Answer(500, _details("server_error", "internal_error", "Something went wrong on the server."))


def _unavailable(message: str, code: str, retry_after_s: int = RETRY_AFTER_S) -> Answer:
    return Answer(503, _details("server_error", code, message), {"Retry-After": str(retry_after_s)})


def _details(kind: str, code: str | None, message: str, param: str | None = None) -> dict[str, Any]:
    return {"message": message, "type": kind, "param": param, "code": code}


def request_id() -> str:
    """The id of one HTTP exchange, sent back as `X-Request-Id`."""
    return f"req_{secrets.token_hex(12)}"
