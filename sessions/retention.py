"""What is forgotten when its time is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from sessions.keys import delete_expired_secrets
from sessions.recording import close_lost_sessions, purge_expired_text
from telemetry.services import delete_turns, empty_traces


@dataclass(frozen=True, slots=True)
class Purged:
    """How many items lost their words, turns their trace, turns and client secrets were deleted, sessions were over."""

    texts: int
    traces: int
    turns: int
    secrets: int
    lost_sessions: int


def purge(*, now: datetime | None = None) -> Purged:
    """Delete what is past its retention, and end the sessions whose process is gone."""
    now = now or timezone.now()
    return Purged(
        texts=purge_expired_text(now=now),
        turns=delete_turns(before=now - timedelta(days=settings.REPARTEE_TURN_DAYS)),
        traces=empty_traces(before=now - timedelta(days=settings.REPARTEE_TRACE_DAYS)),
        secrets=delete_expired_secrets(now=now),
        lost_sessions=close_lost_sessions(longest=_longest_session(), now=now),
    )


def _longest_session() -> timedelta:
    """No session that still runs began longer ago: the bound, and as long again to drain and to record it."""
    return timedelta(seconds=2 * settings.REPARTEE_BOUNDS.session_s)
