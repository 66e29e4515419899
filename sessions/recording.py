"""Writes the records of sessions. Every write may be repeated without changing what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from sessions.models import ConversationItem, ItemText, Session
from sessions.pipeline.records import ItemRecorded, Record, SessionClosed, SessionOpened, TurnRecorded
from telemetry.counters import count
from telemetry.names import JOURNAL_DROPPED
from telemetry.selectors import turns_of_session
from telemetry.services import store_turns

PURGE_BATCH = 1_000


def store(records: Sequence[Record]) -> None:
    """Store `records` in one transaction, in their order where it matters."""
    with transaction.atomic():
        _store_sessions([record for record in records if isinstance(record, SessionOpened)])
        _store_items([record for record in records if isinstance(record, ItemRecorded)])
        _store_turns([record for record in records if isinstance(record, TurnRecorded)])
        _close_sessions([record for record in records if isinstance(record, SessionClosed)])


def purge_expired_text(*, now: datetime | None = None) -> int:
    """Delete the words whose time is over; returns how many items lost theirs. Items and times stay."""
    expired = ItemText.objects.filter(expires_at__lte=now or timezone.now())
    purged = 0
    while keys := list(expired.values_list("pk", flat=True)[:PURGE_BATCH]):
        purged += ItemText.objects.filter(pk__in=keys).delete()[0]
    return purged


def close_lost_sessions(*, longest: timedelta, now: datetime | None = None) -> int:
    """End the sessions that began over `longest` ago and never said so: their process was killed."""
    lost = Session.objects.filter(ended_at=None, started_at__lt=(now or timezone.now()) - longest)
    return lost.update(ended_at=F("started_at") + longest, end_reason=Session.EndReason.LOST)


def _store_sessions(records: Iterable[SessionOpened]) -> None:
    sessions = {
        record.session_id: Session(
            id=record.session_id,
            agent=record.agent,
            agent_version=record.agent_version,
            transport=record.transport,
            principal=record.principal,
            started_at=record.started_at,
            store_text=record.store_text,
            text_days=record.text_days,
        )
        for record in records
    }
    changing = ("agent", "agent_version", "transport", "principal", "started_at", "store_text", "text_days")
    Session.objects.bulk_create(sessions.values(), update_conflicts=True, unique_fields=("id",), update_fields=changing)


def _store_items(records: Sequence[ItemRecorded]) -> None:
    latest = {(record.session_id, _storable(record.item_id)): record for record in records}
    sessions = Session.objects.in_bulk({session_id for session_id, _ in latest})
    known = {key: record for key, record in latest.items() if record.session_id in sessions}
    if len(known) < len(latest):
        count(JOURNAL_DROPPED, len(latest) - len(known), reason="unknown_session")
    changing = ("index", "turn_index", "kind", "role", "at", "interrupted", "heard_ms", "audio_ms")
    items = ConversationItem.objects.bulk_create(
        [
            ConversationItem(
                session_id=session_id,
                item_id=item_id,
                **{name: getattr(record, name) for name in changing},
            )
            for (session_id, item_id), record in known.items()
        ],
        update_conflicts=True,
        unique_fields=("session", "item_id"),
        update_fields=changing,
    )
    keys = {(item.session_id, item.item_id): item.pk for item in items}
    _store_texts(
        (keys[record.session_id, _storable(record.item_id)], record, sessions[record.session_id].text_days)
        for record in records
        if record.text is not None and record.session_id in sessions and sessions[record.session_id].store_text
    )


def _store_texts(texts: Iterable[tuple[int, ItemRecorded, int]]) -> None:
    rows = {
        key: ItemText(
            item_id=key,
            text=_storable(record.text or ""),
            heard_chars=record.heard_chars,
            expires_at=record.at + timedelta(days=days),
        )
        for key, record, days in texts
    }
    ItemText.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=("item",),
        update_fields=("text", "heard_chars", "expires_at"),
    )


def _storable(text: str) -> str:
    """`text` without NUL, which PostgreSQL does not keep."""
    return text.replace("\x00", "")


def _store_turns(records: Sequence[TurnRecorded]) -> None:
    store_turns(record.trace for record in records)
    for session_id in {record.trace.session_id for record in records}:
        Session.objects.filter(pk=session_id).update(turn_count=turns_of_session(session_id).count())


def _close_sessions(records: Iterable[SessionClosed]) -> None:
    for record in records:
        reason = record.reason if record.reason in Session.EndReason.values else Session.EndReason.CLOSED
        Session.objects.filter(pk=record.session_id).update(ended_at=record.ended_at, end_reason=reason)
