"""Admin forms of accounts and tools, whose secrets can be written and never read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import models
from django.utils.text import capfirst
from unfold import widgets

from agents.fields import Secret
from agents.models import ProviderAccount, Tool
from agents.tools.builtin import BUILTINS


class SecretForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """Sets the model's `secret_field` from `new_secret`, clears it on `forget_secret`, else keeps it."""

    secret_field: str
    secret_label: str

    new_secret = forms.CharField(
        required=False,
        widget=widgets.UnfoldAdminPasswordWidget(render_value=False, attrs={"autocomplete": "new-password"}),
    )
    forget_secret = forms.BooleanField(required=False, widget=widgets.UnfoldBooleanSwitchWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored: Secret = getattr(self.instance, self.secret_field)
        if field := self.fields.get("new_secret"):
            field.label = capfirst(self.secret_label)
            state = "One is stored; leave this empty to keep it." if stored else "None is stored."
            field.help_text = f"{state} It is encrypted and never shown again."
        if field := self.fields.get("forget_secret"):
            field.label = f"Forget the {self.secret_label}"

    def save(self, commit: bool = True) -> models.Model:
        if plain := self.cleaned_data.get("new_secret"):
            setattr(self.instance, self.secret_field, Secret.of(plain))
        elif self.cleaned_data.get("forget_secret"):
            setattr(self.instance, self.secret_field, Secret())
        saved: models.Model = super().save(commit=commit)
        return saved


class ProviderAccountForm(SecretForm):
    secret_field = "api_key"  # noqa: S105 - the name of a field
    secret_label = "API key"  # noqa: S105 - its label

    class Meta:
        model = ProviderAccount
        fields = ("name", "kind", "base_url", "connect_timeout_s", "first_output_timeout_s", "stall_timeout_s")


class ToolForm(SecretForm):
    secret_field = "signing_secret"  # noqa: S105 - the name of a field
    secret_label = "signing secret"  # noqa: S105 - its label

    class Meta:
        model = Tool
        fields = ("name", "description", "parameters", "url", "timeout_s", "side_effects")

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name in BUILTINS:
            raise forms.ValidationError(f'"{name}" is the name of a built-in tool.')
        return name


class QuestionForm(forms.Form):
    """The box that tries a knowledge base."""

    question = forms.CharField(
        max_length=500,
        required=False,
        label="",
        widget=widgets.UnfoldAdminTextInputWidget(attrs={"placeholder": "What would a caller ask?"}),
    )
