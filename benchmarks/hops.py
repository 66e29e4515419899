"""What Repartee itself adds to a turn: how late it knows of its end, and three hops between providers and client.

    python -m benchmarks.hops [--turns 30] [--reply TEXT] [--spaces before|after] [--rtt MS]
        [--keep-alive S] [--pause S]

    hear -> think    the STT's answer has left its server, and the turn is over -> the LLM has the request
    think -> speak   the token that completes the first chunk has left -> the TTS has the request
    speak -> client  the TTS's first audio has left -> the client has the first delta

and, before them, how long past the silence wait it takes to know that the turn is over.

One session, scripted HTTP providers, no optimism. Words that are in before the silence wait is over wait for its
end: that is the wait's time and not a hop's. Times are read off the providers' own log and the client's clock, which is
theirs. The marks of the turn's trace split each hop at the moment when our own code first knew.

With `--rtt` the providers are so far away, behind TLS: hear -> think and think -> speak then hold one round trip each,
speak -> client half of one. `--keep-alive` makes them close connections that wait longer than that for a request, as
many servers do; a turn that finds none open pays for a TLS handshake at each hop.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trustme

from agents.audio import Audio
from benchmarks.harness import SlowLine, apply_agent, client, provider_log, providers, speech, summary
from tests.processes import Server, server

SILENCE_MS = 200
PLAIN = "    latency: {optimistic: false}"
"""An optimistic reply begins before the silence is over, and then no hop is waited for."""
SCRIPT = ("--stt-ms", "100", "--llm-first-ms", "200", "--llm-tokens-per-s", "50", "--tts-first-ms", "100")
REPLY = "Sure, it is a quarter past nine."
QUESTIONS = ("What time is it there now?", "Can you tell me about it?", "Where did we leave that book?")
INSIDE = (
    ("turn over -> turn committed", "eot_decided", "turn_committed"),
    ("turn committed -> request begun", "turn_committed", "llm[0].request_sent"),
    ("first token -> chunk complete", "llm[0].first_token", "seg[0].text_ready"),
    ("first byte of the TTS -> delta queued", "seg[0].tts_first_byte", "first_audio_sent"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The requests of the answer that was heard, as the providers logged them."""

    heard: dict[str, Any]
    thought: dict[str, Any]
    spoken: dict[str, Any]

    @classmethod
    def among(cls, entries: Sequence[dict[str, Any]]) -> Asked:
        """Words may have been asked for in vain before; the last that were in when the LLM was asked are those."""
        heard, thought, spoken = (
            [one for one in entries if one["path"].endswith(name)]
            for name in ("transcriptions", "completions", "speech")
        )
        begun = thought[-1]["received"]
        return cls(
            next(one for one in reversed(heard) if one["last_byte"] and one["last_byte"] <= begun),
            thought[-1],
            next(one for one in spoken if one["received"] >= begun),
        )


def completed_at(thought: dict[str, Any], spoken: dict[str, Any]) -> float:
    """When the token left the LLM that completed what the TTS was asked first; piece 0 is the opening."""
    tokens = len(spoken["asked"]["input"].split())
    return float(thought["pieces"][tokens])


async def one_turn(running: Server, base_url: str, question: Audio) -> dict[str, float]:
    async with client(running.ws_url, running.key) as me:
        await me.quiet(400)
        before = len(provider_log(base_url))
        last = await me.play(question)
        at, _ = await me.quiet_until("response.output_audio.delta")
        _, turn = await me.quiet_until("repartee.turn")
    spent = provider_log(base_url)[before:]
    asked = Asked.among(spent)
    heard, thought, spoken = asked.heard, asked.thought, asked.spoken
    marks = turn["trace"]["marks"]
    facts = turn["trace"]["facts"]
    waited_ms = max(0.0, (marks["eot_decided"] - marks["stt_final"]) / 1000)
    hops = {
        "hear -> think": (thought["received"] - heard["last_byte"]) * 1000 - waited_ms,
        "think -> speak": (spoken["received"] - completed_at(thought, spoken)) * 1000,
        "speak -> client": (at - spoken["first_byte"]) * 1000,
    }
    inside = {f"  {name}": (marks[end] - marks[start]) / 1000 for name, start, end in INSIDE}
    total_ms = (at - last) * 1000
    decided_ms = total_ms - (marks["first_audio_sent"] - marks["eot_decided"]) / 1000
    whole = {"voice to voice": total_ms, "turn detection, past the silence": decided_ms - SILENCE_MS}
    return {**whole, **hops, "all hops": sum(hops.values()), **inside, "underrun": float(facts["underrun_ms"])}


async def measure(running: Server, base_url: str, turns: int, pause_s: float) -> list[dict[str, float]]:
    clips = [speech(text) for text in QUESTIONS]
    await one_turn(running, base_url, clips[0])
    figures = []
    for n in range(turns):
        await asyncio.sleep(pause_s)
        figures.append(await one_turn(running, base_url, clips[n % len(clips)]))
    return figures


@contextmanager
def distant_providers(arguments: Sequence[str], folder: Path) -> Iterator[str]:
    """The scripted providers behind TLS that this process and its children trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    os.environ["SSL_CERT_FILE"] = str(folder / "ca.pem")
    files = ("--ssl-certfile", str(folder / "server.pem"), "--ssl-keyfile", str(folder / "server.pem"))
    with providers(*arguments, *files) as base_url:
        yield base_url


async def measure_at(
    running: Server, base_url: str, folder: Path, options: argparse.Namespace
) -> list[dict[str, float]]:
    """`measure`, with the providers `options.rtt` ms away."""
    away_ms = options.rtt / 2
    async with SlowLine(urlsplit(base_url).port or 0, up_ms=away_ms, down_ms=away_ms) as port:
        await asyncio.to_thread(
            apply_agent, running, f"https://127.0.0.1:{port}/v1", folder, PLAIN, silence_ms=SILENCE_MS
        )
        return await measure(running, base_url, options.turns, options.pause)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--reply", default=REPLY)
    parser.add_argument("--spaces", choices=("before", "after"), default="after", help="where tokens carry theirs")
    parser.add_argument("--rtt", type=float, default=0, metavar="MS", help="round trip to the providers, with TLS")
    parser.add_argument("--keep-alive", default="120", metavar="S", help="what the providers keep a connection for")
    parser.add_argument("--pause", type=float, default=0, metavar="S", help="silence between two sessions")
    options = parser.parse_args()
    script = (*SCRIPT, "--reply", options.reply, "--llm-spaces", options.spaces, "--keep-alive-s", options.keep_alive)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        base_url = stack.enter_context(distant_providers(script, folder) if options.rtt else providers(*script))
        running = stack.enter_context(server(data=folder))
        running.wait_for("/readyz")
        if options.rtt:
            figures = asyncio.run(measure_at(running, base_url, folder, options))
        else:
            apply_agent(running, base_url, folder, PLAIN, silence_ms=SILENCE_MS)
            figures = asyncio.run(measure(running, base_url, options.turns, options.pause))
    for row in figures[0]:
        print(f"{row:42s} {summary([figure[row] for figure in figures])}")


if __name__ == "__main__":
    main()
