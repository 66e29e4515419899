"""The admin's form of an API key: what it is for, how much it may ask, and whom it may talk to."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from unfold import widgets

from agents.models import Agent
from sessions.models import ApiKey
from sessions.scopes import MEANINGS


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    scopes = forms.MultipleChoiceField(
        choices=[(scope, f"{scope}: {meaning}") for scope, meaning in MEANINGS.items()],
        widget=widgets.UnfoldAdminCheckboxSelectMultipleWidget,
        required=False,
        label="It may",
        help_text="What is not ticked is refused with 403. Client secrets that it makes open Realtime sessions only.",
    )
    agents = forms.MultipleChoiceField(
        widget=widgets.UnfoldAdminCheckboxSelectMultipleWidget,
        required=False,
        help_text="None ticked: all agents, also those to come.",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "scopes", "requests_per_minute", "sessions_at_once", "agents")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, default in (
            ("requests_per_minute", settings.REPARTEE_KEY_REQUESTS_PER_MINUTE),
            ("sessions_at_once", settings.REPARTEE_KEY_SESSIONS),
        ):
            if field := self.fields.get(name):
                field.help_text = f"Empty: {default or 'no limit'}, as settings have it. 0: no limit."
        if agents := self.fields.get("agents"):
            slugs = {*Agent.objects.values_list("slug", flat=True), *self.instance.agents}
            agents.choices = [(slug, slug) for slug in sorted(slugs)]  # type: ignore[attr-defined]  # it is a choice
