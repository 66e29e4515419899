"""Where a session is: running in this process, in its records, or still waiting for its client."""

from __future__ import annotations

from dataclasses import dataclass

from channels.db import database_sync_to_async
from django.utils import timezone

from sessions import host
from sessions.auth import Principal
from sessions.cluster.handles import SessionControl
from sessions.errors import Conflict, NotFound
from sessions.host import Ended
from sessions.models import ClientSecret, Session
from sessions.pipeline.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a session. `snapshot` is where `running` is, and records follow a moment later."""

    session_id: str
    running: SessionControl | None = None
    snapshot: Snapshot | None = None
    ended: Ended | None = None
    record: Session | None = None
    waiting: ClientSecret | None = None

    @property
    def agent(self) -> str | None:
        """None if there is no such session."""
        if self.snapshot is not None:
            return self.snapshot.spec.slug
        known = self.ended or self.record or self.waiting
        return known.agent if known else None

    @property
    def live(self) -> bool:
        if self.running is not None or self.ended is not None:
            return self.running is not None
        return self.record is not None and self.record.ended_at is None

    def steerable(self) -> SessionControl:
        """What steers it. `Conflict` says why nothing does."""
        if self.running is not None:
            return self.running
        if self.waiting is not None:
            raise Conflict("No client has come to this session yet.", code="session_waiting")
        if self.live:
            raise Conflict(
                "This session does not run in the process that answers: another one has it, or it was killed. "
                "Send the request to the process that holds the client's connection.",
                code="session_elsewhere",
            )
        raise Conflict("This session has ended.", code="session_ended")


async def find(caller: Principal, session_id: str) -> Found:
    """`NotFound` if there is none, or if it is of an agent that the caller may not use."""
    record, waiting = await database_sync_to_async(_recorded)(session_id)
    owner = host.opened()
    running = None if owner is None else owner.control(session_id)
    ended = None if owner is None else owner.ended(session_id)
    snapshot = None if running is None else await running.snapshot()
    begun = running is not None or ended is not None
    found = Found(session_id, running, snapshot, ended, record, None if begun else waiting)
    if found.agent is None or not caller.may_use(found.agent):
        raise NotFound(f"There is no session '{session_id}', or not for this key.")
    return found


def _recorded(session_id: str) -> tuple[Session | None, ClientSecret | None]:
    """Its record; before there is one, the secret that opens it, also while it is just being opened."""
    record = Session.objects.filter(pk=session_id).first()
    if record is not None:
        return record, None
    alive = ClientSecret.objects.filter(expires_at__gt=timezone.now())
    return None, alive.filter(opens_session=session_id).first()
