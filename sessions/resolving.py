"""From an agent's spec to an agent that can answer: all that the database knows of it is read here."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections

from agents import selectors
from agents.build import VoiceAgent, build
from agents.interfaces import Retriever
from agents.knowledge.index import VectorIndex
from agents.spec import Account, AgentSpec
from sessions.host import SessionHost

INDEXES_KEPT = 32
_indexes: OrderedDict[selectors.KnowledgeStamp, VectorIndex] = OrderedDict()


@dataclass(frozen=True, slots=True)
class _Resolved:
    accounts: dict[str, Account]
    webhook_secrets: dict[str, str]
    retriever: Retriever | None


async def voice_agent(spec: AgentSpec, owner: SessionHost) -> VoiceAgent:
    """The agent of `spec` on this process's models and clients. ConfigurationError when something is missing."""
    resolved = await sync_to_async(_resolve)(spec)
    return build(
        spec,
        resolved.accounts,
        resolved.retriever,
        owner.models,
        owner.clients,
        webhook_secrets=resolved.webhook_secrets,
        breakers=owner.breakers,
        allow_private_webhooks=settings.REPARTEE_PRIVATE_WEBHOOKS,
    )


def _resolve(spec: AgentSpec) -> _Resolved:
    close_old_connections()
    return _Resolved(
        selectors.accounts_for(spec),
        selectors.webhook_secrets_for(spec),
        knowledge_index(spec) if spec.knowledge else None,
    )


def knowledge_index(spec: AgentSpec) -> VectorIndex | None:
    """The index of what the agent knows, made once for as long as that stays the same. None if it knows nothing."""
    stamp = selectors.knowledge_stamp(spec)
    if not stamp:
        return None
    if stamp in _indexes:
        _indexes.move_to_end(stamp)
        return _indexes[stamp]
    index = _indexes[stamp] = VectorIndex.from_chunks(selectors.knowledge_for(spec))
    if len(_indexes) > INDEXES_KEPT:
        _indexes.popitem(last=False)
    return index
