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


async def converse(running: Server, said: list[Clip]) -> Talk:
    options = TalkOptions(url=realtime_url(running.ws_url, "guide"), key=running.key)
    return await talk(options, said, lambda _: None)


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
    with tempfile.TemporaryDirectory() as name, server(data=Path(name)) as running:
        running.wait_for("/readyz")
        held = asyncio.run(converse(running, [clip for clip, _ in pairs]))
        again = asyncio.run(heard_again(held.recording, Path(name) / "models"))
    texts = {clip.name: text for clip, text in pairs}
    wrong = total = 0
    for exchange in held.exchanges:
        if exchange.clip in texts:
            expected, got = words(texts[exchange.clip]), words(exchange.heard)
            wrong, total = wrong + errors(expected, got), total + len(expected)
        delay = "-" if exchange.voice_to_voice_ms is None else f"{exchange.voice_to_voice_ms:.0f} ms"
        print(f"{exchange.clip}: {delay}\n  heard {exchange.heard}\n  said  {exchange.answer}")
    for problem in held.errors:
        print(f"problem: {problem}")
    answered = [word for exchange in held.exchanges for word in words(exchange.answer)]
    print(f"\nwords heard wrong: {wrong} of {total} ({100 * wrong / max(1, total):.1f} %)")
    missed = errors(answered, words(again))
    print(f"answers transcribed again: {missed} of {len(answered)} words differ ({100 * missed / len(answered):.1f} %)")


if __name__ == "__main__":
    main()
