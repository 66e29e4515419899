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


def provider_ms(entries: list[dict[str, Any]], first_clause_ms: float) -> dict[str, float]:
    """Time really spent in each provider, from its own log."""
    spent = {}
    for entry in entries:
        name = entry["path"].rsplit("/", 1)[-1]
        end = entry["last_byte"] if name == "transcriptions" else entry["first_byte"]
        if name not in spent:
            spent[name] = (end - entry["received"]) * 1000 + (first_clause_ms if name == "completions" else 0)
    return spent


async def one_turn(running: Server, base_url: str, question: Audio) -> dict[str, float]:
    async with client(running.ws_url, running.key) as me:
        await me.quiet(400)
        before = len(provider_log(base_url))
        last = await me.play(question)
        at, _ = await me.quiet_until("response.output_audio.delta")
        _, turn = await me.quiet_until("repartee.turn")
        await asyncio.sleep(0.1)
        spent = provider_ms(provider_log(base_url)[before:], 0)
    trace = turn["trace"]
    marks = trace["marks"]
    total = (at - last) * 1000
    detected = (marks["eot_decided"] - marks["user_speech_end"]) / 1000
    # the transcript is asked for within the silence wait: only what of it came after the decision costs time
    stt = max(0.0, (marks["stt_final"] - marks["eot_decided"]) / 1000)
    answer = spent["completions"] + spent["speech"]
    return {
        "voice to voice": total,
        "turn detection beyond the silence wait": total
        - (marks["first_audio_sent"] - marks["eot_decided"]) / 1000
        - SILENCE_MS,
        "overhead": total - SILENCE_MS - stt - answer,
        "endpointing by the server's marks": detected,
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
        apply_agent(running, base_url, Path(name))
        figures = asyncio.run(measure(running, base_url, turns))
    for row in figures[0]:
        print(f"{row:40s} {summary([figure[row] for figure in figures])}")


if __name__ == "__main__":
    main()
