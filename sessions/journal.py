"""The journal that ends in the database: written beside the audio, never in its way.

    write() → lines in memory → one writer thread → the database
                    └─ while it is away, over a watermark → a spill on disk ─┘ replayed in order

Lines leave memory, and spilled lines the disk, only after the database has committed them; a line stored
twice changes nothing. What cannot be kept anywhere is counted and logged once an outage.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connections

from sessions.pipeline.records import ItemRecorded, Record, SessionClosed, SessionOpened
from sessions.record_lines import decode, encode
from sessions.recording import store
from sessions.spill import Spill, abandoned
from telemetry.counters import count, gauge
from telemetry.names import JOURNAL_DROPPED, JOURNAL_PENDING, JOURNAL_REPLAYED, JOURNAL_SPILLED

log = logging.getLogger(__name__)

AWAY: Final = (OperationalError, InterfaceError)
REFUSED: Final = (DatabaseError, ValueError, OverflowError)


@dataclass(frozen=True, slots=True)
class Limits:
    """Over `spill_share` of `lines` or `bytes` in memory, lines go to disk; over all of it the oldest go.

    On disk the oldest go beyond `spill_bytes`. A batch is what one transaction takes; `linger_s` lets one
    gather. Pauses double from the first to the longest while the database is away.
    """

    lines: int = 20_000
    bytes: int = 32 * 1024 * 1024
    spill_share: float = 0.25
    spill_bytes: int = 512 * 1024 * 1024
    batch: int = 200
    linger_s: float = 0.2
    first_pause_s: float = 0.25
    longest_pause_s: float = 10.0


class DatabaseJournal:
    """A `sessions.pipeline.records.Journal`. `start` it before the first session, `aclose` it after the last."""

    def __init__(
        self, folder: Path, *, limits: Limits | None = None, store: Callable[[Sequence[Record]], None] = store
    ) -> None:
        self._folder = folder
        self._limits = limits or Limits()
        self._store = store
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._in_flight: list[bytes] = []
        self._deadline: float | None = None
        self._closed = False
        self._keeps_text: set[str] = set()
        self._spills: deque[Spill] = deque()
        self._own: Spill | None = None
        self._reported: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    # --- any thread ------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def write(self, record: Record) -> None:
        """Take a record to keep. Never waits and never raises."""
        try:
            line = encode(self._without_private_text(record))
        except (TypeError, ValueError):
            self._lose("unwritable")
            return
        with self._changed:
            closed = self._closed
            if not closed:
                self._lines.append(line)
                self._bytes += len(line)
            overflow = self._trim()
            self._changed.notify()
        self._lose("closed", int(closed))
        self._lose("memory_full", overflow)

    async def aclose(self, timeout: float = 5.0) -> None:
        """Store what is left, or put it on disk if the database does not answer within `timeout` seconds."""
        if not self._thread.is_alive():
            return
        with self._changed:
            self._deadline = time.monotonic() + timeout
            self._changed.notify()
        await asyncio.to_thread(self._thread.join, timeout)
        if self._thread.is_alive():
            await asyncio.to_thread(self._give_up)

    def _without_private_text(self, record: Record) -> Record:
        match record:
            case SessionOpened(store_text=True):
                self._keeps_text.add(record.session_id)
            case SessionClosed():
                self._keeps_text.discard(record.session_id)
            case ItemRecorded() if record.session_id not in self._keeps_text:
                return dataclasses.replace(record, text=None)
        return record

    def _trim(self) -> int:
        lost = 0
        while len(self._lines) > self._limits.lines or self._bytes > self._limits.bytes:
            self._bytes -= len(self._lines.popleft())
            lost += 1
        return lost

    def _lose(self, reason: str, lines: int = 1) -> None:
        if not lines:
            return
        count(JOURNAL_DROPPED, lines, reason=reason)
        if reason not in self._reported:
            self._reported.add(reason)
            log.error("session records are being lost", extra={"reason": reason})

    def _give_up(self) -> None:
        """The writer hangs in a call. Everything it has not confirmed goes to a spill of its own."""
        with self._changed:
            self._closed = True
            lines = [*self._in_flight, *self._lines]
            self._lines.clear()
        if not lines:
            return
        try:
            spill = self._new_spill()
            spill.append(lines)
            spill.close()
        except OSError:
            self._lose("disk_full", len(lines))

    # --- the writer thread -----------------------------------------------------------------------

    def _run(self) -> None:
        pause = 0.0
        try:
            self._adopt()
            while self._wait(pause):
                if self._drain():
                    pause = 0.0
                    self._reported.clear()
                else:
                    pause = min(max(pause * 2, self._limits.first_pause_s), self._limits.longest_pause_s)
                    self._relieve()
                gauge(JOURNAL_PENDING, len(self._lines))
        finally:
            for spill in self._spills:
                spill.close()
            connections.close_all()

    def _adopt(self) -> None:
        try:
            self._spills.extend(abandoned(self._folder, max_bytes=self._limits.spill_bytes))
        except OSError:
            log.exception("spilled session records cannot be read")

    def _wait(self, pause: float) -> bool:
        """Wait for lines, or out the pause after a failure. False: all is done, or the time for it is over."""
        with self._changed:
            if pause:
                self._changed.wait_for(lambda: self._deadline is not None, pause)
            elif not self._spills:
                self._changed.wait_for(lambda: self._lines or self._deadline is not None)
                self._changed.wait_for(lambda: self._deadline is not None, self._limits.linger_s)
            if self._deadline is None or self._closed:
                return not self._closed
            self._closed = not self._lines and not self._spills
            if not pause or self._closed:
                return not self._closed
        spilled = self._relieve(everything=True)
        with self._changed:
            self._closed = (spilled and not self._lines) or time.monotonic() > self._deadline
            return not self._closed

    def _drain(self) -> bool:
        """Store everything, oldest first; False when the database is away."""
        try:
            while not self._closed:
                if self._spills:
                    self._replay(self._spills[0])
                elif not self._store_batch():
                    return True
                self._relieve()
        except AWAY as error:
            connections.close_all()
            self._put_back()
            if "away" not in self._reported:
                self._reported.add("away")
                log.warning("the database is away; session records wait", extra={"error": type(error).__name__})
        return False

    def _store_batch(self) -> bool:
        with self._changed:
            size = min(len(self._lines), self._limits.batch)
            self._in_flight = [self._lines.popleft() for _ in range(size)]
            self._bytes -= sum(map(len, self._in_flight))
        self._store_lines(self._in_flight)
        with self._changed:
            self._in_flight = []
            return bool(self._lines)

    def _put_back(self) -> None:
        with self._changed:
            if not self._closed:
                self._lines.extendleft(reversed(self._in_flight))
                self._bytes += sum(map(len, self._in_flight))
            self._in_flight = []

    def _replay(self, spill: Spill) -> None:
        """Store the oldest file of a spill, and then forget it."""
        if spill:
            lines = self._read(spill)
            for start in range(0, len(lines), self._limits.batch):
                self._store_lines(lines[start : start + self._limits.batch])
            count(JOURNAL_REPLAYED, len(lines))
            spill.drop_first()
        if not spill:
            self._spills.remove(spill)
            spill.close()
            self._own = None if spill is self._own else self._own

    def _read(self, spill: Spill) -> list[bytes]:
        try:
            return spill.first()
        except OSError:
            self._lose("disk_unreadable")
            return []

    def _store_lines(self, lines: Sequence[bytes]) -> None:
        records = []
        for line in lines:
            try:
                records.append(decode(line))
            except ValueError:
                self._lose("unreadable")
        try:
            self._store(records)
        except AWAY:
            raise
        except REFUSED:
            self._store_singly(records)

    def _store_singly(self, records: Sequence[Record]) -> None:
        """One record the database refuses must not take its batch with it."""
        for record in records:
            try:
                self._store([record])
            except AWAY:
                raise
            except REFUSED:
                self._lose("refused")

    def _relieve(self, *, everything: bool = False) -> bool:
        """Move lines from memory to disk if there are too many. True: memory is as empty as was asked."""
        with self._changed:
            share = self._limits.spill_share
            over = len(self._lines) > share * self._limits.lines or self._bytes > share * self._limits.bytes
            lines = list(self._lines) if over or everything else []
        if not lines:
            return True
        try:
            if self._own is None:
                self._own = self._new_spill()
                self._spills.append(self._own)
            self._lose("spill_full", self._own.append(lines))
        except OSError:
            self._report_full_disk()
            return False
        count(JOURNAL_SPILLED, len(lines))
        with self._changed:
            for line in lines:
                if self._lines and self._lines[0] is line:
                    self._bytes -= len(self._lines.popleft())
        return True

    def _report_full_disk(self) -> None:
        if "disk" not in self._reported:
            self._reported.add("disk")
            log.error("session records can neither be stored nor spilled; they wait in memory")

    def _new_spill(self) -> Spill:
        name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
        return Spill(self._folder / name, max_bytes=self._limits.spill_bytes)


def database_journal() -> DatabaseJournal:
    """The journal of this process, as the settings have it."""
    return DatabaseJournal(settings.REPARTEE_DATA / "journal")
