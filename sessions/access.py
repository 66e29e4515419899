"""Which agent a caller gets: by its slug, by one of OpenAI's names, or without naming any."""

from __future__ import annotations

from django.conf import settings

from agents import selectors
from agents.spec import AgentSpec
from sessions.auth import Principal
from sessions.errors import UnknownModel


def agent_for(principal: Principal, model: str | None, version: int | None = None) -> AgentSpec:
    """The agent that `model` means for this caller, in `version` or as it is published.

    A caller with one agent only, as the holder of a client secret is, need not name it, and may use it
    before it is published if its secret says which version.
    """
    only = next(iter(principal.agents)) if len(principal.agents) == 1 else None
    default: str = only or settings.REPARTEE_DEFAULT_AGENT
    slug = only if only and model in (None, "", only) else selectors.resolve_model(model, default)
    if slug is None or not principal.may_use(slug):
        raise UnknownModel(_unknown(principal, model))
    version = principal.version if principal.version is not None else version
    return selectors.published_spec(slug) if version is None else selectors.spec_of(slug, version)


def agents_of(principal: Principal) -> list[str]:
    """Slugs of the published agents that this caller may use."""
    return [slug for slug in selectors.list_agents().values_list("slug", flat=True) if principal.may_use(slug)]


def _unknown(principal: Principal, model: str | None) -> str:
    usable = ", ".join(agents_of(principal)) or "none"
    return f"The model '{(model or '')[:100]}' does not exist or this key may not use it. Use one of: {usable}."
