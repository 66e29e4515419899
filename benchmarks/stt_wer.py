"""Word error rate and time of the embedded speech recognition, on recordings.

    python benchmarks/stt_wer.py [--data DIR] CLIP...

A CLIP is a 16-bit wav file whose transcript lies beside it as .txt, or WAV=TRANSCRIPT. Without any, the ten clips of
Debian's pocketsphinx-testdata are used. The time is from the end of the audio to the final transcript.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from agents.audio import Audio
from agents.providers.local.models import LocalModels
from agents.spec import STTSpec
from telemetry.trace import TurnMarks
from tests.fakes import speech
from tests.wer import errors, words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", metavar="CLIP")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where the joined model lies or goes")
    arguments = parser.parse_args()
    clips = [_clip(text) for text in arguments.clips] or speech.audiobook() + speech.cards()
    asyncio.run(_measure(clips, arguments.data))


async def _measure(clips: list[speech.Clip], data_dir: Path) -> None:
    models = LocalModels(data_dir)
    await models.warm()
    wrong = total = 0
    times = []
    for clip in clips:
        text, ms = await _transcribe(models, clip.audio)
        reference = words(clip.text)
        missed = errors(reference, words(text))
        wrong, total = wrong + missed, total + len(reference)
        times.append(ms)
        rate = missed / len(reference)
        print(f"{clip.name[-20:]:>20} {clip.audio.ms / 1000:5.1f} s  WER {rate:6.1%}  {ms:5.0f} ms  {text}")
    print(f"{len(clips)} clips, {total} words: WER {wrong / total:.1%}; final p50 {statistics.median(times):.0f} ms")
    models.close()


async def _transcribe(models: LocalModels, audio: Audio) -> tuple[str, float]:
    ended = 0.0

    async def source() -> AsyncIterator[Audio]:
        nonlocal ended
        for frame in audio.split(20):
            yield frame
        ended = time.perf_counter()

    text = ""
    async for transcript in models.stt(STTSpec()).transcribe(source(), TurnMarks(time.perf_counter)):
        text = transcript.text
    return text, (time.perf_counter() - ended) * 1000


def _clip(argument: str) -> speech.Clip:
    name, _, transcript = argument.partition("=")
    path = Path(name)
    reference = Path(transcript) if transcript else path.with_suffix(".txt")
    return speech.Clip(path.stem, _mono16(path), reference.read_text())


def _mono16(path: Path) -> Audio:
    with wave.open(str(path)) as file:
        channels = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        return Audio(channels.mean(axis=1).astype("<i2").tobytes(), file.getframerate()).resampled(16_000)


if __name__ == "__main__":
    main()
