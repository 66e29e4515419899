"""Opening a session: all that the database knows of its agent is read before it starts, and never again."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from agents import selectors
from agents.spec import AgentSpec
from sessions import host
from sessions.auth import Principal, counted_session
from sessions.cluster.handles import SessionHandle
from sessions.host import new_id
from sessions.pipeline.messages import SessionConfig
from sessions.pipeline.records import SessionOpened
from sessions.resolving import voice_agent
from sessions.text_records import TextSession
from sessions.text_replies import TextOrder, TextReply


@dataclass(frozen=True, slots=True)
class OpenedSession:
    spec: AgentSpec
    session_id: str
    handle: SessionHandle


@sync_to_async
def find_spec(slug: str, version: int | None) -> AgentSpec:
    """What `slug` is now, or was in one version. `selectors.UnknownAgent` if there is none."""
    close_old_connections()
    return selectors.published_spec(slug) if version is None else selectors.spec_of(slug, version)


async def open_session(spec: AgentSpec, *, session_id: str, transport: str, principal: str) -> OpenedSession:
    """Start a session of `spec`. Overloaded when this process is full, ConfigurationError when something is missing."""
    owner = await host.current()
    agent = await voice_agent(spec, owner)
    handle = owner.open(agent, _initial(spec), session_id=session_id, transport=transport)
    owner.journal.write(
        SessionOpened(
            session_id=session_id,
            agent=spec.slug,
            agent_version=spec.version,
            transport=transport,
            principal=principal,
            started_at=datetime.now(UTC),
            store_text=spec.store_text,
        )
    )
    return OpenedSession(spec, session_id, handle)


async def new_text_session(spec: AgentSpec, *, principal: Principal) -> TextSession:
    owner = await host.current()
    return TextSession(
        spec,
        principal=principal.kind,
        journal=owner.journal,
        trace_key=owner.trace_key,
        new_id=new_id,
        items=owner.bounds.conversation_items,
    )


async def start_text_reply(order: TextOrder, *, principal: Principal) -> TextReply:
    """Begin an answer in words by the agent of `order.session`. It is one of the sessions its key may have at once.

    TooManySessions or Overloaded when there are too many, ConfigurationError when something is missing.
    """
    owner = await host.current()
    owner.replies.require_room()
    owner.headroom.require_open()
    async with AsyncExitStack() as held:
        await held.enter_async_context(counted_session(principal))
        agent = await voice_agent(order.session.spec, owner)
        return owner.replies.start(order, agent, held)


def _initial(spec: AgentSpec) -> SessionConfig:
    return SessionConfig(
        instructions=spec.instructions,
        voice=spec.tts.voice,
        speed=spec.tts.speed,
        turn_detection=spec.turn_detection,
    )
