"""Writes of the telemetry app."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from telemetry.models import Turn
from telemetry.names import COST_USD
from telemetry.trace import TurnTrace

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
