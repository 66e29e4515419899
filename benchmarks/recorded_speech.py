"""A conversation with recorded human speech: what was heard, what was answered, and whether that can be understood.

    python -m benchmarks.recorded_speech [clip.wav=transcript.txt …]

Clips are those of Debian's pocketsphinx-testdata and any given. Each is spoken to `guide` over the real
WebSocket in real time. What a listener would have heard of the answers is then transcribed again.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from agents.audio import Audio
from agents.providers.local.models import LocalModels
from agents.spec import STTSpec
from benchmarks.harness import RATE
from sessions.talk_client import Clip, Talk, TalkOptions, realtime_url, talk
from telemetry.trace import TurnMarks
from tests.fakes import speech
from tests.processes import Server, server
from tests.wer import errors, words


def clips(given: list[str]) -> list[tuple[Clip, str]]:
    found = [(one.name, one.audio, one.text) for one in [*speech.audiobook(), *speech.cards()]]
    for pair in given:
        path, _, text = pair.partition("=")
        found.append((Path(path).stem, speech.read_wav(Path(path)), Path(text).read_text()))
    return [(Clip.of(name, audio.resampled(RATE)), text) for name, audio, text in found]


class Transcripts:
    """What the server understood, clip by clip; a clip with pauses is several turns."""

    def __init__(self) -> None:
        self.heard: dict[str, str] = {}
        self._clip = ""

    def take(self, record: dict[str, Any]) -> None:
        if record["event"] == "say":
            self._clip = record["clip"]
        elif record["event"].endswith("input_audio_transcription.completed"):
            self.heard[self._clip] = f"{self.heard.get(self._clip, '')} {record['transcript']}"


async def converse(running: Server, said: list[Clip], transcripts: Transcripts) -> Talk:
    options = TalkOptions(url=realtime_url(running.ws_url, "guide"), key=running.key)
    return await talk(options, said, transcripts.take)


async def heard_again(recording: Audio, data: Path) -> str:
    """The recording as Whisper hears it, 20 s at a time."""
    models = LocalModels(data)

    async def stream(piece: Audio) -> AsyncGenerator[Audio, None]:
        yield piece

    texts = []
    for piece in recording.resampled(16_000).split(20_000):
        transcripts = models.stt(STTSpec()).transcribe(stream(piece), TurnMarks(lambda: 0.0))
        texts += [transcript.text async for transcript in transcripts if transcript.final]
    models.close()
    return " ".join(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", nargs="*", help="WAV=TEXT")
    pairs = clips(parser.parse_args().clip)
    transcripts = Transcripts()
    with tempfile.TemporaryDirectory() as name, server(data=Path(name)) as running:
        running.wait_for("/readyz")
        held = asyncio.run(converse(running, [clip for clip, _ in pairs], transcripts))
        again = asyncio.run(heard_again(held.recording, Path(name) / "models"))
    wrong = total = 0
    for clip, text in pairs:
        expected, heard = words(text), transcripts.heard.get(clip.name, "")
        missed = errors(expected, words(heard))
        wrong, total = wrong + missed, total + len(expected)
        print(f"{clip.name}: {missed} of {len(expected)} words wrong\n  heard {heard.strip()}")
    for exchange in held.exchanges:
        print(f"  said  {exchange.answer} [{exchange.status}]")
    print(f"\nwords heard wrong: {wrong} of {total} ({100 * wrong / total:.1f} %)")
    answered = [word for exchange in held.exchanges for word in words(exchange.answer)]
    differ = errors(answered, words(again))
    print(f"answers transcribed again: {differ} of {len(answered)} words differ ({100 * differ / len(answered):.1f} %)")
    print("(an answer that was spoken over by the next words of a clip counts in full)")


if __name__ == "__main__":
    main()
