"""Writes of the telemetry app."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from django.db.models import QuerySet

from telemetry.models import Turn
from telemetry.names import COST_USD
from telemetry.trace import TurnTrace

PURGE_BATCH: Final = 1_000

_KEY = ("session", "index")
_KEPT = ("id", *_KEY, "export_state", "export_attempts", "export_after", "exported_at")
_REPLACED = [field.name for field in Turn._meta.concrete_fields if field.name not in _KEPT]  # noqa: SLF001 - public API


def store_turns(traces: Iterable[TurnTrace]) -> None:
    """Store finished turns. The same turn again replaces what was stored and leaves its export state."""
    turns = {(trace.session_id, trace.index): _turn(trace) for trace in traces}
    Turn.objects.bulk_create(
        turns.values(),
        update_conflicts=True,
        unique_fields=_KEY,
        update_fields=_REPLACED,
    )


def empty_traces(*, before: datetime) -> int:
    """Empty the traces of turns begun before then, sent or not; returns of how many. Their figures stay."""
    return _in_batches(
        Turn.objects.filter(started_at__lt=before, trace__isnull=False), lambda turns: turns.update(trace=None)
    )


def delete_turns(*, before: datetime) -> int:
    """Delete the turns begun before then; returns how many there were."""
    return _in_batches(Turn.objects.filter(started_at__lt=before), lambda turns: turns.delete()[0])


def _in_batches(turns: QuerySet[Turn], work: Callable[[QuerySet[Turn]], int]) -> int:
    """Do `work`, after which they are no longer among `turns`, on few enough at a time to lock nobody out for long."""
    done = 0
    while keys := list(turns.values_list("pk", flat=True)[:PURGE_BATCH]):
        done += work(Turn.objects.filter(pk__in=keys))
    return done


def _turn(trace: TurnTrace) -> Turn:
    cost = trace.facts.get(COST_USD)
    return Turn(
        session=trace.session_id,
        index=trace.index,
        trace_id=trace.trace_id,
        started_at=datetime.fromtimestamp(trace.started_ns / 1e9, UTC),
        agent=trace.agent,
        agent_version=trace.agent_version,
        transport=trace.transport,
        kind=trace.kind,
        initiator=trace.initiator,
        end_reason=trace.end_reason,
        provenance=trace.provenance or "",
        stop_provenance=trace.stop_provenance or "",
        cost_micro_usd=round(cost * 1_000_000) if isinstance(cost, int | float) else None,
        trace=trace.to_dict(),
        **trace.latencies,
    )
