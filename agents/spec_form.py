"""The form that edits an agent's draft. Its fields, choices and limits are read off `AgentSpec` itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, cast

import msgspec
import yaml
from django import forms
from msgspec import inspect
from unfold import widgets

from agents import agent_file, changes, selectors
from agents.models import Agent, KnowledgeBase, ProviderAccount
from agents.spec import EMBEDDED, AgentSpec
from agents.spec_texts import SECTIONS, TEXTS, Text
from agents.tools.builtin import BUILTINS

Kind = Literal["account", "names", "tools", "knowledge", "yaml", "plain"]


def field_name(path: str) -> str:
    return path.replace(".", "__")


def kind_of(path: str) -> Kind:
    """Which fields need more than their type says."""
    if path in ("tools", "knowledge"):
        return path  # type: ignore[return-value]  # the two literals just tested
    if path in ("rules", "feed.series", "feed.schema") or path.endswith(".phrases"):
        return "yaml"
    if path.endswith(".fallbacks"):
        return "names"
    return "account" if path.endswith(".account") else "plain"


def leaves(part: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, inspect.Type]]:
    """(dotted path, type) of each field that is not itself a part; slug and version are not for editing."""
    place = cast("inspect.StructType", inspect.type_info(part))
    for field in place.fields:
        if isinstance(field.type, inspect.StructType):
            yield from leaves(field.type.cls, f"{prefix}{field.name}.")
        elif prefix or field.name not in changes.IDENTITY:
            yield prefix + field.name, field.type


LEAVES = dict(leaves(AgentSpec))
_PLACE = re.compile(r"at `\$\.([a-z_.]+)")


class YamlField(forms.CharField):
    """A list or a mapping, edited as YAML."""

    def prepare_value(self, value: Any) -> str:
        """`value` is data to show, or what was typed and is shown again."""
        return value if isinstance(value, str) else agent_file.dump_value(value) if value else ""

    def clean(self, value: Any) -> Any:
        typed = super().clean(value)
        try:
            return yaml.safe_load(typed) if typed else None
        except yaml.YAMLError as error:
            raise forms.ValidationError(f"This is not valid YAML: {error}") from None


def form_field(path: str, place: inspect.Type, text: Text) -> forms.Field:
    """The form field for one leaf."""
    common: dict[str, Any] = {"label": text.label, "help_text": text.help, "required": False}
    if kind_of(path) in ("tools", "knowledge"):
        return forms.MultipleChoiceField(widget=widgets.UnfoldAdminCheckboxSelectMultipleWidget(), **common)
    if kind_of(path) == "account":
        return forms.ChoiceField(widget=widgets.UnfoldAdminSelectWidget(), **{**common, "required": True})
    if kind_of(path) == "yaml":
        return YamlField(widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": text.rows}), **common)
    if isinstance(place, inspect.UnionType):
        return form_field(path, next(t for t in place.types if not isinstance(t, inspect.NoneType)), text)
    match place:
        case inspect.VarTupleType(item_type=inspect.LiteralType(values=values)):
            return forms.MultipleChoiceField(
                choices=_choices(values), widget=widgets.UnfoldAdminCheckboxSelectMultipleWidget(), **common
            )
        case inspect.LiteralType(values=values):
            return forms.ChoiceField(
                choices=[(v, v) for v in values],
                widget=widgets.UnfoldAdminSelectWidget(),
                **{**common, "required": True},
            )
        case inspect.BoolType():
            return forms.BooleanField(widget=widgets.UnfoldBooleanSwitchWidget(), **common)
        case inspect.IntType():
            return forms.IntegerField(
                min_value=place.ge, max_value=place.le, widget=widgets.UnfoldAdminIntegerFieldWidget(), **common
            )
        case inspect.FloatType():
            return forms.FloatField(
                min_value=place.ge,
                max_value=place.le,
                widget=widgets.UnfoldAdminIntegerFieldWidget(attrs={"step": "any"}),
                **common,
            )
        case _ if text.rows:
            return forms.CharField(
                strip=False, widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": text.rows}), **common
            )
        case _:
            return forms.CharField(widget=widgets.UnfoldAdminTextInputWidget(), **common)


def _choices(values: Iterable[Any]) -> list[tuple[str, str]]:
    return [(value, str(value).replace("_", " ")) for value in values]


class AgentForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """An agent's slug, and its draft spec in fields named like "stt__account"."""

    class Meta:
        model = Agent
        fields = ("slug",)

    spec: AgentSpec | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.base = self._stored()
        values = dict(changes.flatten(changes.complete(self.base)))
        for path in LEAVES:
            if field := self.fields.get(field_name(path)):
                self.initial[field_name(path)] = _shown(path, values[path])
                _offer(field, path, values[path])

    def _stored(self) -> AgentSpec:
        version = (self.instance.draft or self.instance.published) if self.instance.pk else None
        return version.agent_spec if version else AgentSpec(slug=self.instance.slug or "new")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            self.spec = self._checked(cleaned)
        return cleaned

    def _checked(self, cleaned: dict[str, Any]) -> AgentSpec | None:
        stored = dict(changes.flatten(changes.complete(self.base)))
        data: dict[str, Any] = {"slug": cleaned.get("slug") or self.base.slug}
        for path, place in LEAVES.items():
            *parts, last = path.split(".")
            part = data
            for name in parts:
                part = part.setdefault(name, {})
            part[last] = _meant(path, place, cleaned[field_name(path)], stored[path])
        try:
            spec = msgspec.convert({**changes.sparse(AgentSpec(slug=self.base.slug)), **data}, AgentSpec)
        except msgspec.ValidationError as error:
            self.add_error(_blamed(str(error)), str(error))
            return None
        for problem in selectors.problems(spec):
            self.add_error(field_name(problem.path.partition("[")[0]), problem.message)
        return spec


