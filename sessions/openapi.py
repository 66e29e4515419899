"""The HTTP API as an OpenAPI 3.1 document, made of the addresses there are and of what their views take and give."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern
from msgspec import Struct

from sessions.api import json_answer
from sessions.operations import Described

Json = dict[str, Any]
REFERENCE = "#/components/schemas/"
_VARIABLE = re.compile(r"<[^:>]+:([^>]+)>")
ANY_REQUEST = (401, 403, 429, 500, 503)
"""Refusals that every operation may answer with."""
TAGS = {
    "realtime": "client secrets for Realtime sessions, which themselves are on the WebSocket `/v1/realtime`",
    "chat": "chat completions",
    "responses": "responses, which may be resumed and cancelled",
    "models": "the agents as models",
    "sessions": "sessions, to prepare, watch, steer and end",
    "agents": "agents and their versions, to read",
    "turns": "turns and their traces, to read",
    "health": "for what runs the server; no key needed",
}


class ErrorDetails(Struct, frozen=True):
    """`code` is for programs, and `param` is the path of the field that is wrong, where one is."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(Struct, frozen=True):
    error: ErrorDetails


class Health(Struct, frozen=True):
    """`missing` names the models that are not loaded yet."""

    status: str
    missing: list[str] = []


@dataclass(frozen=True, slots=True)
class Address:
    """One address of the API: `path` as OpenAPI writes it, and what may stand for each of its variables."""

    path: str
    variables: dict[str, str]
    operations: dict[str, Described]


async def openapi(request: HttpRequest) -> HttpResponse:
    """This document. It says nothing of this very server, so nobody needs a key for it."""
    return json_answer(document())


@cache
def document() -> Json:
    found = list(addresses())
    types = [kind for address in found for op in address.operations.values() for kind in (op.query, op.body, op.answer)]
    schemas = _Schemas([kind for kind in types if kind is not None])
    paths = {address.path: _path(address, schemas) for address in found}
    for address in found:
        _link(paths[address.path], address, [one for one in found if one.path.startswith(f"{address.path}/{{")])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Repartee",
            "version": "1",
            "description": "Voice agents over HTTP. The voices themselves are on the WebSocket `/v1/realtime`.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": {**paths, **_without_key(schemas)},
        "components": {
            "schemas": schemas.used(),
            "headers": _HEADERS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key, `sk_…`."}},
        },
    }


def addresses() -> Iterator[Address]:
    """Every address whose views are described, as the server knows them."""
    for route, pattern in _routes(get_resolver().url_patterns):
        views = getattr(pattern.callback, "views", {})
        operations = {method: view for method, view in views.items() if isinstance(view, Described)}
        if operations:
            variables = {name: converter.regex for name, converter in pattern.pattern.converters.items()}
            yield Address("/" + _VARIABLE.sub(r"{\1}", route), variables, operations)


def _routes(patterns: Iterable[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for one in patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _routes(one.url_patterns, route)
        elif isinstance(one.pattern, RoutePattern):
            yield route, one


class _Schemas:
    """JSON schemas of all types at once, so that equal names do not clash."""

    def __init__(self, types: list[Any]) -> None:
        self._types = list(dict.fromkeys([*types, Error, Health]))
        shown, self._components = msgspec.json.schema_components(self._types, ref_template=REFERENCE + "{name}")
        self._shown = dict(zip(self._types, shown, strict=True))
        self._queries: set[str] = set()
        _allow_untagged(self._components)

    def of(self, kind: Any) -> Json:
        shown: Json = self._shown[kind]
        return shown

    def query(self, kind: type) -> Json:
        """The schema of a query, whose fields become parameters: it is no component of its own."""
        name = self._shown[kind]["$ref"].removeprefix(REFERENCE)
        self._queries.add(name)
        schema: Json = self._components[name]
        return schema

    def used(self) -> Json:
        return {name: schema for name, schema in sorted(self._components.items()) if name not in self._queries}


def _allow_untagged(components: Json) -> None:
    """A struct that is no choice among several may leave out its tag, whatever msgspec's schema says."""
    chosen = {reference for schema in _within(components) for reference in schema.get("mapping", {}).values()}
    for name, schema in components.items():
        if REFERENCE + name not in chosen:
            for field in [*schema.get("required", ())]:
                if len(schema["properties"][field].get("enum", ())) == 1:
                    schema["required"].remove(field)


def _within(schema: object) -> Iterator[Json]:
    """Every object in a schema."""
    if isinstance(schema, dict):
        yield schema
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for one in inner:
        yield from _within(one)


# --- the pieces ----------------------------------------------------------------------------------

_HEADERS: Json = {
    "X-Request-Id": {"description": "Names this exchange.", "schema": {"type": "string"}},
    "x-ratelimit-limit-requests": {"description": "Requests a minute.", "schema": {"type": "string"}},
    "x-ratelimit-remaining-requests": {"description": "What is left of them.", "schema": {"type": "string"}},
    "x-ratelimit-reset-requests": {"description": "When all are there again.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string"}},
}
_QUOTA = ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")


def _path(address: Address, schemas: _Schemas) -> Json:
    variables = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": f"^{regex}$"}}
        for name, regex in address.variables.items()
    ]
    return {
        **({"parameters": variables} if variables else {}),
        **{
            method.lower(): _operation(op, address.path.split("/")[2], schemas)
            for method, op in address.operations.items()
        },
    }


