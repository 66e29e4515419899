"""Background jobs of the sessions app."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.conf import settings

from sessions.recording import close_lost_sessions, purge_expired_text


@shared_task
def purge() -> None:
    """Forget the words whose time is over, and end the sessions whose process is gone. To run every hour."""
    purge_expired_text()
    close_lost_sessions(longest=longest_session())


def longest_session() -> timedelta:
    """No session that still runs began longer ago: the bound, and as long again to drain and to record it."""
    return timedelta(seconds=2 * settings.REPARTEE_BOUNDS.session_s)