def _blamed(message: str) -> str | None:
    """The box that msgspec's message is about, if it is about one."""
    place = _PLACE.search(message)
    return next((field_name(path) for path in LEAVES if place and f"{place[1]}.".startswith(f"{path}.")), None)


def _shown(path: str, value: Any) -> Any:
    if kind_of(path) == "tools":
        return [tool["name"] for tool in value]
    return ", ".join(value) if kind_of(path) == "names" else value


def _meant(path: str, place: inspect.Type, value: Any, stored: Any) -> Any:
    """What the form's `value` means in the spec. Ticked boxes come in the page's order and keep the stored one."""
    match kind_of(path):
        case "tools":
            names = _in_order(value, _shown(path, stored))
            return [changes.sparse(agent_file.reference(name, BUILTINS.__contains__)) for name in names]
        case "names":
            return [name.strip() for name in value.split(",") if name.strip()]
        case "yaml":
            return _default(path) if value is None else value
    if isinstance(value, list):
        return _in_order(value, stored)
    if value is None and not isinstance(place, inspect.UnionType):
        return _default(path)
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def _in_order(ticked: list[str], stored: list[str]) -> list[str]:
    return [name for name in stored if name in ticked] + [name for name in ticked if name not in stored]


def _default(path: str) -> Any:
    return dict(changes.flatten(changes.complete(AgentSpec(slug="new"))))[path]


def _offer(field: forms.Field, path: str, current: Any) -> None:
    """Give a field the choices that are stored now, and what is chosen already even if it is gone."""
    match kind_of(path):
        case "account":
            chosen = [current]
            known = {name: name for name in [EMBEDDED, *ProviderAccount.objects.values_list("name", flat=True)]}
        case "tools":
            chosen = [tool["name"] for tool in current]
            known = {name: f"{name}: {does}" for name, does in selectors.tool_descriptions().items()}
        case "knowledge":
            chosen = current
            known = {name: name for name in KnowledgeBase.objects.values_list("name", flat=True)}
        case _:
            return
    cast("forms.ChoiceField", field).choices = [
        (name, known.get(name, f"{name} (missing)")) for name in dict.fromkeys([*known, *chosen])
    ]


def fieldsets() -> list[tuple[str | None, dict[str, Any]]]:
    """The form's tabs, in order."""
    return [
        (None, {"fields": ["slug"]}),
        *(
            (
                section.title,
                {
                    "classes": ["tab"],
                    "description": section.description,
                    "fields": [field_name(path) for path in section.fields],
                },
            )
            for section in SECTIONS
        ),
    ]


_FIELDS = {field_name(path): form_field(path, place, TEXTS[path]) for path, place in LEAVES.items()}
AgentForm.declared_fields |= _FIELDS
AgentForm.base_fields |= _FIELDS
