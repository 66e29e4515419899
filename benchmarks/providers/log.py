"""When things happened to each request, by the server's own clock."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

PIECES = 64


@dataclass(slots=True)
class Entry:
    """Times are seconds of CLOCK_MONOTONIC, which all processes of a machine share; None is "not (yet)".

    `received`: the request's head. `body`: its last byte. `first_byte`, `last_byte`: of the answer's body, as
    handed to the socket, and so `pieces`, its first PIECES ones. `disconnected`: the client left before the last byte.
    """

    id: int
    path: str
    received: float
    script: str = ""
    body: float | None = None
    status: int | None = None
    first_byte: float | None = None
    last_byte: float | None = None
    disconnected: float | None = None
    sent_bytes: int = 0
    pieces: list[float] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    asked: dict[str, object] = field(default_factory=dict)


class Log:
    """The last `size` requests."""

    def __init__(self, size: int = 10_000) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)
        self._next_id = 0

    def open(self, path: str, script: str, headers: dict[str, str]) -> Entry:
        entry = Entry(self._next_id, path, time.monotonic(), script, headers=headers)
        self._next_id += 1
        self._entries.append(entry)
        return entry

    def since(self, first_id: int) -> list[Entry]:
        return [entry for entry in self._entries if entry.id >= first_id]
