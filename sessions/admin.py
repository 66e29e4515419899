"""Sessions in the admin, as the conversations they were; and the keys that let clients in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from sessions.auth import limits_of
from sessions.key_form import ApiKeyForm
from sessions.keys import revoke_key
from sessions.models import ApiKey, Session
from sessions.selectors import agent_keys, conversation
from telemetry.admin import ReadOnlyAdmin
from telemetry.selectors import SpreadRow, session_spreads, spreads, turns_of_session


class SessionList(ChangeList):
    """The list, with the voice-to-voice spread of each session it shows, and above it how full this process is."""

    def get_results(self, request: HttpRequest) -> None:
        from sessions.headroom_view import headroom  # with the models' runtimes, which manage.py can do without

        super().get_results(request)
        self.headroom = headroom()
        found = session_spreads(session.pk for session in self.result_list)
        for session in self.result_list:
            session.spreads = found.get(session.pk, [])


class LiveFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "Live"), ("ended", "Ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Session]) -> QuerySet[Session]:
        return queryset.filter(ended_at__isnull=self.value() == "live") if self.value() else queryset


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "state",
        "agent_and_version",
        "started_at",
        "lasted",
        "turn_count",
        "p50",
        "p95",
        "jitter",
        "by",
    )
    list_filter = (LiveFilter, "agent", "end_reason", "transport")
    search_fields = ("id",)
    date_hierarchy = "started_at"
    page_template = "sessions/admin/session.html"
    list_before_template = "sessions/admin/headroom.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SessionList

    @display(  # type: ignore[untyped-decorator]  # unfold has no types
        description="State", ordering="ended_at", label={"live": "success", "failed": "danger", "lost": "danger"}
    )
    def state(self, session: Session) -> str:
        return (session.end_reason or "ended").replace("_", " ") if session.ended_at else "live"

    @admin.display(description="Agent", ordering="agent")
    def agent_and_version(self, session: Session) -> str:
        return f"{session.agent}\N{NO-BREAK SPACE}v{session.agent_version}"

    @admin.display(description="Lasted")
    def lasted(self, session: Session) -> str:
        return str(duration(session))

    @admin.display(description="v2v p50")
    def p50(self, session: Session) -> str:
        return _lines(session, "p50_ms")

    @admin.display(description="v2v p95")
    def p95(self, session: Session) -> str:
        return _lines(session, "p95_ms")

    @admin.display(description="Jitter")
    def jitter(self, session: Session) -> str:
        return _lines(session, "jitter_ms")

    @admin.display(description="Measured by")
    def by(self, session: Session) -> str:
        return format_html_join("\n", "<div>{}</div>", ((row.provenance_words,) for row in _spreads(session))) or "–"

    def page(self, obj: Session) -> dict[str, Any]:
        key = agent_keys([obj.agent]).get(obj.agent)
        agent_url = reverse("admin:agents_agent_change", args=[key]) if key else ""
        return {
            "session": obj,
            "lasted": duration(obj),
            "exchanges": conversation(obj),
            "decisions": turns_of_session(obj.pk).filter(kind="event").count(),
            "spreads": spreads(turns_of_session(obj.pk)),
            "agent_url": agent_url,
            "privacy_url": f"{agent_url}#id_store_text" if agent_url else "",
        }


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Keys are made by `manage.py apikey create`, which alone ever shows one; here they are limited and revoked."""

    form = ApiKeyForm
    list_display = ("name", "prefix", "state", "may", "may_use", "limits", "last_used_at")
    fields = (
        "name",
        "prefix",
        "scopes",
        ("requests_per_minute", "sessions_at_once"),
        "agents",
        "created_at",
        "last_used_at",
        "revoked_at",
    )
    readonly_fields = ("prefix", "created_at", "last_used_at", "revoked_at")
    search_fields = ("name", "prefix")
    actions = ("revoke",)
    actions_submit_line = ("revoke_this",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @display(  # type: ignore[untyped-decorator]  # unfold has no types
        description="State", ordering="revoked_at", label={"in use": "success", "revoked": "danger"}
    )
    def state(self, key: ApiKey) -> str:
        return "revoked" if key.revoked_at else "in use"

    @admin.display(description="For")
    def may(self, key: ApiKey) -> str:
        return ", ".join(key.scopes) or "nothing"

    @admin.display(description="Requests a minute / sessions at once")
    def limits(self, key: ApiKey) -> str:
        limits = limits_of(key)
        return f"{limits.requests_per_minute or 'no limit'} / {limits.sessions_at_once or 'no limit'}"

    @admin.display(description="Agents")
    def may_use(self, key: ApiKey) -> str:
        return ", ".join(key.agents) or "all"

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        count = queryset.filter(revoked_at=None).update(revoked_at=timezone.now())
        self.message_user(request, f"{count} keys revoked. New connections with them are refused.", messages.SUCCESS)

    @action(description="Revoke for ever", permissions=["change"], icon="key_off")  # type: ignore[untyped-decorator]
    def revoke_this(self, request: HttpRequest, obj: ApiKey) -> None:
        if obj.revoked_at is None:
            revoke_key(obj)
        self.message_user(request, f"{obj} is revoked. New connections with it are refused.", messages.SUCCESS)


def duration(session: Session) -> timedelta:
    """How long it lasted, or has lasted so far, in whole seconds."""
    seconds = ((session.ended_at or timezone.now()) - session.started_at).total_seconds()
    return timedelta(seconds=round(seconds))


def _spreads(session: Session) -> list[SpreadRow]:
    found: list[SpreadRow] = getattr(session, "spreads", [])
    return found


def _lines(session: Session, figure: str) -> str:
    values = ((f"{getattr(row, figure):.0f}\N{NO-BREAK SPACE}ms",) for row in _spreads(session))
    return format_html_join("\n", "<div>{}</div>", values) or "–"
