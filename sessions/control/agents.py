"""Agents and their versions over REST, to read."""

from __future__ import annotations

import msgspec
from django.db.models import OuterRef, QuerySet, Subquery

from agents.models import Agent, AgentVersion
from sessions.auth import Principal
from sessions.control import shapes
from sessions.control.pages import listed, no_such_cursor
from sessions.control.records import first_of, of_agents
from sessions.errors import NotFound
from sessions.operations import operation


@operation(scope="agents")
def list_agents(caller: Principal, query: shapes.AgentQuery) -> shapes.AgentList:
    """The agents that the key may use, by slug; those not yet published too."""
    rows = of_agents(_agents(), caller, "slug").order_by("slug")
    if query.after is not None:
        rows = rows.filter(slug__gt=query.after)
    return listed(shapes.AgentList, rows[: query.limit + 1], query.limit, _agent)


@operation(scope="agents", refusals=(404,))
def show_agent(caller: Principal, slug: str) -> shapes.Agent:
    """One agent."""
    return _agent(_found(caller, slug))


@operation(scope="agents", refusals=(404,))
def list_versions(caller: Principal, slug: str, query: shapes.VersionQuery) -> shapes.AgentVersionList:
    """The versions of an agent, newest first: its draft, what is published, and what was."""
    rows = _found(caller, slug).versions.order_by("-number").defer("spec")
    if query.after is not None:
        if not query.after.isascii() or not query.after.isdecimal() or len(query.after) > 9:
            raise no_such_cursor(query.after)
        rows = rows.filter(number__lt=first_of(rows.filter(number=query.after), query.after).number)
    return listed(shapes.AgentVersionList, rows[: query.limit + 1], query.limit, lambda row: _version(row, slug))


@operation(scope="agents", refusals=(404,))
def show_version(caller: Principal, slug: str, number: int) -> shapes.AgentVersionDetail:
    """One version of an agent, with everything that it says."""
    version = _found(caller, slug).versions.filter(number=number).first()
    if version is None:
        raise NotFound(f"The agent '{slug}' has no version {number}.")
    return shapes.AgentVersionDetail(**msgspec.structs.asdict(_version(version, slug)), spec=version.spec)


def _agents() -> QuerySet[Agent]:
    """All agents, each with the number of its draft."""
    drafts = AgentVersion.objects.filter(agent=OuterRef("pk"), state=AgentVersion.State.DRAFT)
    return Agent.objects.select_related("published").annotate(draft_version=Subquery(drafts.values("number")[:1]))


def _found(caller: Principal, slug: str) -> Agent:
    found = _agents().filter(slug=slug).first()
    if found is None or not caller.may_use(slug):
        raise NotFound(f"There is no agent '{slug}', or not for this key.")
    return found


def _agent(agent: Agent) -> shapes.Agent:
    return shapes.Agent(
        id=agent.slug,
        name=agent.name or agent.slug,
        published_version=agent.published.number if agent.published else None,
        draft_version=getattr(agent, "draft_version", None),
        created_at=agent.created_at.timestamp(),
    )


def _version(version: AgentVersion, slug: str) -> shapes.AgentVersion:
    return shapes.AgentVersion(
        id=str(version.number),
        agent=slug,
        version=version.number,
        state=version.state,
        origin=version.origin,
        note=version.note,
        created_at=version.created_at.timestamp(),
        published_at=version.published_at.timestamp() if version.published_at else None,
    )
