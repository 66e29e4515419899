from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from sessions.journal import DatabaseJournal, Limits
from sessions.models import ConversationItem, ItemText, Session
from sessions.pipeline.records import ItemRecorded, Record, SessionClosed, SessionOpened, TurnRecorded
from sessions.recording import close_lost_sessions, purge_expired_text, store
from telemetry import counters
from telemetry.models import Turn
from tests.integration.databases import sqlite_url, using
from tests.processes import wait_until
from tests.unit.telemetry.turns import turn

NOW = datetime.now(UTC)
QUICK = Limits(linger_s=0.01, first_pause_s=0.02, longest_pause_s=0.1)


def opened(session_id: str = "sess_1", *, store_text: bool = True, at: datetime = NOW) -> SessionOpened:
    return SessionOpened(session_id, "guide", 3, "websocket", "api_key", at, store_text)


def item(n: int = 0, session_id: str = "sess_1", **about: object) -> ItemRecorded:
    settled = {"turn_index": n, "kind": "message", "role": "user", "text": f"words {n}", "at": NOW}
    return ItemRecorded(session_id, n, f"item_{n}", **{**settled, **about})  # type: ignore[arg-type]  # as given


def turn_of(n: int, session_id: str = "sess_1") -> TurnRecorded:
    return TurnRecorded(turn(index=n, session_id=session_id))


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], float]:
    monkeypatch.setattr(counters, "_values", {})
    return lambda name: sum(value for (held, _), value in counters.snapshot().items() if held == name)


@pytest.fixture
def database(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Path]:
    """An empty SQLite file with our tables, waited for 0.2 s when it is locked."""
    with django_db_blocker.unblock(), using(sqlite_url(tmp_path), timeout=0.2):
        yield tmp_path / "records.sqlite3"


@pytest.fixture
def journal(tmp_path: Path) -> DatabaseJournal:
    return DatabaseJournal(tmp_path / "journal", limits=QUICK)


def eventually(condition: Callable[[], bool]) -> None:
    wait_until(condition, within_s=20, what="the journal")


# --- what is stored ------------------------------------------------------------------------------


def keep(journal: DatabaseJournal, *records: Record) -> None:
    journal.start()
    for record in records:
        journal.write(record)
    end(journal)


def end(journal: DatabaseJournal, timeout: float = 5.0) -> None:
    asyncio.run(journal.aclose(timeout))


def test_a_conversation_is_kept(journal: DatabaseJournal, database: Path) -> None:
    reply = item(1, role="assistant", heard_ms=900, audio_ms=2000, interrupted=True, heard_chars=4)
    keep(journal, opened(), item(0), reply, turn_of(0), turn_of(5), SessionClosed("sess_1", NOW, "hang_up"))
    session = Session.objects.get()
    assert (session.agent, session.turn_count, session.end_reason, session.ended_at) == ("guide", 2, "hang_up", NOW)
    said = list(ConversationItem.objects.select_related("content"))
    assert [row.content.text for row in said] == ["words 0", "words 1"]
    assert (said[1].heard_ms, said[1].audio_ms, said[1].interrupted, said[1].content.heard_chars) == (
        900,
        2000,
        True,
        4,
    )
    assert said[0].content.expires_at == NOW + timedelta(days=7)
    assert Turn.objects.filter(voice_to_voice=850_000, export_state="pending").count() == 2


def test_no_word_is_kept_of_an_agent_that_does_not_allow_it(
    journal: DatabaseJournal, database: Path, tmp_path: Path
) -> None:
    secret = "canary-4711"
    keep(journal, opened(store_text=False), item(0, text=secret), SessionClosed("sess_1", NOW, "closed"))
    assert ConversationItem.objects.count() == 1
    assert ItemText.objects.count() == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_a_later_record_of_an_item_replaces_it(journal: DatabaseJournal, database: Path) -> None:
    later = item(0, text="words corrected", heard_ms=5, interrupted=True)
    unsaid = item(0, text=None, heard_ms=6, interrupted=True)
    keep(journal, opened(), item(0), later, unsaid)
    row = ConversationItem.objects.select_related("content").get()
    assert (row.content.text, row.heard_ms, row.interrupted) == ("words corrected", 6, True)


def test_storing_twice_changes_nothing(database: Path) -> None:
    records: list[Record] = [opened(), item(0), turn_of(0), SessionClosed("sess_1", NOW, "closed")]

    def contents() -> list[object]:
        tables = (Session, ConversationItem, ItemText, Turn)
        return [list(table.objects.order_by("pk").values()) for table in tables]

    store(records)
    Turn.objects.update(export_state="acknowledged")
    before = contents()
    store(records)
    assert contents() == before


def test_a_record_the_database_refuses_goes_alone(
    journal: DatabaseJournal, database: Path, counted: Callable[[str], float]
) -> None:
    keep(journal, opened(), item(0), turn_of(2**70), item(1), item(2, session_id="sess_unknown"))
    assert ConversationItem.objects.count() == 2
    assert Turn.objects.count() == 0
    assert counters.snapshot()["journal.dropped", "refused"] == 1
    assert counters.snapshot()["journal.dropped", "unknown_session"] >= 1


def test_writing_never_raises(journal: DatabaseJournal, database: Path) -> None:
    keep(journal, opened(), item(0, text="\ud800"), item(1))
    journal.write(item(2))
    assert ConversationItem.objects.count() == 1
    assert counters.snapshot()["journal.dropped", "unwritable"] == 1
    assert counters.snapshot()["journal.dropped", "closed"] == 1


def test_words_go_when_their_time_is_over_and_the_rest_stays(database: Path) -> None:
    store([opened(), item(0, at=NOW - timedelta(days=8)), item(1)])
    assert purge_expired_text() == 1
    assert [text.text for text in ItemText.objects.all()] == ["words 1"]
    assert ConversationItem.objects.count() == 2


