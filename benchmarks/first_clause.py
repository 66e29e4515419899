"""What speaking the first clauses at once is worth, and the gap that it may leave behind them.

    python -m benchmarks.first_clause

Scripted providers on virtual time, so the figures are exact and the same on every machine. For each reply and speed of
the providers: ms from the end of the user's turn to the first audio, and the silence within the reply because its next
piece was not voiced yet. The rest of a reply is never heard later than without: the gap is part of what the
listener would have waited before anything was said.
"""

from __future__ import annotations

from typing import Literal

from agents.providers.scripted import ScriptedLLM, ScriptedTTS
from agents.spec import Latency
from sessions.pipeline.messages import TurnClosed
from tests.scenario import conversation
from tests.virtual_time import run

REPLIES = (
    "Oh, it is a quarter past nine in the morning.",
    "Sure, it is a quarter past nine in the morning now.",
    "Oh, you will find it on the second floor right behind the big stairs where the old library used to be.",
    "Sure, if you come before nine, you will find the door open and somebody at the desk who can help you with that.",
)
FIRST: tuple[Literal["sentence", "clause"], ...] = ("sentence", "clause")
SPEEDS = ((50, 100), (50, 300), (15, 100), (15, 400))
"""The LLM's tokens a second, and ms to the TTS's first byte."""


async def measure(reply: str, tokens_per_s: int, tts_ms: int, latency: Latency) -> tuple[float, float]:
    """ms to the first audio, and ms of gaps."""
    llm = ScriptedLLM([reply], first_s=0.2, tokens_per_s=tokens_per_s)
    async with conversation(llm=llm, tts=ScriptedTTS(first_s=tts_ms / 1000, speed=5), latency=latency) as talk:
        await talk.speak(600)
        trace = (await talk.until_while_silent(TurnClosed)).trace
    marks = trace["marks"]
    return (marks["first_audio_sent"] - marks["eot_decided"]) / 1000, float(trace["facts"]["underrun_ms"])


def main() -> None:
    print(f"{'':44s}{'whole sentences':>24s}{'first clauses':>24s}")
    print(f"{'LLM, TTS':44s}{'first audio':>13s}{'gaps':>11s}{'first audio':>13s}{'gaps':>11s}")
    for reply in REPLIES:
        print(reply)
        for tokens_per_s, tts_ms in SPEEDS:
            row = f"{f'  {tokens_per_s} tokens/s, {tts_ms} ms':44s}"
            for first_chunk in FIRST:
                latency = Latency(first_chunk=first_chunk, optimistic=False)
                first_ms, gap_ms = run(measure(reply, tokens_per_s, tts_ms, latency))
                row += f"{first_ms:13.0f}{gap_ms:11.0f}"
            print(row)


if __name__ == "__main__":
    main()
