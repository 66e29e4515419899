"""docs/reference/events.md lists every event of the Realtime protocol, and with http.md every code of an error."""

from __future__ import annotations

import re
from pathlib import Path

from sessions.protocols.realtime_events import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    SERVER_EXTENSION_EVENTS,
)

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "events.md"
CODE = re.compile(r"\bcode=\"([a-z_]+)\"")
ROW = re.compile(r"^\| `([a-z_.]+)` \|", re.MULTILINE)


def events_under(heading: str) -> list[str]:
    (section,) = [part for part in PAGE.read_text().split("\n## ") if part.startswith(heading)]
    return ROW.findall(section)


def test_events_taken_are_listed() -> None:
    assert sorted(events_under("Taken from a client")) == sorted(CLIENT_EVENTS)


def test_events_sent_are_listed() -> None:
    assert sorted(events_under("Sent to a client")) == sorted(SERVER_EVENTS)


def test_extensions_are_listed() -> None:
    assert sorted(events_under("Extensions")) == sorted(SERVER_EXTENSION_EVENTS)


def test_codes_of_errors_are_listed() -> None:
    sources = [path for package in ("agents", "sessions") for path in (PAGE.parents[2] / package).rglob("*.py")]
    codes = {code for path in sources for code in CODE.findall(path.read_text())}
    listed = PAGE.read_text() + PAGE.with_name("http.md").read_text()
    assert sorted(code for code in codes if f"`{code}`" not in listed) == []
