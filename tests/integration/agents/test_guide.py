from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from agents import guide, selectors, services
from agents.knowledge import VectorIndex
from agents.models import Agent, Document, KnowledgeBase, ProviderAccount
from agents.spec import AgentSpec

pytestmark = pytest.mark.django_db


def ensure(**environ: str) -> AgentSpec:
    services.ensure_guide(environ=environ)
    return selectors.published_spec("guide")


def test_it_answers_from_its_documents_with_the_embedded_models() -> None:
    spec = ensure()
    assert (spec.brain, spec.stt.account, spec.tts.account, spec.store_text) == (
        "answers",
        "embedded",
        "embedded",
        True,
    )
    assert {tool.name for tool in spec.tools} == {"time", "arithmetic", "end_call"}
    assert spec.greeting
    passages = VectorIndex.from_chunks(selectors.knowledge_for(spec)).find("What is Repartee?", 1)
    assert "voice" in passages[0].text.lower()
    assert selectors.accounts_for(spec) == {}


def test_a_second_start_changes_nothing() -> None:
    ensure()
    chunks = [chunk.vector for chunk in selectors.chunks_of(["repartee"])]
    updated = list(Document.objects.values_list("updated_at", flat=True))
    assert ensure().version == 1
    assert [chunk.vector for chunk in selectors.chunks_of(["repartee"])] == chunks
    assert list(Document.objects.values_list("updated_at", flat=True)) == updated


@pytest.mark.parametrize(
    ("environ", "base_url", "model", "key"),
    [
        ({"OPENAI_API_KEY": "sk"}, "https://api.openai.com/v1", "", "sk"),
        ({"OPENAI_API_KEY": "sk", "REPARTEE_LLM_MODEL": "big"}, "https://api.openai.com/v1", "big", "sk"),
        ({"REPARTEE_LLM_BASE_URL": "http://lab/v1", "OPENAI_API_KEY": "sk"}, "http://lab/v1", "", ""),
        (
            {"REPARTEE_LLM_BASE_URL": "http://lab/v1", "REPARTEE_LLM_MODEL": "m", "REPARTEE_LLM_API_KEY": "k"},
            "http://lab/v1",
            "m",
            "k",
        ),
    ],
)
def test_it_uses_the_language_model_of_the_environment(
    environ: dict[str, str], base_url: str, model: str, key: str
) -> None:
    spec = ensure(**environ)
    account = selectors.accounts_for(spec)[guide.ACCOUNT]
    assert (spec.brain, spec.llm.model, spec.stt.account, spec.tts.account) == ("llm", model, "embedded", "embedded")
    assert (account.base_url, account.api_key) == (base_url, key)


def test_it_follows_the_environment_until_somebody_edits_it() -> None:
    ensure()
    assert ensure(OPENAI_API_KEY="sk").version == 2
    assert ensure(OPENAI_API_KEY="other").version == 2
    assert ProviderAccount.objects.get().api_key.reveal() == "other"
    assert (ensure().version, ensure().brain) == (3, "answers")

    agent = Agent.objects.get(slug="guide")
    services.publish_spec(
        agent=agent, spec=AgentSpec(slug="guide", greeting="Mine."), by=User.objects.create_user("op")
    )
    assert (ensure(OPENAI_API_KEY="sk").version, ensure().greeting) == (4, "Mine.")


def release(monkeypatch: pytest.MonkeyPatch, *documents: tuple[str, str]) -> None:
    """As if a release shipped these (file name, text) documents."""
    shipped = [guide.ShippedDocument(name, name.removesuffix(".md").title(), text) for name, text in documents]
    monkeypatch.setattr(guide, "shipped_documents", lambda: shipped)


def texts() -> dict[str, str]:
    return dict(KnowledgeBase.objects.get(name="repartee").documents.values_list("title", "text"))


def test_a_new_release_brings_its_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    release(monkeypatch, ("a.md", "The first text about apples."), ("b.md", "A text about pears."))
    ensure()
    release(monkeypatch, ("a.md", "The second text about apples."), ("c.md", "A text about plums."))
    spec = ensure()
    assert texts() == {"A": "The second text about apples.", "C": "A text about plums."}
    assert {chunk.text for chunk in selectors.knowledge_for(spec)} == set(texts().values())


def test_what_an_operator_edited_or_deleted_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    release(monkeypatch, ("a.md", "Text one."), ("b.md", "Text two."), ("c.md", "Text three."))
    ensure()
    edited = Document.objects.get(title="A")
    edited.text = "My own text."
    services.ingest_document(document=edited)
    Document.objects.get(title="B").delete()
    release(monkeypatch, ("a.md", "Newer one."), ("b.md", "Newer two."), ("c.md", "Newer three."))
    ensure()
    assert texts() == {"A": "My own text.", "C": "Newer three."}
    release(monkeypatch)
    ensure()
    assert texts() == {"A": "My own text."}


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("terse", "terse"),
        (None, "guide"),
        ("", "guide"),
        ("gpt-realtime", "guide"),
        ("gpt-realtime-2.1", "guide"),
        ("gpt-4o-mini-realtime-preview", "guide"),
        ("whisper-1", "guide"),
        ("tts-1", "guide"),
        ("o4-mini", "guide"),
        ("nobody", None),
        ("unpublished", None),
    ],
)
def test_a_model_name_means_an_agent(terse: Agent, name: str | None, slug: str | None) -> None:
    ensure()
    services.create_draft(agent=services.create_agent(slug="unpublished"), spec=AgentSpec(slug="unpublished"))
    assert selectors.resolve_model(name, "guide") == slug
    assert selectors.resolve_model(name, "absent") == (slug if slug == "terse" else None)
    assert [agent.slug for agent in selectors.list_agents()] == ["guide", "terse"]
