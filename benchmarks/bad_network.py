"""Calls over a bad line: gaps in what is heard, and how soon the agent is silent when it is interrupted.

    python -m benchmarks.bad_network

The line is that of `benchmarks.bad_line`: 150 ± 80 ms each way, and stalls of 500 ms. Gaps: calls of thirty answers
in the talk page's own jitter buffer (needs Node.js), on the clock of their arrivals, so the seed alone decides. Each
answer leaves the server as the pacer lets it. A gap counts as unavoidable when beginning 240 ms later would not have
closed it. Interruptions: a real server with real Silero VAD, spoken over at random moments, through the line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from agents.audio import Audio
from agents.spec import Latency
from benchmarks.bad_line import BadLine, Weather
from benchmarks.barge_in import INTERRUPTIONS, SPEECH, onset_ms, stale
from benchmarks.harness import Client, apply_agent, client, providers, speech, summary
from tests.processes import ROOT, Server, server

PAGE_BUFFER: Final = ROOT / "sessions" / "static" / "repartee" / "jitter-buffer.js"
LONGEST_WAIT_MS: Final = 240.0
ANSWERS: Final = 30
VOICE_SPEED: Final = 5.0
LATENCY: Final = Latency()
GUESSED_AT_MOST_MS: Final = 60.0
DECISIVE_S: Final = 0.15
"""Into the interruption: without what is said there it would not be one."""

LINES: Final = {
    "good: 20 ± 2 ms": Weather(delay_ms=20, jitter_ms=2, stall_ms=0),
    "uneven: 30 ± 25 ms": Weather(delay_ms=30, jitter_ms=25, stall_ms=0),
    "bad: 150 ± 80 ms": Weather(stall_ms=0),
    "bad, with stalls of 500 ms": Weather(),
    "good, with a stall a minute": Weather(delay_ms=20, jitter_ms=2, calm_s=(40.0, 80.0)),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """When each piece of an answer arrives, in ms of its call, and how many ms of audio it holds."""

    pieces: tuple[tuple[float, float], ...]

    def needed_ms(self) -> float:
        """How much later than its first piece it must begin to have no gap."""
        first, before, needed = self.pieces[0][0], 0.0, 0.0
        for arrives, ms in self.pieces:
            needed, before = max(needed, arrives - first - before), before + ms
        return needed

    def gaps(self, waits_ms: float) -> Iterator[float]:
        """The gaps in it if it begins so much later, and goes on with whatever comes."""
        ear = self.pieces[0][0] + waits_ms
        for arrives, ms in self.pieces:
            if arrives > ear:
                yield arrives - ear
            ear = max(ear, arrives) + ms


def released(audio_ms: float) -> Iterator[tuple[float, float]]:
    """When each piece leaves the server, in ms from the first, and its length."""
    at = 0.0
    while at < audio_ms:
        ms = min(LATENCY.delta_ms if at else LATENCY.first_delta_ms, audio_ms - at)
        made = (at + ms) / VOICE_SPEED if at else 0.0
        yield max(0.0, at - LATENCY.lead_ms, made), ms
        at += ms


def call(weather: Weather) -> list[Answer]:
    draw, now, answers = random.Random(f"call {weather.seed}"), 1000.0, list[Answer]()
    for _ in range(ANSWERS):
        audio_ms, arrived, pieces = draw.uniform(1500, 7000), 0.0, list[tuple[float, float]]()
        for leaves, ms in released(audio_ms):
            arrived = max(arrived, weather.out_at("down", (now + leaves) / 1000) * 1000)
            pieces.append((arrived, ms))
        answers.append(Answer(tuple(pieces)))
        now += audio_ms + draw.uniform(2000, 4000)
    return answers


def on_the_page(calls: list[list[Answer]], guess_ms: float, buffer: Path) -> list[dict[str, float]]:
    """What the talk page's jitter buffer makes of each answer."""
    script = [
        {"targetMs": guess_ms, "items": [{"pieces": a.pieces, "endsAtMs": a.pieces[-1][0] + 1} for a in answers]}
        for answers in calls
    ]
    command: list[str | Path] = ["node", ROOT / "benchmarks" / "jitter_buffer.mjs", buffer]
    done = subprocess.run(command, input=json.dumps(script), capture_output=True, text=True, check=True)
    played: list[list[dict[str, float]]] = json.loads(done.stdout)
    return [item for items in played for item in items]


