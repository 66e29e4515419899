"""What Repartee itself adds to a turn: voice-to-voice, less the silence wait, less the providers' own time.

    python -m benchmarks.overhead

One session, no optimism, real Silero VAD, scripted HTTP providers. The providers' own time is read off
their own clocks: the STT's whole answer, the LLM from request to its first clause, the TTS to its first
byte. Turn detection's part is the silence that passed beyond the silence wait before the turn was over.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import Any

from agents.audio import Audio
from benchmarks.harness import apply_agent, client, provider_log, providers, speech, summary
from tests.processes import Server, server

SILENCE_MS = 300
QUESTIONS = ("What time is it there now?", "Can you tell me about it?", "Where did we leave that book?")
SCRIPT = ("--stt-ms", "100", "--llm-first-ms", "200", "--llm-tokens-per-s", "50", "--tts-first-ms", "100")
REPLY = "Sure, it is a quarter past nine."


def first_output_ms(entries: list[dict[str, Any]], name: str) -> float:
    """How long the first request to `name` waited for its first byte, by the provider's own clock."""
    entry = next(entry for entry in entries if entry["path"].endswith(name))
    return float(entry["first_byte"] - entry["received"]) * 1000


async def one_turn(running: Server, base_url: str, question: Audio) -> dict[str, float]:
    async with client(running.ws_url, running.key) as me:
        await me.quiet(400)
        before = len(provider_log(base_url))
        last = await me.play(question)
        at, _ = await me.quiet_until("response.output_audio.delta")
        _, turn = await me.quiet_until("repartee.turn")
    spent = provider_log(base_url)[before:]
    marks = turn["trace"]["marks"]
    total = (at - last) * 1000
    after_decision = (marks["first_audio_sent"] - marks["eot_decided"]) / 1000
    # the transcript is asked for within the silence wait: only what came after the decision costs time
    stt = max(0.0, (marks["stt_final"] - marks["eot_decided"]) / 1000)
    providers_ms = stt + first_output_ms(spent, "completions") + first_output_ms(spent, "speech")
    return {
        "voice to voice": total,
        "overhead": total - SILENCE_MS - providers_ms,
        "  of it turn detection": total - after_decision - SILENCE_MS,
        "  of it all else": after_decision - providers_ms,
    }


async def measure(running: Server, base_url: str, turns: int) -> list[dict[str, float]]:
    clips = [speech(text) for text in QUESTIONS]
    await one_turn(running, base_url, clips[0])
    return [await one_turn(running, base_url, clips[n % len(clips)]) for n in range(turns)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=30)
    turns = parser.parse_args().turns
    with (
        tempfile.TemporaryDirectory() as name,
        server(data=Path(name)) as running,
        providers(*SCRIPT, "--reply", REPLY) as base_url,
    ):
        running.wait_for("/readyz")
        apply_agent(running, base_url, Path(name), "    latency: {optimistic: false}")
        figures = asyncio.run(measure(running, base_url, turns))
    for row in figures[0]:
        print(f"{row:40s} {summary([figure[row] for figure in figures])}")


if __name__ == "__main__":
    main()
