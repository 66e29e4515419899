"""Time and memory of the embedded models on this machine.

    python benchmarks/local_models.py [--data DIR]

Needs Debian's pocketsphinx-testdata for its speech. Milliseconds unless said otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import resource
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from agents.audio import Audio, join
from agents.interfaces import Segment, VoiceOptions
from agents.providers.local import smart_turn
from agents.providers.local.models import LocalModels, LocalOptions
from agents.spec import STTSpec
from telemetry.trace import TurnMarks
from tests.fakes import noise, speech

RATE = 16_000
LONG = (
    "This is one very long sentence that goes on and on, with many clauses, each of which adds some more words to it, "
    "so that the model has quite a lot of work to do before it can give any sound back to whoever is waiting for it."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="where the joined model lies or goes")
    asyncio.run(_measure(parser.parse_args().data))


async def _measure(data_dir: Path) -> None:
    models = LocalModels(data_dir)
    await _load(models)
    _vad(models)
    _end_of_turn()
    await _stt(models)
    await _partials(data_dir)
    await _tts(models)
    await _noise(models)
    models.close()


async def _load(models: LocalModels) -> None:
    before, began = _rss_mb(), time.perf_counter()

    def report(name: str, _done: int, _of: int) -> None:
        print(f"load and first run: {name:12} after {time.perf_counter() - began:5.2f} s, RSS {_rss_mb():.0f} MB")

    print(f"imports: RSS {before:.0f} MB")
    await models.warm(report)
    print(f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def _vad(models: LocalModels) -> None:
    audio = join([clip.audio for clip in speech.audiobook()], RATE)
    windows = audio.samples // 512
    stream, frames = models.vad().open(), list(audio.split(32))
    one = _timed(lambda: [stream.push(frame) for frame in frames]) / windows * 1000
    many = _timed(lambda: models.vad().open().push(audio)) / windows * 1000
    print(f"vad: {one:.0f} us a window pushed singly, {many:.0f} us in a batch of {windows}")
    before = _rss_mb()
    streams = [models.vad().open() for _ in range(1_000)]
    for stream in streams:
        stream.push(frames[0])
    print(f"vad: {(_rss_mb() - before) * 1024 / len(streams):.1f} KB a stream")


def _end_of_turn() -> None:
    clips = [clip.audio for clip in speech.audiobook()]
    for threads in (1, 2):
        session = smart_turn.load(threads)
        smart_turn.score(session, clips[0])
        times = [_timed(partial(smart_turn.score, session, clip)) for clip in clips * 4]
        print(f"end of turn, {threads} threads: {_spread(times)}")
    mel = [_timed(lambda: smart_turn.log_mel(clips[0].float32())) for _ in range(20)]
    print(f"end of turn, features alone: {_spread(mel)}")


async def _stt(models: LocalModels) -> None:
    for clips in (speech.cards(), speech.audiobook()):
        times = [await _final(models, clip.audio) for clip in clips * 4]
        lengths = [clip.audio.ms / 1000 for clip in clips]
        print(f"stt, utterances of {min(lengths):.1f}-{max(lengths):.1f} s: {_spread(times)}")


async def _partials(data_dir: Path) -> None:
    """In real time, with a partial each second: how much later is the final?"""
    for every in (None, 1_000.0):
        models = LocalModels(data_dir, LocalOptions(partial_every_ms=every))
        await models.warm()
        times = [await _final(models, clip.audio, paced=True) for clip in speech.audiobook()]
        print(f"stt in real time, partials {'off' if every is None else 'on'}: {_spread(times)}")
        models.close()


async def _final(models: LocalModels, audio: Audio, *, paced: bool = False) -> float:
    ended = 0.0

    async def source() -> AsyncIterator[Audio]:
        nonlocal ended
        for frame in audio.split(20):
            if paced:
                await asyncio.sleep(0.02)
            yield frame
        ended = time.perf_counter()

    async for _ in models.stt(STTSpec()).transcribe(source(), TurnMarks(time.perf_counter)):
        pass
    return (time.perf_counter() - ended) * 1000


async def _tts(models: LocalModels) -> None:
    for text in ("Sure,", "I can help you with that.", LONG):
        firsts, totals, seconds = [], [], 0.0
        for _ in range(15):
            first, total, seconds = await _speak(models, text)
            firsts.append(first)
            totals.append(total)
        rate = seconds * 1000 / statistics.median(totals)
        print(
            f"tts, {len(text)} characters: first audible {_spread(firsts)}; {seconds:.1f} s at {rate:.0f} x real time"
        )


async def _speak(models: LocalModels, text: str) -> tuple[float, float, float]:
    async def source() -> AsyncIterator[Segment]:
        yield Segment(0, text)

    marks, began = TurnMarks(time.perf_counter), time.perf_counter()
    pieces = [piece.audio async for piece in models.tts().synthesize(source(), VoiceOptions(), marks)]
    total = time.perf_counter() - began
    return (marks.at["seg[0].tts_first_audible"] - began) * 1000, total * 1000, sum(piece.ms for piece in pieces) / 1000


async def _noise(models: LocalModels) -> None:
    for make in (noise.fan, noise.keyboard, noise.music, noise.coughs):
        audio = make(60)
        found = [probability for _, probability in models.vad().open().push(audio)]
        runs = [len(list(run)) for loud, run in itertools.groupby(found, lambda p: p >= 0.5) if loud]
        heard = [await _text(models, audio.slice(at * RATE, (at + 3) * RATE)) for at in range(0, 60, 3)]
        print(
            f"noise, a minute of {make.__name__}: most like speech {max(found):.2f}, longest run "
            f"{max(runs, default=0) * 32} ms; of 20 pieces of 3 s forced on Whisper, {sum(map(bool, heard))} gave text"
        )


async def _text(models: LocalModels, audio: Audio) -> str:
    async def source() -> AsyncIterator[Audio]:
        yield audio

    texts = [found.text async for found in models.stt(STTSpec()).transcribe(source(), TurnMarks(time.perf_counter))]
    return texts[-1]


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _spread(times: list[float]) -> str:
    ordered = sorted(times)
    return f"p50 {statistics.median(times):.0f}, p95 {ordered[int(len(ordered) * 0.95)]:.0f} (n={len(times)})"


def _rss_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    main()