def print_gaps(name: str, weather: Weather, seeds: int, buffer: Path) -> None:
    calls = [call(replace(weather, seed=seed)) for seed in range(1, seeds + 1)]
    answers = [answer for one in calls for answer in one]
    at_once = [gap for answer in answers for gap in answer.gaps(0)]
    hopeless = [gap for a in answers if a.needed_ms() > LONGEST_WAIT_MS for gap in a.gaps(LONGEST_WAIT_MS)]
    page = on_the_page(calls, min(GUESSED_AT_MOST_MS, weather.delay_ms / 2), buffer)
    print(f"{name} ({len(answers)} answers)")
    print(f"  played at once     gaps {len(at_once):4d}   {sum(at_once):6.0f} ms")
    gaps, gap_ms = (sum(item[name] for item in page) for name in ("underruns", "dryMs"))
    waits = summary([item["waitedMs"] for item in page])
    print(f"  talk page          gaps {gaps:4.0f}   {gap_ms:6.0f} ms   waits, ms {waits}")
    print(f"  unavoidable        gaps {len(hopeless):4d}   {sum(hopeless):6.0f} ms", flush=True)


async def interrupt(me: Client, line: BadLine, clip: Audio, after_ms: float) -> tuple[float, float, float]:
    """Speak over the running reply: ms from the onset to the hold, to the clear, and a round trip of what decides."""
    await me.quiet_until("response.output_audio.delta")
    await me.quiet(after_ms)
    async with asyncio.TaskGroup() as group:
        onset = time.monotonic() + onset_ms(clip) / 1000
        group.create_task(me.play(clip))
        held, _ = await me.until("repartee.hold", where=lambda event: event["state"] == "held")
        cleared, _ = await me.until("input_audio_buffer.speech_started")
    trip_s = line.weather.round_trip_s(onset + DECISIVE_S - line.began)
    return (held - onset) * 1000, (cleared - onset) * 1000, trip_s * 1000


async def interruptions(running: Server, weather: Weather, count: int) -> None:
    moments = random.Random(weather.seed)
    clips = [speech(text) for text in INTERRUPTIONS]
    found, late = list[tuple[float, float, float]](), 0
    line = BadLine(running.port, weather)
    async with line as port:
        while len(found) < count:
            async with client(running.ws_url, running.key, port=port) as me:
                await me.quiet(300)
                await me.play(clips[-1])
                await me.quiet_until("input_audio_buffer.speech_started")
                for _ in range(min(10, count - len(found))):
                    found.append(await interrupt(me, line, moments.choice(clips), moments.uniform(0, 3000)))
                    print(".", end="", flush=True)
                late += stale(me.events)
    held, cleared, trips = zip(*found, strict=True)
    print(f"\nround trip of the moment, ms    {summary(list(trips))}")
    print(f"onset to hold, ms               {summary(list(held))}")
    print(f"onset to clear, ms              {summary(list(cleared))}")
    print(f"hold, less the round trip       {summary([ms - trip for ms, trip in zip(held, trips, strict=True)])}")
    print(f"clear, less the round trip      {summary([ms - trip for ms, trip in zip(cleared, trips, strict=True)])}")
    print(f"audio of an ended reply after its clear: {late} deltas")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=5, help="of thirty answers, on each line")
    parser.add_argument("--interruptions", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--buffer", type=Path, default=PAGE_BUFFER, help="another jitter-buffer.js, to compare with")
    options = parser.parse_args()
    for name, weather in LINES.items():
        print_gaps(name, weather, options.calls, options.buffer)
    if not options.interruptions:
        return
    quick: dict[str, Any] = {"stt-ms": 50, "llm-first-ms": 50, "llm-tokens-per-s": 200, "tts-first-ms": 50}
    script = [text for key, value in quick.items() for text in (f"--{key}", str(value))]
    with (
        tempfile.TemporaryDirectory() as name,
        server(data=Path(name)) as running,
        providers(*script, "--reply", SPEECH) as base_url,
    ):
        running.wait_for("/readyz")
        apply_agent(running, base_url, Path(name))
        asyncio.run(interruptions(running, Weather(seed=options.seed), options.interruptions))


if __name__ == "__main__":
    main()
