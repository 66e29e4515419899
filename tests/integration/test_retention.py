from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import LazySettings
from django.core.management import call_command

from sessions import keys, retention, tasks
from sessions.models import ClientSecret, ConversationItem, ItemText, Session
from sessions.pipeline.records import ItemRecorded, SessionOpened, TurnRecorded
from sessions.recording import store
from telemetry import services
from telemetry.models import Turn
from telemetry.trace import Anchor, TurnMarks, TurnTrace, close_turn

pytestmark = pytest.mark.django_db
NOW = datetime(2031, 5, 1, 12, tzinfo=UTC)


def turn(index: int, at: datetime) -> TurnTrace:
    marks = TurnMarks(lambda: 0.0)
    marks.stamp("turn_open")
    return close_turn(
        marks,
        anchor=Anchor(round(at.timestamp() * 1e9), 0.0),
        session_id="sess_1",
        index=index,
        agent="guide",
        agent_version=1,
        transport="websocket",
        kind="text",
        initiator="user",
        end_reason="completed",
    )


def conversation(*days_ago: float, now: datetime = NOW) -> None:
    """A session with a turn, and something said, that many days ago each."""
    times = [now - timedelta(days=days) for days in days_ago]
    said = [ItemRecorded("sess_1", n, f"item_{n}", n, "message", "user", "Hello", at) for n, at in enumerate(times)]
    opened = SessionOpened("sess_1", "guide", 1, "websocket", "api_key", times[0], True)
    store([opened, *said, *(TurnRecorded(turn(n, at)) for n, at in enumerate(times))])


def kept() -> list[tuple[int, bool]]:
    """(index, whether its trace is there) of the turns that are left."""
    rows = Turn.objects.order_by("index").values_list("index", "trace")
    return [(index, trace is not None) for index, trace in rows]


def test_words_go_first_then_traces_then_turns() -> None:
    conversation(181, 179, 31, 29, 8, 6)
    purged = retention.purge(now=NOW)
    assert purged == retention.Purged(texts=5, traces=2, turns=1, secrets=0, lost_sessions=1)
    assert kept() == [(1, False), (2, False), (3, True), (4, True), (5, True)]
    assert ItemText.objects.count() == 1
    assert ConversationItem.objects.count() == 6
    assert Session.objects.count() == 1
    assert retention.purge(now=NOW) == retention.Purged(texts=0, traces=0, turns=0, secrets=0, lost_sessions=0)


def test_how_long_is_a_setting(settings: LazySettings) -> None:
    settings.REPARTEE_TRACE_DAYS, settings.REPARTEE_TURN_DAYS = 2, 10
    conversation(11, 9, 3, 1)
    retention.purge(now=NOW)
    assert kept() == [(1, False), (2, False), (3, True)]


def test_figures_stay_when_a_trace_goes() -> None:
    conversation(31)
    before = Turn.objects.values().get()
    retention.purge(now=NOW)
    assert Turn.objects.values().get() == {**before, "trace": None}


def test_more_than_a_batch_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "PURGE_BATCH", 2)
    conversation(*[200] * 5, *[40] * 5, 1)
    purged = retention.purge(now=NOW)
    assert (purged.turns, purged.traces) == (5, 5)
    assert kept() == [*((n, False) for n in range(5, 10)), (10, True)]


def test_secrets_go_when_they_have_expired() -> None:
    issued = keys.issue_secret(agent="guide", session={"instructions": "Be kind."})
    assert retention.purge(now=issued.expires_at - timedelta(microseconds=1)).secrets == 0
    assert retention.purge(now=issued.expires_at).secrets == 1
    assert not ClientSecret.objects.exists()


def test_the_command_says_what_went() -> None:
    conversation(200, 40, 1, now=datetime.now(UTC))
    out = io.StringIO()
    call_command("purge", stdout=out)
    assert out.getvalue() == (
        "texts deleted: 2\ntraces emptied: 1\nturns deleted: 1\nclient secrets deleted: 0\nlost sessions ended: 1\n"
    )


def test_the_background_job_does_the_same() -> None:
    conversation(200, 40, 1, now=datetime.now(UTC))
    tasks.purge.delay()
    assert kept() == [(1, False), (2, True)]
