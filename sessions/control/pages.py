"""Lists in pages, as OpenAI's are: the newest first unless said otherwise, and `after` goes on where one ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Generic, Literal, Protocol, TypeVar

from msgspec import Meta, Struct

from sessions.errors import NotFound

MOST = 100

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,96}$")]
UnixTime = Annotated[int, Meta(ge=0, le=32_503_680_000, description="seconds since 1970, UTC")]

Row = TypeVar("Row")
Shown = TypeVar("Shown")
Made = TypeVar("Made")


class Page(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=MOST, description="how many at most")] = 20
    after: Annotated[Id | None, Meta(description="the id of the last one known: the list goes on behind it")] = None


class Listed(Struct, Generic[Shown], frozen=True, kw_only=True):
    """`has_more`: there are more behind `last_id`, which is what to ask `after`."""

    object: Literal["list"] = "list"
    data: list[Shown]
    first_id: str | None
    last_id: str | None
    has_more: bool


class HasId(Protocol):
    @property
    def id(self) -> str: ...


def listed(
    kind: Callable[..., Made], rows: Iterable[Row], limit: int, show: Callable[[Row], HasId], **more: object
) -> Made:
    """A page of `kind` from its rows and, if there are more, one row that is only counted."""
    found = list(rows)
    data = [show(row) for row in found[:limit]]
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return kind(data=data, first_id=first, last_id=last, has_more=len(found) > limit, **more)


def no_such_cursor(after: str) -> NotFound:
    return NotFound(f"There is nothing with the id '{after}' to go on after.", param="after")
