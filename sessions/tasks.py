"""Background jobs of the sessions app."""

from __future__ import annotations

from celery import shared_task

from sessions import retention


@shared_task
def purge() -> None:
    """Forget what is past its retention, and end the sessions whose process is gone. To run every hour."""
    retention.purge()
