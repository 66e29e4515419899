"""Writing agents: versions, accounts, tools, knowledge. Synchronous ORM calls, each one transaction."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from agents import changes, guide, selectors
from agents.errors import ConfigurationError
from agents.fields import Secret
from agents.knowledge import ingest
from agents.models import Agent, AgentVersion, Chunk, Document, KnowledgeBase, ProviderAccount, Tool
from agents.spec import AgentSpec

Origin = AgentVersion.Origin
State = AgentVersion.State


class BrokenReferences(ConfigurationError):
    """The agent refers to things that do not exist."""

    def __init__(self, problems: list[selectors.Problem]) -> None:
        super().__init__("; ".join(f"{problem.path}: {problem.message}" for problem in problems))
        self.problems = problems


# --- versions ------------------------------------------------------------------------------------


@transaction.atomic
def create_agent(*, slug: str, name: str = "") -> Agent:
    """A new agent without versions. `ConfigurationError` if the slug is taken or not valid."""
    agent = Agent(slug=slug, name=name)
    try:
        agent.full_clean()
    except ValidationError as error:
        raise ConfigurationError("; ".join(error.messages)) from error
    agent.save()
    return agent


@transaction.atomic
def create_draft(
    *,
    agent: Agent,
    spec: AgentSpec,
    by: AbstractBaseUser | None = None,
    origin: Origin = Origin.ADMIN,
    note: str = "",
) -> AgentVersion:
    """`spec` as the agent's draft; a draft it had already is overwritten and keeps its number."""
    _refuse_broken(spec)
    agent = _locked(agent)
    draft = agent.draft or AgentVersion(agent=agent, number=_next_number(agent), created_by=_user(by))
    draft.spec, draft.origin, draft.note = changes.complete(spec), origin, note
    draft.save()
    if agent.published is None:
        _rename(agent, spec)
    return draft


@transaction.atomic
def publish(*, version: AgentVersion) -> AgentVersion:
    """Make a draft what callers meet from now on. It takes a new number if a later one was published since."""
    agent = _locked(version.agent)
    version = AgentVersion.objects.select_related("agent").get(pk=version.pk)
    if version.is_published:
        raise ConfigurationError(f"{version} is published already; to return to it, roll back.")
    spec = version.agent_spec
    _refuse_broken(spec)
    if agent.published and version.number < agent.published.number:
        version.number = _next_number(agent)
    version.state, version.published_at = State.PUBLISHED, timezone.now()
    version.save()
    _point_to(agent, version, spec)
    return version


@transaction.atomic
def publish_spec(
    *,
    agent: Agent,
    spec: AgentSpec,
    by: AbstractBaseUser | None = None,
    origin: Origin = Origin.ADMIN,
    note: str = "",
) -> AgentVersion:
    """`spec` as a new published version. A draft is left as it is."""
    _refuse_broken(spec)
    agent = _locked(agent)
    version = AgentVersion(
        agent=agent,
        number=_next_number(agent),
        state=State.PUBLISHED,
        origin=origin,
        spec=changes.complete(spec),
        note=note,
        created_by=_user(by),
        published_at=timezone.now(),
    )
    version.save()
    _point_to(agent, version, spec)
    return version


def roll_back(*, agent: Agent, number: int, by: AbstractBaseUser | None = None) -> AgentVersion:
    """Publish a copy of version `number` under a new number."""
    old = agent.versions.filter(number=number, state=State.PUBLISHED).first()
    if old is None:
        raise ConfigurationError(f"{agent.slug} has no published version {number}.")
    if old.pk == agent.published_id:
        raise ConfigurationError(f"Version {number} is what is published now.")
    return publish_spec(agent=agent, spec=old.agent_spec, by=by, note=f"Copy of version {number}")


@transaction.atomic
def discard_draft(*, agent: Agent) -> None:
    if draft := _locked(agent).draft:
        draft.delete()


def _locked(agent: Agent) -> Agent:
    """The agent as stored, held until the transaction ends: numbers are given one at a time."""
    return Agent.objects.select_for_update(of=("self",)).select_related("published").get(pk=agent.pk)


def _next_number(agent: Agent) -> int:
    return 1 + (agent.versions.aggregate(last=Max("number"))["last"] or 0)


