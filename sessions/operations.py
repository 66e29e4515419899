"""An operation of the HTTP API: one function whose signature is both what is checked and what is documented.

    @operation(scope="turns")
    async def list_turns(caller: Principal, query: TurnQuery) -> TurnList:
        '''Turns, newest first.'''

`query` and `body` are msgspec structs, parsed before the function is called; `request`, if it is asked for,
is Django's. All other parameters come from the path. A function that is not `async` may use the database: it
runs in a thread. The document at /v1/openapi.json is made of these.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

import msgspec
from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse

from agents.errors import ClientError
from sessions.api import json_answer, parsed
from sessions.auth import authenticate_http
from sessions.protocols.realtime_events import explain
from sessions.scopes import Scope

T = TypeVar("T")
Act = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A view. `refusals` are the statuses, besides those that any request may get, with which it may refuse."""

    act: Act
    scope: Scope
    status: int
    refusals: tuple[int, ...]
    parameters: frozenset[str]
    query: type | None
    body: type | None
    answer: Any
    summary: str

    async def __call__(self, request: HttpRequest, **captured: Any) -> HttpResponse:
        caller = await authenticate_http(request, scope=self.scope)
        if self.query is not None:
            captured["query"] = queried(request, self.query)
        if self.body is not None:
            captured["body"] = parsed(request, self.body)
        if "request" in self.parameters:
            captured["request"] = request
        return json_answer(await self.act(caller, **captured), status=self.status)


def operation(*, scope: Scope, status: int = 200, refusals: tuple[int, ...] = ()) -> Callable[[Act], Operation]:
    """Make a view of a function that answers with a struct."""

    def made(act: Act) -> Operation:
        hints = get_type_hints(act, include_extras=True)
        return Operation(
            act=act if inspect.iscoroutinefunction(act) else database_sync_to_async(act),
            scope=scope,
            status=status,
            refusals=refusals,
            parameters=frozenset(hints),
            query=hints.get("query"),
            body=hints.get("body"),
            answer=hints["return"],
            summary=inspect.getdoc(act) or "",
        )

    return made


def queried(request: HttpRequest, kind: type[T]) -> T:
    """What stands after the "?" as `kind`. ClientError names what is wrong, given twice, or not known."""
    given: dict[str, str] = {}
    for name, values in request.GET.lists():
        if len(values) > 1:
            raise ClientError(f"'{name[:100]}' is given more than once.", code="invalid_value", param=name[:100])
        given[name] = values[0]
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise explain(error) from None
