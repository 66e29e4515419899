"""The river against the waterfall: the same stages one after another, and streaming at once.

    python -m benchmarks.waterfall

The client commits the turn. The clock runs from the last sample leaving the client to the first audio
leaving the server; the line delivers 50 ms late each way, and the way down is a row of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from agents.audio import Audio
from benchmarks.harness import SlowLine, apply_agent, client, providers, speech, summary
from benchmarks.load.figures import percentile
from tests.processes import Server, server

STREAMING = ("--stt-ms", "200", "--llm-first-ms", "300", "--llm-tokens-per-s", "50", "--tts-first-ms", "100")
CASES = {
    "serial: 50 up + 300 STT + 2000 LLM + 500 TTS": (("--serial",), 2850),
    "streaming: 50 up + 200 STT + 300 LLM + 100 TTS, opening with 'Sure,'": (
        (*STREAMING, "--reply", "Sure, it is a quarter past nine in the morning."),
        650,
    ),
    "streaming, first sentence of ten tokens": (
        (*STREAMING, "--reply", "It is now a quarter past nine in the morning. Is there more?"),
        650 + 9 * 20,
    ),
}


async def one_turn(running: Server, question: Audio) -> tuple[float, float]:
    """(ms to the first audio leaving the server, ms to its arrival at the client)."""
    line = SlowLine(running.port, up_ms=50, down_ms=50)
    async with line as port, client(running.ws_url, running.key, port=port) as me:
        await me.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
        await me.until("session.updated")
        last = await me.play(question)
        await me.send("input_audio_buffer.commit")
        await me.send("response.create")
        at, _ = await me.until("response.output_audio.delta")
        assert line.first_audio is not None
        await me.until("response.done")
    return (line.first_audio - last) * 1000, (at - last) * 1000


async def measure(running: Server, question: Audio, turns: int) -> tuple[list[float], list[float]]:
    await one_turn(running, question)  # connections open, caches warm
    figures = [await one_turn(running, question) for _ in range(turns)]
    return [left for left, _ in figures], [arrived for _, arrived in figures]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=10)
    turns = parser.parse_args().turns
    question = speech("What time is it there now?")
    medians: list[float] = []
    with tempfile.TemporaryDirectory() as name, server(data=Path(name)) as running:
        running.wait_for("/readyz")
        for case, (arguments, stages_ms) in CASES.items():
            with providers(*arguments) as base_url:
                apply_agent(running, base_url, Path(name))
                left, arrived = asyncio.run(measure(running, question, turns))
            medians.append(percentile(left, 0.5))
            print(f"{case}\n    the stages alone {stages_ms:7.1f} ms")
            print(f"    left the server      {summary(left)}")
            print(f"    ours, p50        {percentile(left, 0.5) - stages_ms:7.1f} ms")
            print(f"    heard, 50 ms down    {summary(arrived)}")
            time.sleep(0.2)
    print(f"the waterfall takes {medians[0] / medians[1]:.1f} times as long as the river")


if __name__ == "__main__":
    main()
