"""What opening a session reads: flooding a server with new sessions must not make it busy."""

from __future__ import annotations

import pytest
from pytest_django import DjangoAssertNumQueries

from agents import services
from agents.models import Document, KnowledgeBase
from agents.spec import AgentSpec
from sessions.resolving import knowledge_index

pytestmark = pytest.mark.django_db


@pytest.fixture
def spec() -> AgentSpec:
    base = KnowledgeBase.objects.create(name="animals")
    services.ingest_document(document=Document(knowledge_base=base, title="Bats", text="# Bats\nBats sleep by day."))
    return AgentSpec(slug="keeper", knowledge=("animals",))


def test_passages_are_read_once(spec: AgentSpec, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    index = knowledge_index(spec)
    assert index is not None
    with django_assert_num_queries(1) as queries:
        assert knowledge_index(spec) is index
    assert "chunk" not in queries[0]["sql"]


def test_what_was_changed_is_known_to_the_next_session(spec: AgentSpec) -> None:
    before = knowledge_index(spec)
    document = Document.objects.get()
    document.text = "# Otters\nOtters hold hands while they sleep."
    services.ingest_document(document=document)
    changed = knowledge_index(spec)
    assert changed is not None
    assert changed is not before
    assert "Otters" in changed.find("What do otters hold?", 1)[0].text
    document.delete()
    assert knowledge_index(spec) is not changed


def test_an_agent_whose_bases_are_empty_has_no_index(spec: AgentSpec) -> None:
    Document.objects.all().delete()
    assert knowledge_index(spec) is None
