"""How fast the agent holds and stops, by turn detection, and whether it says a word after that.

    python -m benchmarks.barge_in

Scripted HTTP providers, real Silero VAD, synthesised interruptions of recorded length at random moments.
The clock runs from the first 10 ms of the interruption above -40 dBFS to `repartee.hold`, and to the clear
(speech_started), reaching the client. benchmarks.false_stops has what should not stop it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.audio import Audio, join
from benchmarks.harness import RATE, Client, apply_agent, client, providers, speech, summary
from tests.processes import Server, server

SPEECH = " ".join(["Let me tell you all about it, one thing after the other."] * 60)
INTERRUPTIONS = ("Stop, please.", "Wait a moment.", "No, I meant tomorrow.", "Hold on.", "Excuse me, what was that?")


def onset_ms(audio: Audio) -> float:
    """Start of the first 10 ms whose level is above -40 dBFS."""
    step = RATE // 100
    samples = audio.float32()
    levels = [np.sqrt(np.mean(samples[n : n + step] ** 2)) for n in range(0, len(samples) - step, step)]
    return next(n for n, level in enumerate(levels) if level > 0.01) * 10.0


@dataclass(frozen=True, slots=True)
class Delays:
    """Ms from the onset of an interruption."""

    hold: float
    clear: float


async def interrupt(me: Client, clip: Audio, after_ms: float) -> Delays:
    """Speak over the running reply."""
    await me.quiet_until("response.output_audio.delta")
    await me.quiet(after_ms)
    async with asyncio.TaskGroup() as group:
        start = time.monotonic()
        speaking = group.create_task(me.play(join([clip, Audio.silence(10_000, RATE)], RATE)))
        held, _ = await me.until("repartee.hold", where=lambda event: event["state"] == "held")
        cleared, _ = await me.until("input_audio_buffer.speech_started")
        await asyncio.sleep(1)
        speaking.cancel()
    # play() sends a frame when its last sample has been spoken: the clip's first sample was spoken at `start`
    return Delays(*((at - start) * 1000 - onset_ms(clip) for at in (held, cleared)))


def stale(events: list[tuple[float, dict[str, Any]]]) -> int:
    """Audio of a response that came after the clear that ended it."""
    count = 0
    ended: set[str] = set()
    heard: set[str] = set()
    for _, event in events:
        match event["type"]:
            case "input_audio_buffer.speech_started":
                ended |= heard
            case "response.output_audio.delta":
                heard.add(event["response_id"])
                count += event["response_id"] in ended
    return count


async def measure(running: Server, detection: str, count: int, seed: int) -> tuple[list[Delays], int]:
    moments = random.Random(seed)
    clips = [speech(text) for text in INTERRUPTIONS]
    delays: list[Delays] = []
    late = 0
    while len(delays) < count:
        async with client(running.ws_url, running.key) as me:
            turns = {"type": detection}
            await me.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": turns}}})
            await me.quiet(300)
            await me.play(clips[-1])
            await me.quiet_until("input_audio_buffer.speech_started")
            delays += [
                await interrupt(me, moments.choice(clips), moments.uniform(0, 3000))
                for _ in range(min(20, count - len(delays)))
            ]
            await me.quiet(500)
            late += stale(me.events)
    return delays, late


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    stt, llm = ("--stt-ms", "100"), ("--llm-first-ms", "50", "--llm-tokens-per-s", "200")
    script = (*stt, *llm, "--tts-first-ms", "50", "--tts-speed", "20")
    with (
        tempfile.TemporaryDirectory() as name,
        server(data=Path(name)) as running,
        providers(*script, "--reply", SPEECH, "--transcript", "No, I meant tomorrow.") as base_url,
    ):
        running.wait_for("/readyz")
        apply_agent(running, base_url, Path(name))
        for detection in ("server_vad", "semantic_vad"):
            delays, late = asyncio.run(measure(running, detection, options.count, options.seed))
            print(detection)
            print(f"  onset to hold, ms    {summary([one.hold for one in delays])}")
            print(f"  onset to clear, ms   {summary([one.clear for one in delays])}")
            print(f"  stale audio deltas after the clear: {late} in {len(delays)} interruptions")


if __name__ == "__main__":
    main()