def _operation(op: Described, tag: str, schemas: _Schemas) -> Json:
    summary, _, more = op.text.partition("\n\n")
    needs = f"The key needs the scope `{op.scope}`."
    shown: Json = {
        "operationId": op.name,
        "tags": [tag],
        "summary": " ".join(summary.split()),
        "description": f"{' '.join(more.split())} {needs}".strip(),
        "security": [{"key": [op.scope]}],
    }
    if op.query is not None:
        shown["parameters"] = _parameters(schemas.query(op.query))
    if op.body is not None:
        shown["requestBody"] = _body(op.body, schemas)
    return {**shown, "responses": _responses(op, schemas)}


def _parameters(schema: Json) -> list[Json]:
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": _without_null(field)}
        for name, field in schema["properties"].items()
    ]


def _without_null(schema: Json) -> Json:
    """An address cannot say null: what is not given is left out."""
    rest = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(rest) != 1:
        return schema
    return {**rest[0], **{name: value for name, value in schema.items() if name not in ("anyOf", "default")}}


def _link(path: Json, address: Address, below: list[Address]) -> None:
    """What was listed or made at an address is what those below it are about: their first further variable."""
    for method, pointer in (("get", "data/0/id"), ("post", "id")):
        if method not in path or not below:
            continue
        links = {}
        for one in below:
            (new, *_) = [name for name in one.variables if name not in address.variables]
            known = {name: f"$request.path.{name}" for name in address.variables}
            for op in one.operations.values():
                parameters = {**known, new: f"$response.body#/{pointer}"}
                links[op.name] = {"operationId": op.name, "parameters": parameters}
        status = str(address.operations[method.upper()].status)
        path[method]["responses"][status]["links"] = links


def _body(kind: type, schemas: _Schemas) -> Json:
    required = any(field.required for field in msgspec.structs.fields(kind))
    return {"required": required, "content": {"application/json": {"schema": schemas.of(kind)}}}


def _responses(op: Described, schemas: _Schemas) -> Json:
    content: Json = {"application/json": {"schema": schemas.of(op.answer)}}
    if op.events:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    refusals = {*ANY_REQUEST, *op.refusals}
    refusals |= {400} if op.query or op.body else set()
    refusals |= {408, 413} if op.body else set()
    return {
        str(op.status): _response("Done.", content, "X-Request-Id", *_QUOTA),
        **{str(status): _refusal(status, schemas) for status in sorted(refusals)},
    }


def _refusal(status: int, schemas: _Schemas) -> Json:
    headers = ("Retry-After",) if status in (429, 503) else ()
    content = {"application/json": {"schema": schemas.of(Error)}}
    return _response(f"{HTTPStatus(status).phrase}.", content, "X-Request-Id", *headers)


def _response(text: str, content: Json, *headers: str) -> Json:
    shown = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    return {"description": text, **({"headers": shown} if shown else {}), "content": content}


def _without_key(schemas: _Schemas) -> Json:
    """What anybody may ask: these views are not of the API, and so not among its operations."""
    health = {"application/json": {"schema": schemas.of(Health)}}
    anything = {"application/json": {"schema": {"type": "object"}}}

    def get(name: str, text: str, responses: Json) -> Json:
        said = {"operationId": name, "tags": ["health"], "summary": text, "security": []}
        return {"get": {**said, "responses": responses}}

    return {
        "/v1/openapi.json": get("openapi", "This document.", {"200": _response("The document.", anything)}),
        "/healthz": get("alive", "Whether the process lives.", {"200": _response("It does.", health)}),
        "/readyz": get(
            "ready",
            "Whether every model is loaded, so that callers may come; with `?room`, whether one more would.",
            {"200": _response("It is ready.", health), "503": _response("Not yet.", health)},
        ),
    }
