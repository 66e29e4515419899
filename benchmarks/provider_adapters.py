"""What the OpenAI-compatible adapters add to what the server takes, and how fast they let go.

    python benchmarks/provider_adapters.py [ROUNDS]

Starts the scripted server as a process of its own. Both clocks are CLOCK_MONOTONIC, so they compare.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from agents.audio import Audio  # noqa: E402 - a program, run from anywhere
from agents.interfaces import CompletionOptions, Message, Segment, VoiceOptions  # noqa: E402
from agents.providers.openai_compatible.client import Client, Clients  # noqa: E402
from agents.providers.openai_compatible.llm import OpenAILLM  # noqa: E402
from agents.providers.openai_compatible.stt import OpenAISTT  # noqa: E402
from agents.providers.openai_compatible.tts import OpenAITTS  # noqa: E402
from agents.providers.scripted import tone  # noqa: E402
from agents.spec import Account, LLMSpec, STTSpec, TTSSpec  # noqa: E402
from telemetry.trace import TurnMarks  # noqa: E402

SCRIPT = ("--stt-ms", "50", "--llm-first-ms", "50", "--llm-tokens-per-s", "50", "--tts-first-ms", "50")
SERVER_MS = 50


async def spoken() -> AsyncGenerator[Audio, None]:
    yield tone(3000, 16_000)


async def written() -> AsyncGenerator[Segment, None]:
    yield Segment(0, "Sure, it is a quarter past nine in the morning.")


def hear(client: Client) -> AsyncGenerator[Any, None]:
    return OpenAISTT(client, STTSpec()).transcribe(spoken(), TurnMarks(time.monotonic))


def think(client: Client) -> AsyncGenerator[Any, None]:
    llm = OpenAILLM(client, LLMSpec(model="any"))
    return llm.complete([Message("user", "Time?")], (), CompletionOptions(), TurnMarks(time.monotonic))


def say(client: Client) -> AsyncGenerator[Any, None]:
    return OpenAITTS(client, TTSSpec()).synthesize(written(), VoiceOptions(), TurnMarks(time.monotonic))


async def first_output_ms(stream: AsyncGenerator[Any, None]) -> tuple[float, float, float]:
    """To the first output; the moment of closing; how long closing took."""
    started = time.monotonic()
    async with aclosing(stream):
        await anext(stream)
        first = time.monotonic()
    return (first - started) * 1000, first, (time.monotonic() - first) * 1000


def requests(origin: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{origin}/_log", timeout=5) as answer:  # noqa: S310 - our own server
        found: list[dict[str, Any]] = json.load(answer)["requests"]
        return found


def row(name: str, values: list[float]) -> None:
    low, high, most = np.percentile(values, [50, 95, 100])
    print(f"{name:<44} p50 {low:6.1f}  p95 {high:6.1f}  max {most:6.1f} ms   n={len(values)}")


async def measure(origin: str, rounds: int) -> None:
    clients = Clients()
    client = clients.client(Account(name="lab", kind="openai_compatible", base_url=f"{origin}/v1"))
    started = time.monotonic()
    await client.warm()
    print(f"{'first warm() of a process':<44}     {(time.monotonic() - started) * 1000:6.1f} ms")
    for name, ask in (("stt", hear), ("llm", think), ("tts", say)):
        await first_output_ms(ask(client))
        added, released, closing = [], [], []
        for _ in range(rounds):
            took_ms, left, closing_ms = await first_output_ms(ask(client))
            await asyncio.sleep(0.05)
            added.append(took_ms - SERVER_MS)
            closing.append(closing_ms)
            seen = requests(origin)[-1]["disconnected"]
            if seen is not None:
                released.append((seen - left) * 1000)
        row(f"{name}: first output, beyond the server's {SERVER_MS} ms", added)
        row(f"{name}: aclose()", closing)
        if released:
            row(f"{name}: aclose() to the server seeing it", released)
    await clients.aclose()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    command = [sys.executable, "-m", "benchmarks.providers", "--port", "0", *SCRIPT]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            origin = (server.stdout.readline() if server.stdout else "").strip().removesuffix("/v1")
            time.sleep(1)
            asyncio.run(measure(origin, rounds))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
