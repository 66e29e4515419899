"""How long `guide` takes to answer on the embedded models, in real time, by segment.

    python -m benchmarks.guide_latency [--recorded]

Twenty questions, synthesised, spoken over the real WebSocket; or twenty sentences recorded of a human voice
(benchmarks/clips.py), to which the guide mostly says that it does not know. Measured at the client's ear, from the last
sound of the question to the first audible sample of the answer; the segments are the server's critical path. "cut" are
those that got more than one answer.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks import clips
from benchmarks.harness import RATE, speech, summary
from benchmarks.load.figures import percentile
from sessions.talk_client import Clip, Exchange, TalkOptions, realtime_url, talk
from tests.processes import Server, server

QUESTIONS = (
    "What is Repartee?",
    "How does barge in work?",
    "What is voice activity detection?",
    "Which speech recognition model do you use?",
    "How do I connect an OpenAI client?",
    "What time is it?",
    "What is twelve times seven?",
    "Do I need a graphics card?",
    "How long do you keep what I say?",
    "How do I publish a new version of an agent?",
    "What is jitter?",
    "Can I use Ollama?",
    "Who won the football yesterday?",
    "How do I start the server?",
    "What does the waterfall show?",
    "Why do you answer so quickly?",
    "Can I call you from a telephone?",
    "What happens when I cough?",
    "How can an agent use my own documents?",
    "What can you do?",
)


def recorded(count: int) -> list[Clip]:
    sentences = list(clips.sentences())
    picked = sentences[:: len(sentences) // count][:count]
    return [Clip.of(name, audio.resampled(RATE)) for name, audio in picked]


async def converse(running: Server, said: list[Clip]) -> list[Exchange]:
    options = TalkOptions(url=realtime_url(running.ws_url, "guide"), key=running.key, barge_in_ms=1500)
    held = await talk(options, said, lambda _: None)
    return [exchange for exchange in held.exchanges if exchange.clip != "greeting"]


def report(exchanges: list[Exchange]) -> None:
    segments: defaultdict[str, list[float]] = defaultdict(list)
    for exchange in exchanges:
        facts = (exchange.trace or {}).get("facts", {})
        why = f"{facts.get('turn_ended_by')} after {facts.get('turn_wait_ms')} ms"
        print(f"{exchange.voice_to_voice_ms or 0:7.0f} ms  {exchange.clip} [{why}]")
        print(f"      heard  {exchange.heard}\n      said   {exchange.answer[:150]}")
        for step in (exchange.trace or {}).get("path", ()):
            segments[step["name"]].append(step["duration_us"] / 1000)
    waits = [exchange.voice_to_voice_ms for exchange in exchanges if exchange.voice_to_voice_ms]
    print(f"\n{'speech end to first audio':30s} {summary(waits)}")
    for name, values in segments.items():
        print(f"  {name:28s} p50 {percentile(values, 0.5):7.1f}   p95 {percentile(values, 0.95):7.1f}")
    answers = Counter(exchange.clip for exchange in exchanges)
    print(f"cut: {sum(n > 1 for n in answers.values())} of {len(answers)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=len(QUESTIONS))
    parser.add_argument("--recorded", action="store_true", help="recorded sentences in place of the questions")
    options = parser.parse_args()
    if options.recorded:
        said = recorded(options.questions)
    else:
        said = [Clip.of(text, speech(text)) for text in QUESTIONS[: options.questions]]
    with tempfile.TemporaryDirectory() as name, server(data=Path(name)) as running:
        running.wait_for("/readyz")
        exchanges = asyncio.run(converse(running, said))
    report(exchanges)


if __name__ == "__main__":
    main()
