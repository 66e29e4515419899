"""An operation of the HTTP API: one function whose signature is both what is checked and what is documented.

    @operation(scope="turns")
    def list_turns(caller: Principal, query: TurnQuery) -> TurnList:
        '''Turns, newest first.'''

`query` and `body` are msgspec structs, parsed before the function is called; `request`, if it is asked for,
is Django's. All other parameters come from the path. A function that is not `async` may use the database: it
runs in a thread.

A view that must do all of that itself, because it streams, says with `described` what it takes and gives.
The document at /v1/openapi.json is made of both.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

import msgspec
from channels.db import database_sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from agents.errors import ClientError
from sessions.api import View, json_answer, parsed
from sessions.auth import authenticate_http
from sessions.protocols.realtime_events import explain
from sessions.scopes import Scope

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A view with what is said of it.

    `refusals` are the statuses with which it may refuse, besides those that any request may get. `events` says
    that it can answer with a stream of events too.
    """

    view: View
    name: str
    text: str
    scope: Scope
    status: int = 200
    refusals: tuple[int, ...] = ()
    query: type | None = None
    body: type | None = None
    answer: Any = None
    events: bool = False

    async def __call__(self, request: HttpRequest, **captured: Any) -> HttpResponseBase:
        return await self.view(request, **captured)


def described(*, scope: Scope, **said: Any) -> Callable[[View], Described]:
    """For a view that checks everything itself: its scope, and what else `Described` may hold."""

    def made(view: View) -> Described:
        return Described(view=view, name=view.__name__, text=inspect.getdoc(view) or "", scope=scope, **said)

    return made


def operation(
    *, scope: Scope, status: int = 200, refusals: tuple[int, ...] = ()
) -> Callable[[Callable[..., Any]], Described]:
    """Make a view of a function that answers with a struct."""

    def made(act: Callable[..., Any]) -> Described:
        hints = get_type_hints(act, include_extras=True)
        query, body = hints.get("query"), hints.get("body")
        call = act if inspect.iscoroutinefunction(act) else database_sync_to_async(act)

        async def view(request: HttpRequest, **captured: Any) -> HttpResponseBase:
            caller = await authenticate_http(request, scope=scope)
            if query is not None:
                captured["query"] = queried(request, query)
            if body is not None:
                captured["body"] = parsed(request, body)
            if "request" in hints:
                captured["request"] = request
            answer: dict[str, Any] = msgspec.to_builtins(await call(caller, **captured))
            return json_answer(answer, status=status)

        return Described(
            view=view,
            name=act.__name__,
            text=inspect.getdoc(act) or "",
            scope=scope,
            status=status,
            refusals=refusals,
            query=query,
            body=body,
            answer=hints["return"],
        )

    return made


def queried(request: HttpRequest, kind: type[T]) -> T:
    """What stands after the "?" as `kind`. ClientError names what is wrong, given twice, or not known."""
    given: dict[str, str] = {}
    fields = getattr(kind, "__struct_fields__", ())
    for name, values in request.GET.lists():
        if len(values) > 1 and name in fields:
            raise ClientError(f"'{name[:100]}' is given more than once.", code="invalid_value", param=name[:100])
        given[name] = values[0]
    try:
        query = msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise explain(error) from None
    for name in given:
        if getattr(query, name, "") is None:  # msgspec takes the word "null" for nothing
            raise ClientError(f"'{name}': null is no value here; leave it out.", code="invalid_value", param=name)
    return query
