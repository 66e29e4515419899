from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from django.db import OperationalError, connections
from psycopg import sql
from pytest_django.plugin import DjangoDbBlocker

from sessions.journal import DatabaseJournal, Limits
from sessions.models import Session
from sessions.pipeline.records import SessionOpened, TurnRecorded
from telemetry import counters
from telemetry.models import Turn
from tests.integration.databases import using
from tests.processes import wait_until
from tests.unit.telemetry.turns import turn

NAME = "journal_faults"


class Database:
    """A PostgreSQL database that ends its connections and refuses new ones, as a restart does, until it is back."""

    def __init__(self, url: str) -> None:
        self.url = f"{url.rsplit('/', 1)[0]}/{NAME}"
        self._control = psycopg.connect(f"{url.rsplit('/', 1)[0]}/postgres", autocommit=True)
        self._control.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))

    def leave(self) -> None:
        connections["default"].close()
        self._allow(False)
        self._control.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (NAME,))

    def come_back(self) -> None:
        self._allow(True)

    def remove(self) -> None:
        self._control.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(NAME)))
        self._control.close()

    def _allow(self, allowed: bool) -> None:
        statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        self._control.execute(statement.format(sql.Identifier(NAME), sql.Literal(allowed)))


@pytest.fixture
def postgresql(postgres_url: str, django_db_blocker: DjangoDbBlocker) -> Iterator[Database]:
    database = Database(postgres_url)
    pool = {"min_size": 1, "max_size": 4, "timeout": 0.5}
    with django_db_blocker.unblock(), using(database.url, pool=pool):
        yield database
    database.remove()


def test_nothing_is_lost_or_doubled_while_postgresql_is_away(
    postgresql: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "_values", {})
    limits = Limits(lines=1000, spill_share=0.02, linger_s=0.01, first_pause_s=0.05, longest_pause_s=0.2)
    journal = DatabaseJournal(tmp_path / "journal", limits=limits)
    journal.start()
    try:
        took = list(write_while_away(journal, postgresql))
        wait_until(all_arrived, within_s=30, what="the records' return")
    finally:
        asyncio.run(journal.aclose(5))
    assert sum(took) < 3  # who waited for the server would wait each time
    assert counters.snapshot()["journal.replayed", ""] > 0
    assert Session.objects.filter(turn_count=1).count() == 150
    assert Turn.objects.count() == 150
    assert not list((tmp_path / "journal").rglob("*.jsonl"))


def write_while_away(journal: DatabaseJournal, postgresql: Database) -> Iterator[float]:
    """Seconds that each write took."""
    for n in range(150):
        if n == 30:
            postgresql.leave()
        if n == 120:
            postgresql.come_back()
        started = time.perf_counter()
        journal.write(SessionOpened(f"sess_{n}", "guide", 1, "websocket", "api_key", datetime.now(UTC)))
        journal.write(TurnRecorded(turn(session_id=f"sess_{n}")))
        yield time.perf_counter() - started
        time.sleep(0.02)


def all_arrived() -> bool:
    try:
        return Turn.objects.count() == 150
    except OperationalError:
        return False
