"""Sends finished turns to an OTLP collector, from their rows, until each is acknowledged.

A row is marked after the collector's answer and never before: a crash in between sends it again, with the
same ids. Nothing is sent from the process that paces audio.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

import httpx
from django.db.models import F, QuerySet
from django.utils import timezone
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it ships none
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource

from telemetry.models import Turn
from telemetry.otel import spans
from telemetry.trace import TurnTrace

log = logging.getLogger(__name__)

BATCH: Final = 64
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0
REFUSALS: Final = frozenset({400, 413, 422})  # about these spans; any other failure is about the way there


class _Unavailable(Exception):
    """The collector did not take the spans, and may take them later."""


class _Refused(Exception):
    """The collector will never take these spans."""


@dataclass(frozen=True, slots=True)
class Exported:
    acknowledged: int = 0
    refused: int = 0
    postponed: int = 0

    def __add__(self, other: Exported) -> Exported:
        return Exported(
            self.acknowledged + other.acknowledged, self.refused + other.refused, self.postponed + other.postponed
        )


class Outbox:
    """Pending turns on their way to `endpoint`, an OTLP/HTTP traces URL. Close it, or use it in a `with`."""

    def __init__(self, endpoint: str, *, headers: Mapping[str, str] | None = None, timeout_s: float = 10.0) -> None:
        self._endpoint = endpoint
        self._client = httpx.Client(
            headers={**(headers or {}), "content-type": "application/x-protobuf"}, timeout=timeout_s
        )
        self._resource = Resource.create({"service.name": "repartee"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def export_due(self) -> Exported:
        """Send every pending turn whose time has come, oldest first. Stops at the first that is postponed."""
        total = Exported()
        while rows := list(_due()[:BATCH]):
            sent = self._export(rows)
            total += sent
            if sent.postponed:
                break
        return total

    def follow(self, *, every_s: float) -> None:
        """Export until interrupted."""
        while True:
            self.export_due()
            time.sleep(every_s)

    def _export(self, rows: Sequence[Turn]) -> Exported:
        try:
            self._send(rows)
        except _Unavailable as error:
            _postpone(rows)
            log.warning("the collector is not available", extra={"turns": len(rows), "reason": str(error)})
            return Exported(postponed=len(rows))
        except _Refused as error:
            if len(rows) > 1:
                return sum((self._export([row]) for row in rows), Exported())
            _settle(rows, Turn.Export.REJECTED)
            log.error(  # noqa: TRY400 - the reason says all
                "the collector refused a turn", extra={"trace_id": rows[0].trace_id, "reason": str(error)}
            )
            return Exported(refused=1)
        _settle(rows, Turn.Export.ACKNOWLEDGED)
        return Exported(acknowledged=len(rows))

    def _send(self, rows: Sequence[Turn]) -> None:
        try:
            all_spans = [span for row in rows for span in spans(TurnTrace.from_dict(row.trace or {}), self._resource)]
        except (TypeError, ValueError) as error:
            raise _Refused("its trace cannot be read") from error
        try:
            answer = self._client.post(self._endpoint, content=encode_spans(all_spans).SerializeToString())
        except httpx.TransportError as error:
            raise _Unavailable(type(error).__name__) from error
        if answer.status_code in REFUSALS:
            raise _Refused(f"HTTP {answer.status_code}")
        if not answer.is_success:
            raise _Unavailable(f"HTTP {answer.status_code}")
        _log_partial_success(answer)


def _due() -> QuerySet[Turn]:
    pending = Turn.objects.filter(export_state=Turn.Export.PENDING, trace__isnull=False)
    return pending.filter(export_after__lte=timezone.now()).order_by("pk")


def _settle(rows: Sequence[Turn], state: Turn.Export) -> None:
    Turn.objects.filter(pk__in=[row.pk for row in rows]).update(
        export_state=state, export_attempts=F("export_attempts") + 1, exported_at=timezone.now()
    )


def _postpone(rows: Sequence[Turn]) -> None:
    """All of a batch wait as long as its most often tried turn: 1 s, doubling up to 5 minutes."""
    attempts = max(row.export_attempts for row in rows)
    pause = timedelta(seconds=min(FIRST_PAUSE_S * 2 ** min(attempts, 20), LONGEST_PAUSE_S))
    Turn.objects.filter(pk__in=[row.pk for row in rows]).update(
        export_attempts=F("export_attempts") + 1, export_after=timezone.now() + pause
    )


def _log_partial_success(answer: httpx.Response) -> None:
    """Spans a collector took in part must not be sent again, says OTLP."""
    try:
        partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    except DecodeError:
        return
    if partial.rejected_spans:
        log.error("the collector dropped spans", extra={"spans": partial.rejected_spans})