def test_a_session_whose_process_was_killed_is_ended(database: Path) -> None:
    store([opened("old", at=NOW - timedelta(hours=3)), opened("young")])
    assert close_lost_sessions(longest=timedelta(hours=2)) == 1
    assert Session.objects.get(pk="old").end_reason == "lost"
    assert Session.objects.get(pk="young").ended_at is None


# --- when the database is away -------------------------------------------------------------------


def test_writing_does_not_wait_for_a_locked_database(journal: DatabaseJournal, database: Path) -> None:
    """Three seconds of a lock: nothing waits, and all of it is there once, in order, when the lock goes."""
    journal.start()
    with sqlite3.connect(database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        took = []
        for n in range(300):
            started = time.perf_counter()
            for record in (opened(f"sess_{n}"), item(0, f"sess_{n}"), turn_of(0, f"sess_{n}")):
                journal.write(record)
            took.append(time.perf_counter() - started)
            time.sleep(0.01)
        assert Session.objects.count() == 0
        other.execute("ROLLBACK")
    eventually(lambda: Turn.objects.count() == 300)
    assert sum(took) < 3  # who waited for the lock would wait each time
    assert ItemText.objects.count() == ConversationItem.objects.count() == Session.objects.count() == 300


def test_over_the_watermark_records_go_to_disk_and_come_back_in_order(
    tmp_path: Path, database: Path, counted: Callable[[str], float]
) -> None:
    limits = Limits(lines=40, linger_s=0.01, first_pause_s=0.02, longest_pause_s=0.1, batch=7)
    journal = DatabaseJournal(tmp_path / "journal", limits=limits)
    journal.start()
    with sqlite3.connect(database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        journal.write(opened())
        for n in range(200):
            journal.write(item(n % 5, text=f"version {n}", heard_ms=n))
            time.sleep(0.01)
        assert counted("journal.spilled") > 100
        assert list((tmp_path / "journal").rglob("*.jsonl"))
        other.execute("ROLLBACK")
    end(journal)
    versions = list(ConversationItem.objects.select_related("content"))
    assert [(row.heard_ms, row.content.text) for row in versions] == [(n, f"version {n}") for n in range(195, 200)]
    assert counted("journal.dropped") == 0
    assert not list((tmp_path / "journal").iterdir())


def test_what_cannot_be_stored_by_the_end_is_stored_at_the_next_start(tmp_path: Path, database: Path) -> None:
    first = DatabaseJournal(tmp_path / "journal", limits=QUICK)
    with sqlite3.connect(database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        keep(first, opened(), *(item(n) for n in range(50)), turn_of(0))
        assert time.monotonic() - started < 2
        other.execute("ROLLBACK")
    assert Session.objects.count() == 0
    second = DatabaseJournal(tmp_path / "journal", limits=QUICK)
    keep(second, SessionClosed("sess_1", NOW, "shutdown"))
    session = Session.objects.get()
    assert (session.end_reason, session.turn_count) == ("shutdown", 1)
    assert ItemText.objects.count() == 50


def test_a_writer_that_hangs_does_not_hold_up_the_end(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock(), using(sqlite_url(tmp_path), timeout=3):
        hanging = DatabaseJournal(tmp_path / "journal", limits=QUICK)
        with sqlite3.connect(tmp_path / "records.sqlite3", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            hanging.start()
            hanging.write(opened())
            hanging.write(item(0))
            time.sleep(0.2)
            hanging.write(turn_of(0))
            started = time.monotonic()
            end(hanging, timeout=0.5)
            assert time.monotonic() - started < 2
            other.execute("ROLLBACK")
        eventually(lambda: not hanging._thread.is_alive())
        keep(DatabaseJournal(tmp_path / "journal", limits=QUICK))
        assert Session.objects.get().turn_count == 1
        assert ItemText.objects.count() == 1


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process can grow."""
    held, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (held, most))
        signal.signal(signal.SIGXFSZ, heard)


def test_a_full_disk_is_waited_out_in_memory(
    tmp_path: Path, database: Path, counted: Callable[[str], float], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the database nor the spill can grow: writing goes on, one line is logged, nothing is lost."""
    limits = Limits(lines=100, linger_s=0.01, first_pause_s=0.02, longest_pause_s=0.1)
    journal = DatabaseJournal(tmp_path / "journal", limits=limits)
    journal.start()
    with full_disk():
        for n in range(30):
            for record in (opened(f"sess_{n}"), item(0, f"sess_{n}")):
                journal.write(record)
            time.sleep(0.02)
        assert Session.objects.count() == 0
    eventually(lambda: ItemText.objects.count() == 30)
    end(journal)
    assert counted("journal.dropped") == 0
    assert sum("neither be stored nor spilled" in line for line in caplog.messages) == 1


def test_when_there_is_room_nowhere_the_oldest_go_and_are_counted(
    tmp_path: Path, database: Path, counted: Callable[[str], float], caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(lines=50, linger_s=0.01, first_pause_s=0.02, longest_pause_s=0.1)
    journal = DatabaseJournal(tmp_path / "journal", limits=limits)
    journal.start()
    with full_disk():
        for n in range(200):
            journal.write(opened(f"sess_{n:03d}"))
            time.sleep(0.002)
    end(journal)
    kept = list(Session.objects.order_by("id").values_list("id", flat=True))
    assert len(kept) + counted("journal.dropped") == 200
    assert len(kept) >= 50
    assert kept[-50:] == [f"sess_{n:03d}" for n in range(150, 200)]
    assert sum("being lost" in line for line in caplog.messages) == 1
