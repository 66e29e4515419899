"""The test stand: a server on one core, scripted providers and clients on the other, with the settings of the table.

    with repartee() as one:
        run = one.load(sessions=20, seconds=40)

Providers: STT 100 ms; LLM 200 ms to the first token, then 50 tokens a second; TTS 100 ms to the first byte at five
times real time. `server_vad` with a silence wait of 200 ms.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.harness import providers
from benchmarks.load.plan import Plan
from benchmarks.load.run import Run, load
from tests.clients.environments import Client, set_up
from tests.processes import ROOT, Server, accepts_connections, end, free_port, manage, server, wait_until

SERVER_CORE: Final = 0
LOAD_CORE: Final = 1
SILENCE_MS: Final = 200
PROVIDERS: Final = {
    "stt_ms": 100,
    "llm_first_ms": 200,
    "llm_tokens_per_s": 50,
    "tts_first_ms": 100,
    "tts_speed": 5,
}
PIPECAT: Final = Client("pipecat_peer", ROOT / "benchmarks" / "pipecat_peer")
UNLIMITED: Final[dict[str, str]] = {"REPARTEE_KEY_SESSIONS": "0", "REPARTEE_KEY_REQUESTS_PER_MINUTE": "0"}
TEN_TOKENS: Final = "I see it is now ten to six or so. Yes."
"""A first sentence of ten tokens, without a clause that could be spoken sooner."""
FIVE_TOKENS: Final = "Now it is ten past, and that is all there is. Yes."
"""A first clause of five tokens that ends in a comma."""


@dataclass(frozen=True, slots=True)
class Agent:
    """What differs from agent to agent: further lines of its YAML, and of the providers' script, as in a URL."""

    slug: str = "bench"
    detection: str = f"{{type: server_vad, silence_duration_ms: {SILENCE_MS}}}"
    more: str = ""
    script: str = ""

    def yaml(self, base_url: str) -> tuple[str, str]:
        """The lines of its account and its own."""
        own = base_url.removesuffix("/v1") + (f"/with/{self.script}" if self.script else "") + "/v1"
        account = f'  - {{name: {self.slug}, kind: openai_compatible, base_url: "{own}", api_key: unused}}\n'
        lines = (
            f"  - slug: {self.slug}",
            "    instructions: You are terse.",
            "    brain: llm",
            f"    stt: {{account: {self.slug}, model: whisper-1}}",
            f"    llm: {{account: {self.slug}, model: any}}",
            f"    tts: {{account: {self.slug}, model: tts-1, voice: alloy}}",
            f"    turn_detection: {self.detection}",
            *([f"    {self.more}"] if self.more else []),
        )
        return account, "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Stand:
    """A server that is ready for its first session. `plan` is a load of one client on it; `pid` its process."""

    name: str
    plan: Plan
    pid: int

    def load(self, **values: Any) -> Run:
        """Run the plan with these values changed; see `Plan`."""
        return load(replace(self.plan, **values))


@contextmanager
def scripted(reply: str = TEN_TOKENS, **changes: Any) -> Iterator[str]:
    """The providers' base URL. `changes` of their script, such as `stt_ms=50`."""
    script = {**PROVIDERS, "reply": reply, **changes}
    arguments = [text for name, value in script.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    with on_core(LOAD_CORE), providers(*arguments) as base_url:
        yield base_url


@contextmanager
def repartee(
    base_url: str, agents: Sequence[Agent] = (Agent(),), *, settings: Mapping[str, str] | None = None
) -> Iterator[Stand]:
    """Repartee with these agents; the plan talks to the first. `settings`: of the server's environment."""
    overrides: dict[str, Any] = {**UNLIMITED, **(settings or {})}
    with TemporaryDirectory(prefix="repartee-bench-") as name, ExitStack() as started:
        with on_core(SERVER_CORE):
            running = started.enter_context(server(data=Path(name), **overrides))
        running.wait_for("/readyz")
        apply(running, base_url, agents)
        here = Plan(running.ws_url, 1, 30.0, key=running.key, agent=agents[0].slug, core=LOAD_CORE)
        yield Stand("Repartee", here, running.process.pid)


def apply(running: Server, base_url: str, agents: Sequence[Agent]) -> None:
    parts = [agent.yaml(base_url) for agent in agents]
    path = running.data / "agents.yaml"
    path.write_text("accounts:\n" + "".join(a for a, _ in parts) + "agents:\n" + "".join(b for _, b in parts))
    manage(running.data, "agent", "apply", str(path))


@contextmanager
def pipecat(base_url: str, *, rtvi: bool = False) -> Iterator[Stand]:
    """The peer, in an environment of its own. `rtvi`: it tells its clients of turns."""
    set_up(PIPECAT)
    port = free_port()
    settings = PIPECAT.environment(PROVIDERS=base_url, SILENCE_S=str(SILENCE_MS / 1000), RTVI="1" if rtvi else "")
    with on_core(SERVER_CORE):
        command: list[str | Path] = [PIPECAT.python, PIPECAT.folder / "bot.py", str(port)]
        process = subprocess.Popen(command, env=settings, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: accepts_connections(port), within_s=60, what="Pipecat's start")
        yield Stand("Pipecat", Plan(f"ws://127.0.0.1:{port}", 1, 30.0, dialect="pipecat", core=LOAD_CORE), process.pid)
    finally:
        end(process)


@contextmanager
def relay(answer_ms: int = 4000) -> Iterator[Stand]:
    """The floor."""
    command = [sys.executable, "-m", "benchmarks.relay", "--answer-ms", str(answer_ms)]
    with on_core(SERVER_CORE):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().decode().strip()
        yield Stand("bare relay", Plan(url, 1, 30.0, dialect="relay", core=LOAD_CORE), process.pid)
    finally:
        end(process)


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Processes started meanwhile stay on this core, with all their threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} if core in before else before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
