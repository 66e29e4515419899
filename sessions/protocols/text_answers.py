"""The answer to a request for words, as it comes into being: what all wires share of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from agents.interfaces import ToolCall, Usage
from sessions.protocols.realtime import to_json

Status = Literal["completed", "incomplete", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an answer failed. `status` is the HTTP status where it can still be sent."""

    status: int
    code: str
    message: str

    def details(self) -> dict[str, Any]:
        kind = "invalid_request_error" if self.status == 400 else "server_error"
        return {"message": self.message, "type": kind, "param": None, "code": self.code}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an answer ended. `reason` is that of one that was cut off: "max_output_tokens" or "content_filter".

    `usage` is None where it is not known: the answer was not finished, or the model's server told nothing.
    """

    status: Status
    reason: str | None = None
    fault: Fault | None = None
    usage: Usage | None = None


class TextWriter(Protocol):
    """Writes one answer in one dialect: frames for a stream, and the whole. No I/O and no clock."""

    def open(self) -> list[bytes]: ...

    def text(self, delta: str) -> list[bytes]: ...

    def call(self, call: ToolCall) -> list[bytes]: ...

    def close(self, outcome: Outcome) -> list[bytes]: ...

    def shown(self) -> dict[str, Any]:
        """The answer as JSON-safe data, as it stands now. Items that have an id are in its `output`."""


def sse(data: Mapping[str, Any], *, event: str | None = None, number: int | None = None) -> bytes:
    """One server-sent event. JSON has no line feeds of its own, so the data is one line."""
    head = (f"event: {event}\n" if event else "") + (f"id: {number}\n" if number is not None else "")
    return f"{head}data: {to_json(data)}\n\n".encode()
