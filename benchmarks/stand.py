"""The test stand: Repartee on one core, scripted providers on the other, with the settings of the table.

    with stand(Path(folder)) as bench:
        run = bench.load(sessions=20, seconds=40)

Providers: STT 100 ms; LLM 200 ms to the first token, then 50 tokens a second; TTS 100 ms to the first byte at five
times real time. `server_vad` with a silence wait of 200 ms.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import providers
from benchmarks.load.plan import Plan
from benchmarks.load.run import Run, load
from tests.processes import Server, manage, server

SERVER_CORE: Final = 0
LOAD_CORE: Final = 1
SILENCE_MS: Final = 200
PROVIDERS: Final = {
    "stt-ms": 100,
    "llm-first-ms": 200,
    "llm-tokens-per-s": 50,
    "tts-first-ms": 100,
    "tts-speed": 5,
}
UNLIMITED: Final[dict[str, Any]] = {"REPARTEE_KEY_SESSIONS": "0", "REPARTEE_KEY_REQUESTS_PER_MINUTE": "0"}
TEN_TOKENS: Final = "It is now a quarter past nine in the morning. And that is all."
"""A first sentence of ten tokens, without a clause that could be spoken sooner."""
FIVE_TOKENS: Final = "It is a quarter past, and that is nine in the morning."
"""A first clause of five tokens that ends in a comma."""

AGENT: Final = """\
accounts:
  - {{name: lab, kind: openai_compatible, base_url: "{base_url}", api_key: unused}}
agents:
  - slug: bench
    instructions: You are terse.
    brain: llm
    stt: {{account: lab, model: whisper-1}}
    llm: {{account: lab, model: any}}
    tts: {{account: lab, model: tts-1, voice: alloy}}
    turn_detection: {{type: {detection}, silence_duration_ms: {silence_ms}}}
{extra}"""


@dataclass(frozen=True, slots=True)
class Stand:
    """A server under test and its providers. `base_url` is the providers', "http://host:port/v1"."""

    server: Server
    base_url: str
    folder: Path

    def plan(self, **values: Any) -> Plan:
        """A load on this stand; see `Plan` for the values."""
        here = Plan(self.server.ws_url, 1, 30.0, key=self.server.key, agent="bench", core=LOAD_CORE)
        return replace(here, **values)

    def load(self, **values: Any) -> Run:
        return load(self.plan(**values))

    def apply(self, *, detection: str = "server_vad", silence_ms: int = SILENCE_MS, extra: str = "") -> None:
        """The agent `bench`; `extra` are further lines of its YAML."""
        path = self.folder / "bench.yaml"
        path.write_text(AGENT.format(base_url=self.base_url, detection=detection, silence_ms=silence_ms, extra=extra))
        manage(self.server.data, "agent", "apply", str(path))


@contextmanager
def stand(
    folder: Path, *, reply: str = TEN_TOKENS, script: dict[str, Any] | None = None, **settings: Any
) -> Iterator[Stand]:
    """Ready for its first session. `script` overrides the providers' figures, `settings` the server's environment."""
    values = {**PROVIDERS, "reply": reply, **(script or {})}
    arguments = [text for name, value in values.items() for text in (f"--{name}", str(value))]
    with ExitStack() as started:
        with on_core(LOAD_CORE):
            base_url = started.enter_context(providers(*arguments))
        with on_core(SERVER_CORE):
            running = started.enter_context(server(data=folder, **UNLIMITED, **settings))
        running.wait_for("/readyz")
        one = Stand(running, base_url, folder)
        one.apply()
        yield one


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Processes started meanwhile stay on this core, with all their threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} if core in before else before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
