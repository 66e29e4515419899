"""Voice to voice with and without optimistic replies, turn about, and whether anybody is cut off by them.

    python -m benchmarks.optimistic [--turns 20] [--raw FILE]

One session at a time, real Silero VAD, scripted HTTP providers, `server_vad` with a silence wait of 200 ms. Each
round asks one question of four agents: with and without optimism, a first sentence of ten tokens and a first clause
of five. From the last sample of the question leaving the client to the first delta of the answer reaching it.

The guard: utterances with a pause inside that is 30 ms shorter than the silence wait. None may be cut. "in vain" are
the STT's and the LLM's requests that were not the last of their turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from agents.audio import Audio, join
from benchmarks.harness import RATE, client, provider_log, providers, speech, summary
from benchmarks.stand import FIVE_TOKENS, PROVIDERS, SILENCE_MS, TEN_TOKENS
from tests.processes import Server, manage, server

QUESTIONS = ("What time is it there now?", "Can you tell me about it?", "Where did we leave that book?")
FIRST_HALVES = ("I would like to know", "Please tell me now", "Could we go on", "If you have a moment")
REPLIES = {"ten tokens": TEN_TOKENS, "five tokens": FIVE_TOKENS}
GUARDED = 20


@dataclass(frozen=True, slots=True)
class Agent:
    reply: str
    optimistic: bool

    @property
    def slug(self) -> str:
        return f"{self.reply.split()[0]}-{'early' if self.optimistic else 'plain'}"

    def yaml(self) -> str:
        account = self.reply.split()[0]
        return f"""
  - slug: {self.slug}
    instructions: You are terse.
    brain: llm
    stt: {{account: {account}, model: whisper-1}}
    llm: {{account: {account}, model: any}}
    tts: {{account: {account}, model: tts-1, voice: alloy}}
    turn_detection: {{type: server_vad, silence_duration_ms: {SILENCE_MS}}}
    latency: {{optimistic: {str(self.optimistic).lower()}}}"""


AGENTS = [Agent(reply, optimistic) for reply in REPLIES for optimistic in (False, True)]


@dataclass
class Figures:
    waits: dict[str, list[float]] = field(default_factory=dict)
    traces: list[dict[str, Any]] = field(default_factory=list)
    in_vain: dict[str, list[int]] = field(default_factory=lambda: {"transcriptions": [], "completions": []})
    cut: int = 0


def apply_agents(running: Server, base_url: str, folder: Path) -> None:
    origin = base_url.removesuffix("/v1")
    accounts = [
        f'  - {{name: {name.split()[0]}, kind: openai_compatible, api_key: unused, base_url: "'
        f'{origin}/with/{quote(urlencode({"reply": text}), safe="")}/v1"}}'
        for name, text in REPLIES.items()
    ]
    path = folder / "bench.yaml"
    path.write_text("\n".join(["accounts:", *accounts, "agents:", *(agent.yaml() for agent in AGENTS)]))
    manage(running.data, "agent", "apply", str(path))


async def ask(running: Server, base_url: str, agent: Agent, said: Audio, figures: Figures) -> float:
    """Ms from the end of what is said to the first sound of the answer."""
    async with client(running.ws_url, running.key, agent.slug) as me:
        await me.quiet(400)
        before = len(provider_log(base_url))
        last = await me.play(said)
        at, _ = await me.quiet_until("response.output_audio.delta")
        await me.send("response.cancel")  # so as not to sit through the answer
        _, turn = await me.until("repartee.turn")
        figures.cut += sum(event["type"] == "input_audio_buffer.speech_stopped" for _, event in me.events) > 1
    spent = provider_log(base_url)[before:]
    for kind, counts in figures.in_vain.items():
        counts.append(sum(entry["path"].endswith(kind) for entry in spent) - 1)
    figures.traces.append({"agent": agent.slug, **turn["trace"]})
    return (at - last) * 1000


async def measure(running: Server, base_url: str, turns: int) -> tuple[Figures, Figures]:
    clips = [speech(text) for text in QUESTIONS]
    for agent in AGENTS:
        await ask(running, base_url, agent, clips[0], Figures())
    figures, guard = Figures(), Figures()
    for n in range(turns):
        for agent in AGENTS:
            wait = await ask(running, base_url, agent, clips[n % len(clips)], figures)
            figures.waits.setdefault(agent.slug, []).append(wait)
    early = next(agent for agent in AGENTS if agent.optimistic)
    for said in guarded(clips):
        await ask(running, base_url, early, said, guard)
    return figures, guard


def guarded(clips: list[Audio]) -> Iterator[Audio]:
    """Utterances with a pause inside, as long as it may be."""
    halves = [speech(text) for text in FIRST_HALVES]
    for n in range(GUARDED):
        yield join([halves[n % len(halves)], Audio.silence(SILENCE_MS - 30, RATE), clips[n % len(clips)]], RATE)


def report(figures: Figures, guard: Figures) -> None:
    for slug, waits in figures.waits.items():
        print(f"{slug:14s} {summary(waits)}")
    early = [trace for trace in figures.traces if trace["agent"].endswith("early")]
    saved = [
        trace["latencies"]["speculation_saved"] / 1000 for trace in early if "speculation_saved" in trace["latencies"]
    ]
    outcomes = [trace["facts"].get("spec_outcome") for trace in early]
    print(f"outcomes       { {outcome: outcomes.count(outcome) for outcome in outcomes} }")
    if saved:
        print(f"saved, ms      {summary(saved)}")
    for name, of in (("questions", figures), ("guard", guard)):
        asked = len(of.traces)
        vain = ", ".join(f"{sum(counts)} {kind}" for kind, counts in of.in_vain.items())
        print(f"{name:14s} {asked} utterances, {of.cut} cut; in vain: {vain}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=20, help="rounds; each is one turn of four agents")
    parser.add_argument("--raw", type=Path, help="write the traces of all turns there, as JSON")
    options = parser.parse_args()
    script = [text for name, value in PROVIDERS.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    with (
        tempfile.TemporaryDirectory() as name,
        server(data=Path(name)) as running,
        providers(*script) as base_url,
    ):
        running.wait_for("/readyz")
        apply_agents(running, base_url, Path(name))
        figures, guard = asyncio.run(measure(running, base_url, options.turns))
    report(figures, guard)
    if options.raw:
        options.raw.write_text(json.dumps([*figures.traces, *guard.traces], indent=1))


if __name__ == "__main__":
    main()
