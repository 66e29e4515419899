from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote

from django.core.management.base import BaseCommand, CommandError, CommandParser

from telemetry.models import Turn
from telemetry.outbox import Outbox

DEFAULT_ENDPOINT = "http://127.0.0.1:4318/v1/traces"


class Command(BaseCommand):
    help = (
        "Send finished turns as OTLP spans to a collector, until each is acknowledged. "
        "OTEL_EXPORTER_OTLP_ENDPOINT, _TRACES_ENDPOINT and _HEADERS are honoured."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--endpoint", default=endpoint(), help="OTLP/HTTP traces URL (default: %(default)s)")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--once", action="store_true", help="send what is due, then exit (default)")
        how.add_argument("--follow", action="store_true", help="go on until interrupted")
        parser.add_argument("--every", type=float, default=2.0, help="seconds between two looks with --follow")

    def handle(self, *args: Any, **options: Any) -> None:
        with Outbox(options["endpoint"], headers=headers()) as outbox:
            if options["follow"]:
                self._follow(outbox, options["every"])
                return
            sent = outbox.export_due()
        waiting = Turn.objects.filter(export_state=Turn.Export.PENDING, trace__isnull=False).count()
        self.stdout.write(f"acknowledged: {sent.acknowledged}, refused: {sent.refused}, still pending: {waiting}")
        if sent.postponed:
            raise CommandError(f"{options['endpoint']} is not available; the turns stay pending.")

    def _follow(self, outbox: Outbox, every_s: float) -> None:
        try:
            outbox.follow(every_s=every_s)
        except KeyboardInterrupt:
            self.stdout.write("stopped")


def endpoint() -> str:
    """As the OpenTelemetry environment variables have it."""
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").rstrip("/")
    return os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or (base and f"{base}/v1/traces") or DEFAULT_ENDPOINT


def headers() -> dict[str, str]:
    """OTEL_EXPORTER_OTLP_HEADERS: key=value pairs with commas between them, values percent-encoded."""
    pairs = os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",")
    named = (pair.partition("=") for pair in pairs if "=" in pair)
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in named}
