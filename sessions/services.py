"""Opening a session: everything the database knows of it is read here, before it starts, and never again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections

from agents import selectors
from agents.build import VoiceAgent, build
from agents.interfaces import Retriever
from agents.knowledge.chunking import ChunkData
from agents.knowledge.index import VectorIndex
from agents.spec import Account, AgentSpec
from sessions import host
from sessions.cluster.handles import SessionHandle
from sessions.pipeline.messages import SessionConfig
from sessions.pipeline.records import SessionOpened

INDEXES_KEPT = 32
_indexes: OrderedDict[bytes, VectorIndex] = OrderedDict()


@dataclass(frozen=True, slots=True)
class OpenedSession:
    spec: AgentSpec
    session_id: str
    handle: SessionHandle


@dataclass(frozen=True, slots=True)
class _Resolved:
    accounts: dict[str, Account]
    webhook_secrets: dict[str, str]
    retriever: Retriever | None


@sync_to_async
def find_spec(slug: str, version: int | None) -> AgentSpec:
    """What `slug` is now, or was in one version. `selectors.UnknownAgent` if there is none."""
    close_old_connections()
    return selectors.published_spec(slug) if version is None else selectors.spec_of(slug, version)


async def open_session(spec: AgentSpec, *, session_id: str, transport: str, principal: str) -> OpenedSession:
    """Start a session of `spec`. Overloaded when this process is full, ConfigurationError when something is missing."""
    owner = await host.current()
    resolved = await _resolve(spec)
    agent: VoiceAgent = build(
        spec,
        resolved.accounts,
        resolved.retriever,
        owner.models,
        owner.clients,
        webhook_secrets=resolved.webhook_secrets,
        breakers=owner.breakers,
        allow_private_webhooks=settings.REPARTEE_PRIVATE_WEBHOOKS,
    )
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


@sync_to_async
def _resolve(spec: AgentSpec) -> _Resolved:
    close_old_connections()
    chunks = selectors.knowledge_for(spec) if spec.knowledge else []
    return _Resolved(
        selectors.accounts_for(spec), selectors.webhook_secrets_for(spec), _index(chunks) if chunks else None
    )


def _index(chunks: list[ChunkData]) -> VectorIndex:
    """The index of these passages; made once for as long as they stay the same."""
    key = blake2b(b"\n".join(f"{c.title}\n{c.section}\n{c.text}".encode() for c in chunks), digest_size=16).digest()
    index = _indexes.pop(key, None) or VectorIndex.from_chunks(chunks)
    _indexes[key] = index
    while len(_indexes) > INDEXES_KEPT:
        _indexes.popitem(last=False)
    return index


def _initial(spec: AgentSpec) -> SessionConfig:
    return SessionConfig(
        instructions=spec.instructions,
        voice=spec.tts.voice,
        speed=spec.tts.speed,
        turn_detection=spec.turn_detection,
    )
