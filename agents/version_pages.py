"""Admin pages about the versions of one agent: history, comparison, one version as a file, and their buttons."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from agents import agent_file, as_code, changes, services
from agents.errors import ConfigurationError
from agents.models import Agent, AgentVersion
from agents.spec_texts import SECTIONS, TEXTS

_SECTION_OF = {path: section.title for section in SECTIONS for path in section.fields}


@dataclass(frozen=True, slots=True)
class Row:
    """A field that differs, as the comparison shows it. `pieces` is set for text."""

    section: str
    label: str
    path: str
    before: str
    after: str
    pieces: list[changes.Piece] | None


def compared(before: AgentVersion, after: AgentVersion) -> list[Row]:
    return [_row(change) for change in changes.diff(before.agent_spec, after.agent_spec)]


def _row(change: changes.Change) -> Row:
    is_text = isinstance(change.before, str) and isinstance(change.after, str)
    long = is_text and TEXTS[change.path].rows > 0
    return Row(
        section=_SECTION_OF[change.path],
        label=TEXTS[change.path].label,
        path=change.path,
        before=_written(change.before),
        after=_written(change.after),
        pieces=changes.text_diff(change.before, change.after) if long else None,
    )


def _written(value: Any) -> str:
    match value:
        case None | "" | []:
            return "–"
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case [{"kind": "builtin" | "webhook"}, *_]:
            return ", ".join(tool["name"] for tool in value)
        case [dict(), *_]:
            return agent_file.dump_value(value)
        case list():
            return ", ".join(value)
        case _:
            return json.dumps(value)


def talk_url(version: AgentVersion) -> str:
    return f"/?{urlencode({'agent': version.agent.slug, 'version': version.number})}"


def may_publish(request: HttpRequest) -> bool:
    return request.user.has_perm("agents.publish_agent")


class VersionPages:
    """The views of one admin site, and their addresses."""

    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def urls(self) -> list[URLPattern]:
        """To be placed under the agents' change list."""
        views: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "<int:pk>/compare/": ("compare", self.compare),
            "<int:pk>/versions/<int:number>/": ("version", self.version),
            "<int:pk>/versions/<int:number>/roll-back/": ("roll_back", require_POST(self.roll_back)),
            "<int:pk>/publish/": ("publish", require_POST(self.publish)),
            "<int:pk>/discard/": ("discard", require_POST(self.discard)),
        }
        return [
            path(route, self.site.admin_view(view), name=f"agents_agent_{name}")
            for route, (name, view) in views.items()
        ]

    def context(self, request: HttpRequest, agent: Agent) -> dict[str, Any]:
        """What the change page shows around its form."""
        versions = list(agent.versions.select_related("agent", "created_by"))
        draft = next((version for version in versions if not version.is_published), None)
        return {
            "agent": agent,
            "draft": draft,
            "published": agent.published,
            "versions": [(version, talk_url(version)) for version in versions],
            "draft_talk_url": draft and talk_url(draft),
            "published_talk_url": agent.published and talk_url(agent.published),
            "may_publish": may_publish(request),
            "may_change": request.user.has_perm("agents.change_agent"),
        }

    def compare(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Two versions side by side; without a choice, what is published and the newest."""
        agent = self._agent(request, pk)
        versions = list(agent.versions.select_related("agent"))
        if not versions:
            raise Http404("This agent has no versions yet.")
        newest, published = versions[0], agent.published or versions[-1]
        before = _chosen(versions, request.GET.get("from")) or (
            published if published != newest or len(versions) == 1 else versions[1]
        )
        after = _chosen(versions, request.GET.get("to")) or newest
        rows = compared(before, after)
        shown = {"versions": versions, "before": before, "after": after, "rows": rows}
        return self._page(request, agent, "compare", f"Compare versions of {agent}", shown)

    def version(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """One version as the file that would make it."""
        agent = self._agent(request, pk)
        version = get_object_or_404(agent.versions.select_related("agent"), number=number)
        shown = {
            "version": version,
            "file": as_code.export_spec(version.agent_spec),
            "talk_url": talk_url(version),
            "may_roll_back": may_publish(request) and version.is_published and version.pk != agent.published_id,
        }
        return self._page(request, agent, "version", f"{agent}, version {number}", shown)

    def roll_back(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        agent = self._agent(request, pk, "publish_agent")
        try:
            version = services.roll_back(agent=agent, number=number, by=user_of(request))
        except ConfigurationError as error:
            return self._back(request, agent, f"Not rolled back: {error}", messages.ERROR)
        return self._back(request, agent, f"Version {number} is back, published as version {version.number}.")

    def publish(self, request: HttpRequest, pk: int) -> HttpResponse:
        agent = self._agent(request, pk, "publish_agent")
        if agent.draft is None:
            return self._back(request, agent, "There is no draft to publish.", messages.WARNING)
        try:
            version = services.publish(version=agent.draft)
        except ConfigurationError as error:
            return self._back(request, agent, f"Not published: {error}", messages.ERROR)
        return self._back(request, agent, f"Version {version.number} is published. New sessions use it.")

    def discard(self, request: HttpRequest, pk: int) -> HttpResponse:
        agent = self._agent(request, pk, "change_agent")
        services.discard_draft(agent=agent)
        return self._back(request, agent, "The draft is gone.")

    def _agent(self, request: HttpRequest, pk: int, permission: str = "view_agent") -> Agent:
        if not any(request.user.has_perm(f"agents.{p}") for p in {permission, _stronger(permission)}):
            raise PermissionDenied
        return get_object_or_404(Agent.objects.select_related("published__agent"), pk=pk)

    def _back(self, request: HttpRequest, agent: Agent, message: str, level: int = messages.SUCCESS) -> HttpResponse:
        messages.add_message(request, level, message)
        return redirect("admin:agents_agent_change", agent.pk)

    def _page(
        self, request: HttpRequest, agent: Agent, name: str, title: str, shown: dict[str, Any]
    ) -> TemplateResponse:
        context = {
            **self.site.each_context(request),
            "title": title,
            "opts": Agent._meta,  # noqa: SLF001 - what the admin's templates are written for
            "original": agent,
            "agent": agent,
            "change_url": reverse("admin:agents_agent_change", args=[agent.pk]),
            **shown,
        }
        return TemplateResponse(request, f"agents/admin/{name}.html", context)


def _stronger(permission: str) -> str:
    """Whoever may change an agent may view it."""
    return "change_agent" if permission == "view_agent" else permission


def _chosen(versions: list[AgentVersion], number: str | None) -> AgentVersion | None:
    return next((version for version in versions if str(version.number) == number), None)


def user_of(request: HttpRequest) -> AbstractBaseUser | None:
    return None if isinstance(request.user, AnonymousUser) else request.user
