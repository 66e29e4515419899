"""Finished turns in the admin: read, never edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from unfold.admin import ModelAdmin
from unfold.decorators import display

from telemetry.models import Turn
from telemetry.selectors import spreads
from telemetry.turn_view import TurnView, words

SUMMARISED = 10_000


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Rows that the running system writes, with a page of their own in place of a form."""

    page_template = ""
    list_fullwidth = True

    class Media:
        css = {"all": ("telemetry/admin.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def page(self, obj: Any) -> dict[str, Any]:
        """What `page_template` shows of `obj`."""
        raise NotImplementedError

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        if obj is None:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{self.opts.verbose_name} {obj}",
            "original": obj,
            "show_back_button": True,
            **self.page(obj),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.page_template, context)


class TurnList(ChangeList):
    """The list with the spread of its newest turns above it."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.spreads = spreads(self.queryset.order_by("-started_at")[:SUMMARISED])
        self.spreads_cut = SUMMARISED if self.result_count > SUMMARISED else None


@admin.register(Turn)
class TurnAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "agent_and_version",
        "started_at",
        "kind",
        "end",
        "heard_after",
        "measured",
        "stopped_after",
    )
    list_filter = ("agent", "end_reason", "kind", "provenance", "transport", "export_state")
    search_fields = ("session", "trace_id")
    date_hierarchy = "started_at"
    list_before_template = "telemetry/admin/turn_list_summary.html"
    page_template = "telemetry/admin/turn.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TurnList

    @admin.display(description="Turn")
    def name(self, turn: Turn) -> str:
        return str(turn)

    @admin.display(description="Agent", ordering="agent")
    def agent_and_version(self, turn: Turn) -> str:
        return f"{turn.agent}\N{NO-BREAK SPACE}v{turn.agent_version}"

    @display(  # type: ignore[untyped-decorator]  # unfold has no types
        description="Ended",
        ordering="end_reason",
        label={"completed": "success", "error": "danger", "interrupted": "info"},
    )
    def end(self, turn: Turn) -> str:
        return turn.end_reason

    @admin.display(description="Voice to voice", ordering="voice_to_voice")
    def heard_after(self, turn: Turn) -> str:
        return in_ms(turn.voice_to_voice)

    @admin.display(description="Measured by", ordering="provenance")
    def measured(self, turn: Turn) -> str:
        return words(turn.provenance) or "–"

    @admin.display(description="Stop delay", ordering="stop_delay")
    def stopped_after(self, turn: Turn) -> str:
        return in_ms(turn.stop_delay)

    def page(self, obj: Turn) -> dict[str, Any]:
        try:
            session_url = reverse("admin:voice_sessions_session_change", args=[quote(obj.session)])
        except NoReverseMatch:
            session_url = ""
        return {"turn": obj, "view": TurnView.of(obj), "session_url": session_url}


def in_ms(us: int | None) -> str:
    return "–" if us is None else f"{us / 1000:.0f}\N{NO-BREAK SPACE}ms"
