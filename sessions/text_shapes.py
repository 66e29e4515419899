"""What text over HTTP answers, as far as a client may rely on it. The objects are OpenAI's, and hold more."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

EventNumber = Annotated[int, Meta(ge=-1, le=2**31)]


class ChatCompletion(Struct, frozen=True):
    """With `stream` it comes in chunks, as server-sent events."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=1)]
    usage: dict[str, Any]


class Response(Struct, frozen=True):
    """With `stream` what happens comes as server-sent events, numbered from 0."""

    id: str
    object: Literal["response"]
    created_at: int
    model: str
    status: Literal["in_progress", "completed", "incomplete", "failed", "cancelled"]
    output: list[dict[str, Any]]
    usage: dict[str, Any] | None
    error: dict[str, Any] | None
    metadata: dict[str, str]


class FollowQuery(Struct, frozen=True):
    """Other parameters of OpenAI's are passed over."""

    stream: Annotated[bool, Meta(description="answer with the events instead")] = False
    starting_after: Annotated[EventNumber | None, Meta(description="the last event known")] = None


class DeletedResponse(Struct, frozen=True):
    id: str
    object: Literal["response"]
    deleted: bool


class Model(Struct, frozen=True):
    """An agent. `created` is always 0."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(Struct, frozen=True):
    object: Literal["list"]
    data: list[Model]
