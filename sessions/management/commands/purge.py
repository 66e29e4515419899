from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from sessions.recording import close_lost_sessions, purge_expired_text
from sessions.tasks import longest_session


class Command(BaseCommand):
    help = "Delete the words whose retention is over, and end sessions whose process is gone."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"texts deleted: {purge_expired_text()}")
        self.stdout.write(f"lost sessions ended: {close_lost_sessions(longest=longest_session())}")
