"""Agents as code: applying a YAML file to what is stored, and writing what is stored as a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import models, transaction

from agents import agent_file, changes, selectors
from agents.agent_file import AccountEntry, FileError, Lines, ToolEntry
from agents.fields import Secret
from agents.models import Agent, AgentVersion, ProviderAccount, Tool
from agents.services import BrokenReferences, create_draft, publish_spec
from agents.spec import AgentSpec
from agents.tools.builtin import BUILTINS


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying a file did to one thing, such as ("agent", "terse", "published version 3")."""

    kind: str
    name: str
    outcome: str


@transaction.atomic
def apply_document(
    text: str, draft: bool = False, *, environ: Mapping[str, str] | None = None, by: AbstractBaseUser | None = None
) -> list[Applied]:
    """Make the accounts, tools and agents what the YAML `text` says; all of it, or `FileError` and nothing.

    Agents are published, or become drafts. What the file does not mention stays as it is.
    """
    file, lines = agent_file.parse(text, BUILTINS.__contains__)
    secrets = _Secrets(os.environ if environ is None else environ, lines)
    done = [_apply_account(entry, f"$.accounts[{n}]", secrets) for n, entry in enumerate(file.accounts)]
    done += [_apply_tool(entry, f"$.tools[{n}]", secrets) for n, entry in enumerate(file.tools)]
    done += [_apply_agent(spec, f"$.agents[{n}]", lines, draft, by) for n, spec in enumerate(file.agents)]
    return done


def export_document(slug: str) -> str:
    """The published version of `slug` as a file that `apply_document` takes, with its accounts and webhooks.

    Secrets stay behind: applied elsewhere, they must be added. A draft is exported where nothing is published.
    """
    agent = Agent.objects.select_related("published").filter(slug=slug).first()
    version = agent and (agent.published or agent.draft)
    if not version:
        raise selectors.UnknownAgent(slug)
    return export_spec(version.agent_spec)


def export_spec(spec: AgentSpec) -> str:
    names = set(selectors.account_names(spec).values())
    webhooks = [tool.name for tool in spec.tools if tool.kind == "webhook"]
    return agent_file.dump(
        agent_file.AgentFile(
            accounts=tuple(_account_entry(row) for row in ProviderAccount.objects.filter(name__in=names)),
            tools=tuple(_tool_entry(row) for row in Tool.objects.filter(name__in=webhooks)),
            agents=(spec,),
        )
    )


@dataclass(frozen=True, slots=True)
class _Secrets:
    environ: Mapping[str, str]
    lines: Lines

    def given(self, plain: str | None, variable: str, path: str) -> str | None:
        """The secret an entry gives, in the clear; None if it gives none."""
        if plain is not None and variable:
            raise self.lines.error(f"give the secret or the name of a variable, not both ({variable})", f"{path}_env")
        if not variable:
            return plain
        if variable not in self.environ:
            raise self.lines.error(f"the environment variable {variable} is not set", f"{path}_env")
        return self.environ[variable]


def _apply_account(entry: AccountEntry, path: str, secrets: _Secrets) -> Applied:
    row = ProviderAccount.objects.filter(name=entry.name).first() or ProviderAccount(name=entry.name)
    plain = secrets.given(entry.api_key, entry.api_key_env, f"{path}.api_key")
    outcome = _update(
        row,
        {
            **_fields(entry, "kind", "base_url", "connect_timeout_s", "first_output_timeout_s", "stall_timeout_s"),
            "api_key_env": entry.api_key_env if plain is not None else row.api_key_env,
            "api_key": _fresh(row.api_key, plain),
        },
        _located(secrets.lines, path),
    )
    return Applied("account", entry.name, outcome)


def _apply_tool(entry: ToolEntry, path: str, secrets: _Secrets) -> Applied:
    if entry.name in BUILTINS:
        raise secrets.lines.error(f'"{entry.name}" is the name of a built-in tool', f"{path}.name")
    row = Tool.objects.filter(name=entry.name).first() or Tool(name=entry.name)
    plain = secrets.given(entry.signing_secret, entry.signing_secret_env, f"{path}.signing_secret")
    outcome = _update(
        row,
        {
            **_fields(entry, "description", "url", "parameters", "timeout_s", "side_effects"),
            "signing_secret_env": entry.signing_secret_env if plain is not None else row.signing_secret_env,
            "signing_secret": _fresh(row.signing_secret, plain),
        },
        _located(secrets.lines, path),
    )
    return Applied("tool", entry.name, outcome)


def _apply_agent(spec: AgentSpec, path: str, lines: Lines, draft: bool, by: AbstractBaseUser | None) -> Applied:
    agent, _ = Agent.objects.get_or_create(slug=spec.slug, defaults={"name": spec.name})
    current = (draft and agent.draft) or agent.published
    if current and changes.same(current.agent_spec, spec):
        return Applied("agent", spec.slug, f"unchanged, version {current.number}")
    try:
        if draft:
            version = create_draft(agent=agent, spec=spec, by=by, origin=AgentVersion.Origin.FILE)
            return Applied("agent", spec.slug, f"draft, version {version.number}")
        version = publish_spec(agent=agent, spec=spec, by=by, origin=AgentVersion.Origin.FILE)
    except BrokenReferences as error:
        first = error.problems[0]
        raise lines.error(f"{first.path}: {first.message}", f"{path}.{first.path}") from error
    return Applied("agent", spec.slug, f"published version {version.number}")


def _fields(entry: msgspec.Struct, *names: str) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in names}


def _fresh(stored: Secret, plain: str | None) -> Secret:
    """`stored` if it says the same as `plain`, or if nothing was given."""
    return stored if plain is None or (stored and stored.reveal() == plain) else Secret.of(plain)


def _located(lines: Lines, path: str) -> Callable[[str, str], FileError]:
    return lambda name, message: lines.error(f"{name}: {message}", f"{path}.{name}")


def _update(row: models.Model, values: dict[str, Any], error_at: Callable[[str, str], FileError]) -> str:
    is_new = row.pk is None
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    for name, value in values.items():
        setattr(row, name, value)
    try:
        row.full_clean()
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        raise error_at(name, messages[0]) from error
    if is_new or changed:
        row.save()
    return "created" if is_new else "updated" if changed else "unchanged"


def _account_entry(row: ProviderAccount) -> AccountEntry:
    names = ("name", "kind", "base_url", "api_key_env", "connect_timeout_s", "first_output_timeout_s")
    return AccountEntry(**{name: getattr(row, name) for name in (*names, "stall_timeout_s")})


def _tool_entry(row: Tool) -> ToolEntry:
    names = ("name", "description", "url", "parameters", "signing_secret_env", "timeout_s", "side_effects")
    return ToolEntry(**{name: getattr(row, name) for name in names})
