"""Reads of what is stored, for those who may see it. Synchronous ORM calls."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

from sessions.auth import Principal
from sessions.control import shapes, showing
from sessions.control.pages import listed, no_such_cursor
from sessions.models import ConversationItem, Session
from sessions.selectors import bubble
from telemetry.selectors import session_spreads

M = TypeVar("M", bound=Model)


def of_agents(rows: QuerySet[M], caller: Principal, field: str = "agent") -> QuerySet[M]:
    """Those rows that belong to agents the caller may use."""
    return rows.filter(**{f"{field}__in": caller.agents}) if caller.agents else rows


def first_of(rows: QuerySet[M], after: str) -> M:
    """The row that a page goes on after. A refusal if there is none."""
    row = rows.first()
    if row is None:
        raise no_such_cursor(after)
    return row


# --- sessions ------------------------------------------------------------------------------------


def sessions(caller: Principal, query: shapes.SessionQuery) -> shapes.SessionList:
    rows = of_agents(Session.objects.order_by("-started_at", "-pk"), caller)
    if query.agent is not None:
        rows = rows.filter(agent=query.agent)
    if query.state is not None:
        rows = rows.filter(ended_at__isnull=query.state == "live")
    if query.after is not None:
        last = first_of(of_agents(Session.objects.filter(pk=query.after), caller), query.after)
        rows = rows.filter(Q(started_at__lt=last.started_at) | Q(started_at=last.started_at, pk__lt=last.pk))
    return listed(shapes.SessionList, rows[: query.limit + 1], query.limit, showing.recorded)


def latencies(session_id: str) -> list[shapes.Latency]:
    """How voice-to-voice spread over the session's turns, apart for each place it was measured in."""
    return [
        shapes.Latency(
            row.latency,
            row.provenance,
            row.spread.count,
            row.p50_ms,
            row.p95_ms,
            row.p99_ms,
            row.jitter_ms,
        )
        for row in session_spreads([session_id]).get(session_id, [])
    ]


def items(session_id: str, query: shapes.ItemQuery) -> shapes.ItemList:
    rows = ConversationItem.objects.filter(session=session_id).select_related("content").order_by("index", "pk")
    if query.after is not None:
        last = first_of(rows.filter(item_id=query.after), query.after)
        rows = rows.filter(Q(index__gt=last.index) | Q(index=last.index, pk__gt=last.pk))
    return listed(shapes.ItemList, rows[: query.limit + 1], query.limit, _item, source="records")


def _item(row: ConversationItem) -> shapes.Item:
    words = bubble(row)
    known: dict[str, Any] = {"text": words.heard + words.unheard, "heard_text": None} if words.has_text else {}
    if words.has_text and row.interrupted:
        known["heard_text"] = words.heard
    return shapes.Item(
        id=row.item_id,
        type=row.kind,  # type: ignore[arg-type]  # one of the model's choices, which are these
        role=row.role or None,
        status="incomplete" if row.interrupted else "completed",
        **known,
        turn=row.turn_index,
        at=row.at.timestamp(),
        heard_ms=row.heard_ms,
        audio_ms=row.audio_ms,
    )
