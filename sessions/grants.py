"""What the maker of a client secret decides for its holder, checked against what it may decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from django.conf import settings

from agents.errors import ClientError
from agents.spec import AgentSpec, Override
from sessions.access import agent_for
from sessions.auth import Principal
from sessions.errors import Forbidden
from sessions.protocols.checks import check_length
from sessions.protocols.realtime import starting_session
from sessions.protocols.realtime_events import SessionPatch
from sessions.protocols.realtime_session import WireSession


@dataclass(frozen=True, slots=True)
class Grant:
    """`start` is the session as it was asked for, `effective` what comes of it. `overrides` add to the agent's own."""

    spec: AgentSpec
    start: Mapping[str, Any]
    effective: WireSession
    overrides: tuple[Override, ...]

    def shown(self, session_id: str, model: str | None) -> dict[str, Any]:
        """The session as its holder will see it in `session.created`: a maker may hand this on as it is."""
        allowed = {*self.spec.overrides.ephemeral, *self.overrides}
        return self.effective.shown(session_id, model or self.spec.slug, None, allowed=allowed)


def granted(
    caller: Principal,
    *,
    agent: str | None,
    version: int | None,
    session: SessionPatch | None,
    overrides: tuple[Override, ...],
    param: str = "overrides",
) -> Grant:
    """What `caller` hands to the holder of a client secret.

    `Forbidden` if it holds one itself, `UnknownModel` if it may not use the agent, a ClientError if it may not
    grant all of this.
    """
    if caller.kind != "server":
        raise Forbidden("A client secret cannot make client secrets; use an API key.")
    patch, bounds = session or SessionPatch(), settings.REPARTEE_BOUNDS
    encoded = check_length(msgspec.json.encode(patch), bounds.event_chars, "session")
    spec = agent_for(caller, agent, version)
    if refused := sorted(set(overrides) - set(spec.overrides.server_keys)):
        raise ClientError(f"The agent does not let clients change: {', '.join(refused)}.", param=param)
    effective = starting_session(spec, "realtime", patch, bounds)
    start = msgspec.json.decode(encoded)
    if _holds_nul(start):
        raise ClientError("A session cannot hold NUL characters.", param="session")
    return Grant(spec, start, effective, overrides)


def _holds_nul(value: object) -> bool:
    """Whether a NUL is in any text or key: PostgreSQL does not keep it."""
    match value:
        case str():
            return "\x00" in value
        case Mapping():
            return any(_holds_nul(key) or _holds_nul(inner) for key, inner in value.items())
        case list() | tuple():
            return any(map(_holds_nul, value))
    return False
