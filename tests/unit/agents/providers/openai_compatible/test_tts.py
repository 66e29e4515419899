"""What the TTS asks a server for."""

from __future__ import annotations

import pytest

from agents.interfaces import Segment, VoiceOptions
from agents.providers.openai_compatible.client import Client, Clients
from agents.providers.openai_compatible.tts import OpenAITTS
from agents.spec import Account, TTSSpec

KOKORO, OPENAI = "http://127.0.0.1:8880/v1", "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("base_url", "own", "asked", "sent"),
    [
        (KOKORO, "af_heart", "ash", "af_heart"),
        (KOKORO, "af_heart", "af_sky", "af_sky"),
        (KOKORO, "af_heart", "", "af_heart"),
        (KOKORO, "", "ash", "alloy"),
        (OPENAI, "alloy", "ash", "ash"),
        (OPENAI, "alloy", "", "alloy"),
        ("https://mine.openai.azure.com/openai/v1", "alloy", "ash", "ash"),
    ],
)
def test_only_openais_own_servers_are_asked_for_openais_voices(base_url: str, own: str, asked: str, sent: str) -> None:
    client = Client(Account(name="a", kind="openai_compatible", base_url=base_url), Clients())
    request = OpenAITTS(client, TTSSpec(account="a", voice=own))._request(Segment(0, "Hello."), VoiceOptions(asked))

    assert request["voice"] == sent
