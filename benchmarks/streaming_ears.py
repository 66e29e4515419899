"""What it costs to hear through another Repartee instead of in the process, and how soon words are there.

    python -m benchmarks.streaming_ears [ROUNDS]

Recorded people speak in real time; each clip is heard in every way before the next one. The other servers are
processes of this machine, so all ways share its cores, and the network is the loopback.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from agents.audio import Audio
from agents.interfaces import STT
from agents.providers.local.models import LocalModels, LocalOptions
from agents.providers.openai_compatible.client import Clients
from agents.providers.openai_compatible.realtime_stt import RealtimeSTT
from agents.spec import Account, STTSpec
from benchmarks.harness import SlowLine, summary
from telemetry.trace import TurnMarks
from tests.fakes import speech
from tests.processes import Server, server
from tests.wer import errors, words

FRAME_MS = 20
CAPTIONS_MS = 500
AWAY_MS = 80
"""To another city and back."""


@dataclass
class Way:
    """One way of hearing, and what was measured of it, in ms."""

    name: str
    stt: STT
    final: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    at_once: list[float] = field(default_factory=list)
    wrong: int = 0

    async def hear(self, clip: speech.Clip) -> None:
        """The clip as it is spoken."""
        started = time.monotonic()
        last = started

        async def spoken() -> AsyncGenerator[Audio, None]:
            nonlocal last
            for n, frame in enumerate(clip.audio.split(FRAME_MS), start=1):
                await asyncio.sleep(started + n * FRAME_MS / 1000 - time.monotonic())
                last = time.monotonic()
                yield frame

        marks = TurnMarks(time.monotonic)
        async for transcript in self.stt.transcribe(spoken(), marks):
            if transcript.final:
                self.wrong += errors(words(clip.text), words(transcript.text))
        self.final.append((marks.at["stt_final"] - last) * 1000)
        if (first := marks.at.get("stt_first_partial", last)) < last:
            self.first.append((first - started) * 1000)

    async def hear_at_once(self, audio: Audio) -> None:
        """All of it there already, as when the user goes on after a pause."""

        async def given() -> AsyncGenerator[Audio, None]:
            for frame in audio.split(FRAME_MS):
                yield frame

        started = time.monotonic()
        marks = TurnMarks(time.monotonic)
        async for _ in self.stt.transcribe(given(), marks):
            pass
        self.at_once.append((marks.at["stt_final"] - started) * 1000)


async def connecting_ms(stt: STT) -> float:
    """To connect and agree on a session: an utterance that ends before it began is not asked for."""

    async def nothing() -> AsyncGenerator[Audio, None]:
        for piece in Audio(b"", 16_000).split(FRAME_MS):
            yield piece

    started = time.monotonic()
    marks = TurnMarks(time.monotonic)
    async for _ in stt.transcribe(nothing(), marks):
        pass
    return (marks.at["stt_final"] - started) * 1000


async def measure(ways: list[Way], rounds: int) -> None:
    clips = [*speech.audiobook(), *speech.cards()]
    for way in ways:
        await way.hear_at_once(clips[0].audio)
        way.at_once.clear()
    connecting = [
        (way.name, [await connecting_ms(way.stt) for _ in range(30)]) for way in ways if "another" in way.name
    ]
    for _ in range(rounds):
        for clip in clips:
            for way in ways:
                await way.hear(clip)
            for way in ways:
                await way.hear_at_once(clip.audio)
    total = rounds * sum(len(words(clip.text)) for clip in clips)
    print("connecting, until the session is agreed on, ms")
    for name, values in connecting:
        print(f"  {name:<50} {summary(values)}")
    for title, attribute in (
        ("last sample → final", "final"),
        ("all at once → final", "at_once"),
        ("first sample → first caption", "first"),
    ):
        print(f"\n{title}, ms")
        for way in ways:
            if values := getattr(way, attribute):
                print(f"  {way.name:<50} {summary(values)}")
    print("\nwords wrong")
    for way in ways:
        print(f"  {way.name:<50} {way.wrong} of {total} ({100 * way.wrong / total:.1f} %)")


async def run(plain: Server, captions: Server, data: Path, rounds: int) -> None:
    clients = Clients()
    local, local_captions = LocalModels(data), LocalModels(data, LocalOptions(partial_every_ms=CAPTIONS_MS))
    spec = STTSpec(account="ears", model="guide", streaming=True)

    def through(url: str) -> STT:
        account = Account(name="ears", kind="openai_compatible", base_url=f"{url}/v1", api_key=plain.key)
        return RealtimeSTT(clients.client(account), spec)

    await local.warm()
    await local_captions.warm()
    async with SlowLine(plain.port, up_ms=AWAY_MS / 2, down_ms=AWAY_MS / 2) as port:
        ways = [
            Way("in the process", local.stt(STTSpec())),
            Way("another Repartee", through(plain.url)),
            Way(f"another Repartee, {AWAY_MS} ms away", through(f"http://127.0.0.1:{port}")),
            Way("in the process, with captions", local_captions.stt(STTSpec())),
            Way("another Repartee, with captions", through(captions.url)),
        ]
        await measure(ways, rounds)
    local.close()
    local_captions.close()
    await clients.aclose()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        plain = running.enter_context(server(data=folder / "plain"))
        captions = running.enter_context(
            server(data=folder / "captions", REPARTEE_PARTIAL_EVERY_MS=str(float(CAPTIONS_MS)))
        )
        for one in (plain, captions):
            one.wait_for("/readyz")
        asyncio.run(run(plain, captions, folder, rounds))


if __name__ == "__main__":
    main()
