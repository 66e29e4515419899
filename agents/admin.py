"""The admin of agents: their configuration, and what they refer to."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from unfold.admin import ModelAdmin, StackedInline
from unfold.decorators import action, display

from agents import changes, connection_check, selectors, services, spec_form
from agents.errors import ConfigurationError
from agents.forms import ProviderAccountForm, QuestionForm, ToolForm
from agents.knowledge import VectorIndex
from agents.models import Agent, Document, KnowledgeBase, ProviderAccount, Tool
from agents.version_pages import VersionPages, may_publish, user_of

PASSAGES_SHOWN = 5


@admin.register(Agent)
class AgentAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Edits the draft through `AgentForm`; versions have pages of their own."""

    form = spec_form.AgentForm
    list_display = ("title", "slug", "published_version", "draft_version", "brain")
    list_filter = (("published", admin.EmptyFieldListFilter),)
    search_fields = ("slug", "name")
    list_select_related = ("published",)
    actions_submit_line = ("save_and_publish",)
    change_form_outer_before_template = "agents/admin/state.html"
    change_form_outer_after_template = "agents/admin/versions.html"
    conditional_fields = {
        **{spec_form.field_name(path): "brain == 'llm'" for path in spec_form.LEAVES if path.startswith("llm.")},
        **{
            spec_form.field_name(path): "feed__mode != 'off'"
            for path in spec_form.LEAVES
            if path.startswith("feed.") and path != "feed.mode"
        },
        "rules": "brain == 'rules'",
        "turn_detection__eagerness": "turn_detection__type == 'semantic_vad'",
        "turn_detection__silence_duration_ms": "turn_detection__type != 'none'",
    }
    warn_unsaved_form = True

    class Media:
        css = {"all": ("agents/admin.css",)}

    @admin.display(description="Agent", ordering="name")
    def title(self, agent: Agent) -> str:
        return str(agent)

    @display(description="Published", ordering="published__number", label={"published": "success", "none": "warning"})  # type: ignore[untyped-decorator]
    def published_version(self, agent: Agent) -> tuple[str, str]:
        return ("published", f"version {agent.published.number}") if agent.published else ("none", "not yet")

    @display(description="Draft", label={"draft": "info"})  # type: ignore[untyped-decorator]
    def draft_version(self, agent: Agent) -> tuple[str, str] | None:
        return ("draft", f"version {agent.draft.number}") if agent.draft else None

    @admin.display(description="Brain")
    def brain(self, agent: Agent) -> str:
        version = agent.published or agent.draft
        return version.agent_spec.brain if version else "–"

    def has_publish_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return may_publish(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> tuple[str, ...]:
        return ("slug",) if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Agent | None = None) -> Any:
        if obj and not self.has_change_permission(request, obj):
            return [(None, {"fields": ["slug", "name"]})]
        return spec_form.fieldsets()

    def get_urls(self) -> list[URLPattern]:
        return [*VersionPages(self.admin_site).urls(), *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        agent = self.get_object(request, object_id) if object_id else None
        context = {
            "show_save_and_continue": False,
            "show_save_and_add_another": False,
            "pages": VersionPages(self.admin_site).context(request, agent) if agent else None,
            **(extra_context or {}),
        }
        answer: HttpResponse = super().changeform_view(request, object_id, form_url, context)
        return answer

    def save_model(self, request: HttpRequest, obj: Agent, form: spec_form.AgentForm, change: bool) -> None:
        if not change:
            obj.save()
        self._save_draft(request, obj, form)
        obj.refresh_from_db()
        super().save_model(request, obj, form, change)

    def _save_draft(self, request: HttpRequest, agent: Agent, form: spec_form.AgentForm) -> None:
        if form.spec is None:
            return
        current = agent.draft or agent.published
        if current and changes.same(current.agent_spec, form.spec):
            self.message_user(request, "Nothing was changed.", messages.INFO)
            return
        draft = services.create_draft(agent=agent, spec=form.spec, by=user_of(request))
        self.message_user(request, f"Saved as draft version {draft.number}. Callers meet it once it is published.")

    @action(description="Save and publish", permissions=["publish"], icon="rocket_launch")  # type: ignore[untyped-decorator]
    def save_and_publish(self, request: HttpRequest, obj: Agent) -> None:
        if obj.draft is None:
            self.message_user(request, "There is no draft to publish.", messages.WARNING)
            return
        version = services.publish(version=obj.draft)
        obj.refresh_from_db()
        self.message_user(request, f"Version {version.number} is published. New sessions use it.")

    def response_add(self, request: HttpRequest, obj: Agent, post_url_continue: str | None = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:agents_agent_change", args=[obj.pk]))

    def response_change(self, request: HttpRequest, obj: Agent) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:agents_agent_change", args=[obj.pk]))


class InUseAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """For what agents refer to by name: the name is fixed, and nothing in use can be deleted."""

    used_as: str

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("name",) if obj else ()

    @admin.display(description="Used by")
    def used_by(self, obj: Any) -> str:
        return ", ".join(selectors.agents_using(**{self.used_as: obj.name})) or "–"

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        deletable, counts, missing, protected = super().get_deleted_objects(objs, request)
        users = [f"agent {slug}" for obj in objs for slug in selectors.agents_using(**{self.used_as: obj.name})]
        return deletable, counts, missing, [*protected, *users]


@admin.register(ProviderAccount)
class ProviderAccountAdmin(InUseAdmin):
    form = ProviderAccountForm
    used_as = "account"
    list_display = ("name", "kind", "base_url", "key", "used_by")
    list_filter = ("kind",)
    search_fields = ("name", "base_url")
    actions_submit_line = ("save_and_test",)
    fieldsets = (
        (None, {"fields": ("name", "kind", "base_url", "new_secret", "forget_secret")}),
        (
            "Timeouts, in seconds",
            {"fields": ("connect_timeout_s", "first_output_timeout_s", "stall_timeout_s")},
        ),
    )

    @display(description="API key", label={"stored": "success", "none": "info"})  # type: ignore[untyped-decorator]
    def key(self, account: ProviderAccount) -> str:
        return str(account.api_key)

    @action(description="Save and test connection", permissions=["change"], icon="network_check")  # type: ignore[untyped-decorator]
    def save_and_test(self, request: HttpRequest, obj: ProviderAccount) -> None:
        try:
            result = connection_check.check(selectors.account(obj))
        except ConfigurationError as error:
            result = connection_check.CheckResult(False, str(error))
        self.message_user(request, result.message, messages.SUCCESS if result.ok else messages.ERROR)

    def response_change(self, request: HttpRequest, obj: ProviderAccount) -> HttpResponse:
        if any("save_and_test" in name for name in request.POST):
            return HttpResponseRedirect(request.get_full_path())
        answer: HttpResponse = super().response_change(request, obj)
        return answer


@admin.register(Tool)
class ToolAdmin(InUseAdmin):
    form = ToolForm
    used_as = "tool"
    list_display = ("name", "url", "side_effects", "used_by")
    list_filter = ("side_effects",)
    search_fields = ("name", "description", "url")
    list_before_template = "agents/admin/builtin_tools.html"

    class Media:
        css = {"all": ("agents/admin.css",)}

    fieldsets = (
        (None, {"fields": ("name", "description", "parameters", "side_effects")}),
        ("Webhook", {"fields": ("url", "new_secret", "forget_secret", "timeout_s")}),
    )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"builtin_tools": selectors.builtin_tools(), **(extra_context or {})}
        answer: HttpResponse = super().changelist_view(request, context)
        return answer


class DocumentInline(StackedInline):  # type: ignore[misc]  # unfold has no types
    model = Document
    fields = ("title", "url", "text", "passages")
    readonly_fields = ("passages",)
    extra = 0
    tab = True
    collapsible = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        documents: QuerySet[Document] = super().get_queryset(request)
        return documents.annotate(chunk_count=Count("chunks", filter=~Q(chunks__text="")))

    @admin.display(description="Passages")
    def passages(self, document: Any) -> int:
        return getattr(document, "chunk_count", 0)


@admin.register(KnowledgeBase)
class KnowledgeBaseAdmin(InUseAdmin):
    used_as = "knowledge"
    list_display = ("name", "description", "documents", "passages", "used_by")
    search_fields = ("name", "description", "documents__title")
    fields = ("name", "description")
    inlines = (DocumentInline,)
    change_form_outer_before_template = "agents/admin/question.html"

    class Media:
        css = {"all": ("agents/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[KnowledgeBase]:
        bases: QuerySet[KnowledgeBase] = super().get_queryset(request)
        return bases.annotate(
            document_count=Count("documents", distinct=True),
            passage_count=Count("documents__chunks", filter=~Q(documents__chunks__text=""), distinct=True),
        )

    @admin.display(description="Documents", ordering="document_count")
    def documents(self, base: Any) -> int:
        count: int = base.document_count
        return count

    @admin.display(description="Passages", ordering="passage_count")
    def passages(self, base: Any) -> int:
        count: int = base.passage_count
        return count

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        base = self.get_object(request, object_id) if object_id else None
        context = {**(_tried(request, base) if base else {}), **(extra_context or {})}
        answer: HttpResponse = super().changeform_view(request, object_id, form_url, context)
        return answer

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for document in formset.save(commit=False):
            services.ingest_document(document=document)
        for document in formset.deleted_objects:
            document.delete()
        formset.save_m2m()


def _tried(request: HttpRequest, base: KnowledgeBase) -> dict[str, Any]:
    """What the question box shows: the question, and the passages found for it."""
    form = QuestionForm(request.GET)
    question = form.cleaned_data["question"] if form.is_valid() else ""
    found = VectorIndex.from_chunks(selectors.chunks_of([base.name])).find(question, PASSAGES_SHOWN) if question else []
    return {"question_form": form, "question": question, "found": found}
