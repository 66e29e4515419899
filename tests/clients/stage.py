"""The servers that the clients talk to, and what is said to them."""

from __future__ import annotations

import contextlib
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fakes import speech
from tests.fakes.scripted_server import ScriptedServer, scripted_server
from tests.processes import Server, manage, server

HERE: Final = Path(__file__).parent
RATE: Final = 24_000
CLERK: Final = "The shop opens at nine o'clock. It closes at six in the evening."
WEATHER: Final = "It is sunny in Oslo, twenty degrees."
STORY: Final = (
    "Once upon a time an old fisherman lived by the sea with three daughters and a dog that could not swim. "
    "Every morning he rowed out before the sun was up, and every evening he came home with an empty net. "
    "One day the youngest daughter said that she would go in his place, and she took the dog along. "
    "They rowed until the land was gone, and there they met a whale that wanted to hear a story."
)
SCRIPT: Final = {"reply": STORY, "messages": True, "llm-first-ms": 50, "llm-tokens-per-s": 0}


@dataclass(frozen=True, slots=True)
class Stage:
    """A server without and one with TLS, with the same agents, and the language model behind them."""

    plain: Server
    secure: Server
    provider: ScriptedServer

    @property
    def certificate(self) -> Path:
        return self.secure.data / "tls" / "certificate.pem"


@contextlib.contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    with (
        scripted_server(*(f"--{name}={value}" for name, value in SCRIPT.items())) as provider,
        server(data=folder / "plain") as plain,
        server(data=folder / "secure", tls=True) as secure,
    ):
        agents = folder / "agents.yaml"
        agents.write_text(_agents(provider))
        for running in (plain, secure):
            running.wait_for("/readyz")
            manage(running.data, "agent", "apply", str(agents))
        yield Stage(plain, secure, provider)


def _agents(provider: ScriptedServer) -> str:
    text = string.Template((HERE / "agents.yaml").read_text())
    return text.substitute(
        clerk=provider.base_url(reply=CLERK),
        weather=provider.base_url(reply=WEATHER, tool="get_weather", tool_arguments='{"city": "Oslo"}'),
        story=provider.base_url(),
    )


def recorded_speech(folder: Path) -> tuple[Path, str]:
    """A file of somebody saying "he was not an ill disposed young man", 24 kHz PCM, and the words."""
    clip = next(one for one in speech.audiobook() if one.name.endswith("0880"))
    path = folder / "speech.pcm"
    path.write_bytes(clip.audio.resampled(RATE).pcm)
    return path, clip.text