def _user(by: AbstractBaseUser | None) -> Any:
    return by if by is not None and by.pk else None


def _point_to(agent: Agent, version: AgentVersion, spec: AgentSpec) -> None:
    agent.published = version
    agent.save(update_fields=["published"])
    _rename(agent, spec)


def _rename(agent: Agent, spec: AgentSpec) -> None:
    if agent.name != spec.name:
        agent.name = spec.name
        agent.save(update_fields=["name"])


def _refuse_broken(spec: AgentSpec) -> None:
    if problems := selectors.problems(spec):
        raise BrokenReferences(problems)


# --- secrets -------------------------------------------------------------------------------------


@transaction.atomic
def reencrypt_secrets() -> int:
    """Encrypt every stored secret with the first key, so that the others can be retired. Returns how many."""
    accounts = [row for row in ProviderAccount.objects.select_for_update() if row.api_key]
    for account in accounts:
        account.api_key = account.api_key.rotated()
        account.save(update_fields=["api_key"])
    tools = [row for row in Tool.objects.select_for_update() if row.signing_secret]
    for tool in tools:
        tool.signing_secret = tool.signing_secret.rotated()
        tool.save(update_fields=["signing_secret"])
    return len(accounts) + len(tools)


# --- knowledge -----------------------------------------------------------------------------------


@transaction.atomic
def ingest_document(*, document: Document) -> Document:
    """Store the document, cut it into passages and embed them; what it had before is replaced."""
    document.save()
    document.chunks.all().delete()
    passages = ingest(document.title, document.text, document.url)
    Chunk.objects.bulk_create(
        [
            Chunk(document=document, position=n, section=passage.section, text=passage.text, vector=passage.vector)
            for n, passage in enumerate(passages)
        ]
    )
    return document


# --- the demo agent ------------------------------------------------------------------------------


@transaction.atomic
def ensure_guide(*, environ: Mapping[str, str] | None = None) -> Agent:
    """Install the demo agent, or bring it up to date with this release and with the environment's language model.

    What an operator has touched stays as it is: a document that was edited or deleted, and the agent itself
    once it has a version that was not shipped.
    """
    _install_documents(guide.shipped_documents())
    account = guide.llm_account(os.environ if environ is None else environ)
    if account:
        _store_account(account)
    agent, _ = Agent.objects.get_or_create(slug=guide.SLUG)
    if agent.versions.exclude(origin=Origin.SHIPPED).exists():
        return agent
    spec = guide.spec(account)
    if agent.published is None or not changes.same(agent.published.agent_spec, spec):
        agent = publish_spec(agent=agent, spec=spec, origin=Origin.SHIPPED).agent
    return agent


def _store_account(given: guide.LLMAccount) -> None:
    row = ProviderAccount.objects.filter(name=guide.ACCOUNT).first() or ProviderAccount(name=guide.ACCOUNT)
    row.base_url = given.base_url
    if row.api_key.reveal() != given.api_key:
        row.api_key = Secret.of(given.api_key)
    row.save()


def _install_documents(shipped: list[guide.ShippedDocument]) -> None:
    base, _ = KnowledgeBase.objects.get_or_create(
        name=guide.KNOWLEDGE, defaults={"description": "About Repartee and real-time voice agents."}
    )
    for file in shipped:
        installed = base.shipped.get(file.name)
        if installed != file.checksum:
            _install_document(base, file, installed)
            base.shipped[file.name] = file.checksum
    for name in base.shipped.keys() - {file.name for file in shipped}:
        _remove_document(base, name, base.shipped.pop(name))
    base.save()


def _install_document(base: KnowledgeBase, file: guide.ShippedDocument, installed: str | None) -> None:
    """`installed` is the checksum of the text as last installed; a document that differs from it was edited."""
    document = base.documents.filter(shipped_as=file.name).first()
    if document is None and installed is None:
        document = Document(knowledge_base=base, shipped_as=file.name)
    elif document is None or document.checksum != installed:
        return
    document.title, document.text = file.title, file.text
    ingest_document(document=document)


def _remove_document(base: KnowledgeBase, name: str, installed: str) -> None:
    document = base.documents.filter(shipped_as=name).first()
    if document and document.checksum == installed:
        document.delete()
