from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.errors import ConfigurationError
from agents.interfaces import STT
from agents.providers import catalog
from agents.providers.catalog import Services
from agents.providers.fallback import Candidate, FallbackSTT
from agents.providers.local.hibari import HibariTTS
from agents.providers.local.models import LocalModels
from agents.providers.local.whisper import WhisperSTT
from agents.providers.openai_compatible.client import Clients
from agents.providers.openai_compatible.realtime_stt import RealtimeSTT
from agents.providers.openai_compatible.stt import OpenAISTT
from agents.providers.scripted import ScriptedTTS
from agents.spec import Account, LLMSpec, STTSpec, TTSSpec

LAB = Account(name="lab", kind="openai_compatible", base_url="http://127.0.0.1:9/v1")
SCRIPT = Account(name="script", kind="scripted")
ACCOUNTS = {"lab": LAB, "script": SCRIPT}


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Nothing is loaded and no connection opened: that is left to the first use."""
    models = LocalModels(tmp_path)
    yield Services(models, Clients())
    assert not any(models.ready.values())
    models.close()


def candidates(provider: FallbackSTT) -> list[Candidate[STT]]:
    return [*provider._candidates]


def test_the_default_is_embedded(services: Services) -> None:
    [only] = candidates(catalog.stt(STTSpec(), {}, services))
    assert isinstance(only.provider, WhisperSTT)
    [voice] = catalog.tts(TTSSpec(), {}, services)._candidates
    assert isinstance(voice.provider, HibariTTS)


def test_fallbacks_follow_in_order_and_the_embedded_one_takes_its_own_model(services: Services) -> None:
    spec = STTSpec(account="lab", model="whisper-1", fallbacks=("embedded",))
    first, second = candidates(catalog.stt(spec, ACCOUNTS, services))
    assert (first.account, type(first.provider)) == ("lab", OpenAISTT)
    assert (second.account, type(second.provider)) == ("embedded", WhisperSTT)


def test_streaming_ears_are_those_of_the_realtime_api(services: Services) -> None:
    spec = STTSpec(account="lab", streaming=True, fallbacks=("embedded",))
    first, second = candidates(catalog.stt(spec, ACCOUNTS, services))
    assert (type(first.provider), type(second.provider)) == (RealtimeSTT, WhisperSTT)


def test_providers_that_do_not_watch_their_account_are_watched(services: Services) -> None:
    [candidate] = catalog.tts(TTSSpec(account="script"), ACCOUNTS, services)._candidates
    assert isinstance(candidate.provider, ScriptedTTS)
    assert candidate.limits is not None
    assert candidate.limits.first_output_s == SCRIPT.first_output_timeout_s


def test_an_unknown_account_or_kind_is_named_with_what_there_is(services: Services) -> None:
    with pytest.raises(ConfigurationError, match=r"'nope'; there are embedded, lab, script"):
        catalog.stt(STTSpec(account="nope"), ACCOUNTS, services)
    odd = {"odd": Account(name="odd", kind="carrier-pigeon")}
    with pytest.raises(ConfigurationError, match=r"carrier-pigeon.*openai_compatible"):
        catalog.tts(TTSSpec(account="odd"), odd, services)


def test_no_language_model_is_embedded(services: Services) -> None:
    with pytest.raises(ConfigurationError, match="GGUF"):
        catalog.llm(LLMSpec(), {}, services)
    catalog.llm(LLMSpec(model="/models/some.gguf"), {}, services)


def test_what_works_in_this_process_is_named_by_its_kind(services: Services) -> None:
    accounts = {**ACCOUNTS, "spare": Account(name="spare", kind="scripted")}
    spec = STTSpec(account="lab", fallbacks=("spare", "embedded"))
    assert [c.kind for c in candidates(catalog.stt(spec, accounts, services))] == ["", "scripted", "embedded"]
