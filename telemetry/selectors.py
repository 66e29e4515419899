"""Reads of the telemetry app."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from telemetry.jitter import Spread, spread
from telemetry.models import Turn
from telemetry.names import DELTA_LATENESS, STOP_DELAY, VOICE_TO_VOICE


@dataclass(frozen=True, slots=True)
class SpreadRow:
    """How one latency of one agent spread, in µs, all of it measured in the same place."""

    agent: str
    latency: str
    provenance: str
    spread: Spread

    @property
    def latency_words(self) -> str:
        return self.latency.replace("_", " ")

    @property
    def provenance_words(self) -> str:
        return self.provenance.replace("_", " ")

    @property
    def p50_ms(self) -> float:
        return self.spread.p50 / 1000

    @property
    def p95_ms(self) -> float:
        return self.spread.p95 / 1000

    @property
    def p99_ms(self) -> float:
        return self.spread.p99 / 1000

    @property
    def jitter_ms(self) -> float:
        return self.spread.jitter / 1000


def turns_of_session(session_id: str) -> QuerySet[Turn]:
    return Turn.objects.filter(session=session_id).order_by("index")


def latency_spreads(*, since: datetime, until: datetime, agent: str | None = None) -> list[SpreadRow]:
    """Voice-to-voice, stop delay and delta lateness of the turns begun in [since, until)."""
    turns = Turn.objects.filter(started_at__gte=since, started_at__lt=until)
    return spreads(turns if agent is None else turns.filter(agent=agent))


def spreads(turns: QuerySet[Turn]) -> list[SpreadRow]:
    """As `latency_spreads`, of any turns."""
    columns = ("agent", "provenance", "stop_provenance", VOICE_TO_VOICE, STOP_DELAY, DELTA_LATENESS)
    grouped: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for agent, provenance, stop_provenance, heard, stopped, late in turns.values_list(*columns).iterator():
        for latency, place, value in (
            (VOICE_TO_VOICE, provenance, heard),
            (STOP_DELAY, stop_provenance, stopped),
            (DELTA_LATENESS, "server", late),
        ):
            if value is not None:
                grouped[agent, latency, place].append(value)
    order = (VOICE_TO_VOICE, STOP_DELAY, DELTA_LATENESS)
    rows = [SpreadRow(*key, found) for key, values in grouped.items() if (found := spread(values))]
    return sorted(rows, key=lambda row: (row.agent, order.index(row.latency), row.provenance))


def session_spreads(session_ids: Iterable[str]) -> dict[str, list[SpreadRow]]:
    """Voice-to-voice of each of these sessions, by session id."""
    turns = Turn.objects.filter(session__in=list(session_ids)).order_by()
    grouped: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for session, agent, provenance, heard in turns.values_list("session", "agent", "provenance", VOICE_TO_VOICE):
        if heard is not None:
            grouped[session, agent, provenance].append(heard)
    rows: dict[str, list[SpreadRow]] = defaultdict(list)
    for (session, agent, provenance), values in sorted(grouped.items()):
        if found := spread(values):
            rows[session].append(SpreadRow(agent, VOICE_TO_VOICE, provenance, found))
    return rows
