"""Every address under /v1 is in the OpenAPI document, and docs/reference/http.md lists all of that with its scopes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from django.urls import URLPattern, URLResolver, get_resolver

from sessions.openapi import document
from tests.processes import ROOT

PAGE = ROOT / "docs" / "reference" / "http.md"
ROW = re.compile(r"^\| `([A-Z]+) (/[^ `]*)` \| (?:`([a-z]+)`|–) \|", re.MULTILINE)
METHODS = {"get", "post", "put", "patch", "delete"}


def unnamed(path: str) -> str:
    """A path whose variables have no names: the page calls them as readers know them."""
    return re.sub(r"[{<][^}>]*[}>]", "{}", path)


def in_the_document() -> dict[tuple[str, str], str | None]:
    """(method, path) → scope"""
    found: dict[tuple[str, str], str | None] = {}
    for path, operations in document()["paths"].items():
        for method in METHODS & operations.keys():
            scopes = [scope for needed in operations[method]["security"] for scope in needed["key"]]
            found[method.upper(), unnamed(path)] = scopes[0] if scopes else None
    return found


def routes(patterns: Iterable[URLPattern | URLResolver], prefix: str = "/") -> Iterator[tuple[str, str]]:
    """(method, path) of every address that the server has under /v1."""
    for one in patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, route)
        elif route.startswith("/v1/"):
            for method in getattr(one.callback, "views", ()):
                yield method, unnamed(route)


def test_every_address_is_in_the_document_and_nothing_else() -> None:
    documented = {address for address in in_the_document() if address[1].startswith("/v1/")}

    assert set(routes(get_resolver().url_patterns)) == documented


def test_the_page_lists_what_is_in_the_document() -> None:
    (table, *_) = PAGE.read_text().split("\n## ")
    listed = {(method, unnamed(path)): scope or None for method, path, scope in ROW.findall(table)}

    assert listed == in_the_document()


def test_every_operation_has_a_name_of_its_own_and_says_what_it_is_for() -> None:
    operations = [one for path in document()["paths"].values() for method, one in path.items() if method in METHODS]
    names = [one["operationId"] for one in operations]

    assert len(set(names)) == len(names)
    assert [one["operationId"] for one in operations if not one["summary"].strip(".")] == []
    tags = {tag["name"] for tag in document()["tags"]}
    assert {tag for one in operations for tag in one["tags"]} == tags
