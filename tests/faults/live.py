"""Conversations with a real server whose agents hear, think and speak through scripted providers."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.audio import Audio
from benchmarks.harness import RATE, Client
from tests.fakes.scripted_server import ScriptedServer
from tests.processes import Server, manage

Event = dict[str, Any]
PAUSE_MS = 700
"""Silence that ends a turn, with what the resampler and the last window need."""
PATIENT = "connect_timeout_s: 10, first_output_timeout_s: 20, stall_timeout_s: 20"
"""With accounts that never fail: no stop of a busy machine is taken for a failure."""
HASTY = "connect_timeout_s: 2, first_output_timeout_s: 2, stall_timeout_s: 1.5"


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent's file: `stt`, `llm`, `tts` and `feed` are the bodies of those parts, without their braces."""

    slug: str
    stt: str = "account: good, model: whisper-1"
    llm: str = "account: good, model: any"
    tts: str = "account: good, model: tts-1"
    feed: str = "mode: 'off'"

    def yaml(self) -> str:
        return f"""\
  - slug: {self.slug}
    brain: llm
    apology: Sorry about that.
    store_text: true
    stt: {{{self.stt}}}
    llm: {{{self.llm}}}
    tts: {{{self.tts}}}
    turn_detection: {{type: server_vad, silence_duration_ms: 300}}
    feed: {{{self.feed}}}
"""


def document(accounts: dict[str, str], agents: list[Agent], hasty: Collection[str] = ()) -> str:
    """The file of `agents`; `accounts` are base URLs by name, `hasty` those which are soon given up."""
    entries = [
        f'  - {{name: {name}, kind: openai_compatible, base_url: "{url}", api_key: sk-canary-key, '
        f"{HASTY if name in hasty else PATIENT}}}\n"
        for name, url in accounts.items()
    ]
    return "".join(["accounts:\n", *entries, "agents:\n", *(agent.yaml() for agent in agents)])


def apply(
    server: Server, accounts: dict[str, str], agents: list[Agent], folder: Path, *, hasty: Collection[str] = ()
) -> None:
    """Publish `agents` on `server`."""
    path = folder / "agents.yaml"
    path.write_text(document(accounts, agents, hasty))
    manage(server.data, "agent", "apply", str(path))


def change(providers: ScriptedServer, **script: object) -> None:
    """What the scripted server does from now on, for accounts without a script of their own."""
    data = json.dumps(script).encode()
    with urllib.request.urlopen(f"{providers.origin}/_script", data=data, timeout=20):
        pass


async def ask(me: Client, text: str = "What time is it?") -> None:
    """A typed question."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    await me.send("conversation.item.create", item=item)
    await me.send("response.create")


async def speak(me: Client, clip: Audio) -> None:
    """A spoken question, sent faster than real time, and the silence after it."""
    await me.append(Audio.silence(300, RATE))
    await me.append(clip)
    await me.append(Audio.silence(PAUSE_MS, RATE))


async def answer(me: Client, *, within: float = 20) -> Event:
    """The response that ends next."""
    _, event = await me.until("response.done", within=within)
    response: Event = event["response"]
    return response


def of(me: Client, kind: str, **fields: object) -> list[Event]:
    """The events of `kind` so far that have these `fields`."""
    return [e for _, e in me.events if e["type"] == kind and fields.items() <= e.items()]


def words(me: Client, response: Event) -> str:
    return "".join(e["delta"] for e in of(me, "response.output_audio_transcript.delta", response_id=response["id"]))


def audio_ms(me: Client, response: Event) -> float:
    deltas = of(me, "response.output_audio.delta", response_id=response["id"])
    return sum(len(e["delta"]) * 3 / 4 for e in deltas) * 1000 / (2 * RATE)


def every_response_ended(me: Client) -> bool:
    created = [e["response"]["id"] for e in of(me, "response.created")]
    done = [e["response"]["id"] for e in of(me, "response.done")]
    return created == done
