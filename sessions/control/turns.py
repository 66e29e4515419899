"""Turns and their traces over REST, to read."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from django.db.models import Q, QuerySet

from sessions.auth import Principal
from sessions.control import shapes
from sessions.control.pages import listed, no_such_cursor
from sessions.control.records import first_of, of_agents
from sessions.errors import NotFound
from sessions.operations import operation
from telemetry.models import Turn


@operation(scope="turns", refusals=(404,))
def list_turns(caller: Principal, query: shapes.TurnQuery) -> shapes.TurnList:
    """Finished turns, newest first."""
    rows = of_agents(Turn.objects.order_by("-started_at", "-pk"), caller).defer("trace")
    if query.session is not None:
        rows = rows.filter(session=query.session)
    if query.agent is not None:
        rows = rows.filter(agent=query.agent)
    if query.since is not None:
        rows = rows.filter(started_at__gte=datetime.fromtimestamp(query.since, UTC))
    if query.until is not None:
        rows = rows.filter(started_at__lt=datetime.fromtimestamp(query.until, UTC))
    if query.after is not None:
        last = first_of(_of_id(caller, query.after), query.after)
        rows = rows.filter(Q(started_at__lt=last.started_at) | Q(started_at=last.started_at, pk__lt=last.pk))
    return listed(shapes.TurnList, rows[: query.limit + 1], query.limit, _shown)


@operation(scope="turns", refusals=(404,))
def show_turn(caller: Principal, turn_id: str) -> shapes.TurnDetail:
    """One turn with its whole trace: marks, facts and the critical path."""
    turn = _of_id(caller, turn_id).first()
    if turn is None:
        raise NotFound(f"There is no turn '{turn_id}', or not for this key.")
    return shapes.TurnDetail(**msgspec.structs.asdict(_shown(turn)), trace=turn.trace)


def _of_id(caller: Principal, turn_id: str) -> QuerySet[Turn]:
    """The turn of an id such as "sess_4f….3", as `repartee.turn` and the first audio of an answer have it."""
    session, _, index = turn_id.rpartition(".")
    if not index.isascii() or not index.isdecimal() or len(index) > 9:
        raise no_such_cursor(turn_id)
    return of_agents(Turn.objects.filter(session=session, index=int(index)), caller)


def _shown(turn: Turn) -> shapes.Turn:
    return shapes.Turn(
        id=f"{turn.session}.{turn.index}",
        session=turn.session,
        index=turn.index,
        agent=turn.agent,
        version=turn.agent_version,
        transport=turn.transport,
        kind=turn.kind,
        initiator=turn.initiator,
        started_at=turn.started_at.timestamp(),
        end_reason=turn.end_reason,
        measured=turn.provenance or None,
        latencies_ms={name: us / 1000 for name, us in turn.latencies().items()},
    )
