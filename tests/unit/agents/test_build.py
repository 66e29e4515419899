from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.build import build
from agents.errors import ConfigurationError
from agents.interfaces import Passage, ToolSpec
from agents.providers.local.models import LocalModels
from agents.providers.openai_compatible.client import Clients
from agents.spec import Account, AgentSpec, LLMSpec, STTSpec, ToolRef

ACCOUNTS = {"lab": Account(name="lab", kind="openai_compatible", base_url="http://127.0.0.1:9/v1")}


class Shelf:
    async def search(self, text: str, k: int) -> list[Passage]:
        return [Passage("Bread is baked at 230 degrees.", "Bread", 0.9)][:k]


@pytest.fixture
def models(tmp_path: Path) -> Iterator[LocalModels]:
    models = LocalModels(tmp_path)
    yield models
    models.close()


def test_an_agent_of_documents_is_built_without_loading_its_models(models: LocalModels) -> None:
    agent = build(AgentSpec(slug="baker"), {}, Shelf(), models, Clients(), webhook_secrets={})
    assert agent.end_of_turn is not None
    assert not any(models.ready.values())


def test_its_toolbox_joins_the_agents_tools_and_the_clients(models: LocalModels) -> None:
    spec = AgentSpec(slug="clerk", tools=(ToolRef(name="end_call"),))
    agent = build(spec, {}, Shelf(), models, Clients(), webhook_secrets={})
    toolbox = agent.toolbox([ToolSpec("open_door", "Opens the door.")])
    assert [tool.name for tool in toolbox.specs()] == ["end_call", "open_door"]
    assert toolbox.on_server("end_call")
    assert not toolbox.on_server("open_door")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (AgentSpec(slug="empty"), "knowledge base"),
        (AgentSpec(slug="lost", stt=STTSpec(account="gone")), "gone"),
        (AgentSpec(slug="mute", brain="llm"), "GGUF"),
        (AgentSpec(slug="odd", tools=(ToolRef(name="teleport"),)), "teleport"),
    ],
)
def test_what_is_missing_is_named(models: LocalModels, spec: AgentSpec, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build(spec, ACCOUNTS, None, models, Clients(), webhook_secrets={})


def test_an_llm_agent_is_built_from_its_account(models: LocalModels) -> None:
    spec = AgentSpec(slug="terse", brain="llm", llm=LLMSpec(account="lab", model="any"))
    assert build(spec, ACCOUNTS, None, models, Clients(), webhook_secrets={}).spec == spec
