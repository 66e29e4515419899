from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import IntegrityError, connections, transaction
from pytest_django import DjangoDbBlocker

from agents import selectors, services
from agents.errors import ConfigurationError
from agents.models import Agent, AgentVersion, ImmutableVersion
from agents.spec import AgentSpec, LLMSpec, STTSpec
from tests.integration.databases import sqlite_url, using


def spec(instructions: str) -> AgentSpec:
    return AgentSpec(slug="plain", instructions=instructions)


@pytest.fixture
def plain(db: None) -> Agent:
    return services.create_agent(slug="plain")


def published_text(agent: Agent) -> str:
    return selectors.published_spec(agent.slug).instructions


def test_versions_count_from_one_and_a_draft_becomes_published(plain: Agent) -> None:
    draft = services.create_draft(agent=plain, spec=spec("one"))
    assert (draft.number, draft.state, draft.agent_spec.version) == (1, "draft", 1)
    with pytest.raises(selectors.UnknownAgent):
        selectors.published_spec("plain")
    services.publish(version=draft)
    assert (published_text(plain), selectors.published_spec("plain").version) == ("one", 1)
    assert services.create_draft(agent=plain, spec=spec("two")).number == 2
    assert published_text(plain) == "one"


def test_a_draft_is_overwritten_in_place(plain: Agent) -> None:
    first = services.create_draft(agent=plain, spec=spec("one"))
    second = services.create_draft(agent=plain, spec=spec("two"))
    assert (first.pk, second.number, plain.versions.count()) == (second.pk, 1, 1)


def test_a_published_version_cannot_be_changed(plain: Agent) -> None:
    version = services.publish_spec(agent=plain, spec=spec("one"))
    version.spec = {"slug": "plain", "instructions": "other"}
    with pytest.raises(ImmutableVersion):
        version.save()
    with pytest.raises(ImmutableVersion):
        version.delete()
    with pytest.raises(ImmutableVersion):
        AgentVersion.objects.filter(pk=version.pk).update(spec={})
    with pytest.raises(ImmutableVersion):
        plain.versions.all().delete()
    version.note = "other"
    with pytest.raises(ImmutableVersion), transaction.atomic():
        AgentVersion.objects.bulk_update([version], ["note"])
    assert published_text(plain) == "one"


def test_a_whole_agent_can_be_deleted(plain: Agent) -> None:
    services.publish_spec(agent=plain, spec=spec("one"))
    plain.refresh_from_db()
    plain.delete()
    assert not AgentVersion.objects.exists()


def test_a_spec_that_is_not_valid_is_not_stored(plain: Agent) -> None:
    with pytest.raises(ConfigurationError, match="turn_detection"):
        AgentVersion(agent=plain, number=1, spec={"slug": "plain", "turn_detection": {"threshold": 2}}).save()


def test_a_number_is_given_once(plain: Agent) -> None:
    services.publish_spec(agent=plain, spec=spec("one"))
    with pytest.raises(IntegrityError), transaction.atomic():
        AgentVersion(agent=plain, number=1, spec={"slug": "plain"}).save()


def test_a_rolled_back_version_is_a_new_one_with_the_old_words(plain: Agent) -> None:
    services.publish_spec(agent=plain, spec=spec("one"))
    services.publish_spec(agent=plain, spec=spec("two"))
    plain.refresh_from_db()
    version = services.roll_back(agent=plain, number=1)
    assert (version.number, version.note, published_text(plain)) == (3, "Copy of version 1", "one")
    plain.refresh_from_db()
    with pytest.raises(ConfigurationError, match="published now"):
        services.roll_back(agent=plain, number=3)
    with pytest.raises(ConfigurationError, match="no published version 9"):
        services.roll_back(agent=plain, number=9)


def test_a_draft_overtaken_by_a_later_version_takes_the_next_number(plain: Agent) -> None:
    draft = services.create_draft(agent=plain, spec=spec("draft"))
    services.publish_spec(agent=plain, spec=spec("urgent"))
    assert services.publish(version=draft).number == 3
    assert published_text(plain) == "draft"


def test_publishing_twice_is_refused(plain: Agent) -> None:
    version = services.publish_spec(agent=plain, spec=spec("one"))
    with pytest.raises(ConfigurationError, match="published already"):
        services.publish(version=version)


def test_references_must_exist(plain: Agent) -> None:
    broken = AgentSpec(
        slug="plain", brain="llm", llm=LLMSpec(account="gone", fallbacks=("lost",)), knowledge=("nowhere",)
    )
    with pytest.raises(services.BrokenReferences) as caught:
        services.create_draft(agent=plain, spec=broken)
    assert [problem.path for problem in caught.value.problems] == ["llm.account", "llm.fallbacks[0]", "knowledge[0]"]
    assert 'there is no account "gone"; there is embedded' in str(caught.value)


def test_a_language_model_needs_a_place(plain: Agent) -> None:
    with pytest.raises(services.BrokenReferences, match="GGUF"):
        services.create_draft(agent=plain, spec=AgentSpec(slug="plain", brain="llm"))


def test_streaming_ears_need_an_account(plain: Agent) -> None:
    deaf = AgentSpec(slug="plain", stt=STTSpec(streaming=True))
    with pytest.raises(services.BrokenReferences, match="streaming is for an account"):
        services.create_draft(agent=plain, spec=deaf)


def publish_at_once(agents: int) -> list[int]:
    """The numbers that versions get when that many threads publish at the same time."""
    agent = services.create_agent(slug="plain")
    ready = threading.Barrier(agents)

    def publish(n: int) -> None:
        try:
            ready.wait()
            services.publish_spec(agent=agent, spec=spec(f"number {n}"))
        finally:
            connections["default"].close()

    with ThreadPoolExecutor(agents) as threads:
        list(threads.map(publish, range(agents)))
    agent.refresh_from_db()
    assert agent.published is not None
    assert agent.published.number == agents
    return sorted(agent.versions.values_list("number", flat=True))


def test_versions_published_at_once_get_numbers_of_their_own(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    with django_db_blocker.unblock(), using(sqlite_url(tmp_path)):
        assert publish_at_once(4) == [1, 2, 3, 4]


def test_the_same_holds_on_postgresql(postgres_url: str, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock(), using(postgres_url):
        assert publish_at_once(4) == [1, 2, 3, 4]
        Agent.objects.all().delete()
