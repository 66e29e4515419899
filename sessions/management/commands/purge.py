from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from sessions import retention


class Command(BaseCommand):
    help = "Delete words, traces, turns and client secrets whose time is over, and end sessions whose process is gone."

    def handle(self, *args: Any, **options: Any) -> None:
        purged = retention.purge()
        self.stdout.write(f"texts deleted: {purged.texts}")
        self.stdout.write(f"traces emptied: {purged.traces}")
        self.stdout.write(f"turns deleted: {purged.turns}")
        self.stdout.write(f"client secrets deleted: {purged.secrets}")
        self.stdout.write(f"lost sessions ended: {purged.lost_sessions}")
