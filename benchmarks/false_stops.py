"""What stops the agent while it speaks, and what should not: coughs, noises and backchannels beside real interruptions.

    python -m benchmarks.false_stops [--clips]

Each clip of benchmarks/clips.py sounds over an agent that speaks all the while, at four places of the VAD's windows, on
virtual time (a transcript takes 250 ms). Beside it, over the same samples, Pipecat's own Silero analyser with its
defaults, whose start of speech interrupts its bots: 0.7 confidence, 0.6 volume, 0.2 s.

Times count from the first 10 ms above -40 dBFS, without network and queueing; benchmarks.barge_in has them with both.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agents.audio import Audio, join
from agents.spec import TurnDetection
from benchmarks.clips import RATE, Sound, in_a_room, onset_ms, sounds
from benchmarks.load.figures import percentile
from benchmarks.offline_ears import offline_ears, offline_stt
from benchmarks.stand import PIPECAT
from sessions.pipeline.findings import SpeechSuspected, UserStarted
from sessions.pipeline.listening import Ears
from tests.clients.environments import set_up
from tests.listening import listen, of
from tests.virtual_time import run

PHASES_MS = (0, 8, 16, 24)
LEAD_MS, AFTER_MS = 1_000, 2_000


@dataclass(frozen=True, slots=True)
class Heard:
    """When it held the agent and when it stopped it, in ms from the onset of the sound; None for never."""

    held_ms: float | None
    stopped_ms: float | None


Judge = Callable[[Audio, float], Heard]


def ours(detection: TurnDetection, ears: Ears, audio: Audio, onset: float) -> Heard:
    found = run(listen(audio, detection, ears, agent_speaking=lambda: True))
    held, stopped = of(SpeechSuspected, found), of(UserStarted, found)
    return Heard(held[0][0] - onset if held else None, stopped[0][0] - onset if stopped else None)


def pipecats(folder: Path, clips: Sequence[Sound]) -> dict[Sound, list[Heard]]:
    """The same samples through the peer's voice detection, in the peer's own environment."""
    set_up(PIPECAT)
    places = [(sound, *over_the_agent(sound, phase)) for sound in clips for phase in PHASES_MS]
    paths = [folder / f"{n}.pcm" for n in range(len(places))]
    for path, (_, audio, _) in zip(paths, places, strict=True):
        path.write_bytes(audio.pcm)
    told = subprocess.run(
        [PIPECAT.python, PIPECAT.folder / "starts.py"],
        input="\n".join(map(str, paths)),
        env=PIPECAT.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    ).stdout.split()
    heard: dict[Sound, list[Heard]] = {sound: [] for sound in clips}
    for (sound, _, onset), ms in zip(places, told, strict=True):
        heard[sound].append(Heard(None, None if ms == "-" else float(ms) - onset))
    return heard


def over_the_agent(sound: Sound, phase_ms: int) -> tuple[Audio, float]:
    """The sound in a quiet room, and where in it its onset lies, in ms."""
    lead, after = Audio.silence(LEAD_MS + phase_ms, RATE), Audio.silence(AFTER_MS, RATE)
    audio = in_a_room(join([lead, sound.audio, after], RATE), phase_ms)
    return audio, LEAD_MS + phase_ms + onset_ms(sound.audio)


def measure(judge: Judge, clips: Sequence[Sound]) -> dict[Sound, list[Heard]]:
    return {sound: [judge(*over_the_agent(sound, phase)) for phase in PHASES_MS] for sound in clips}


def stops(heard: Sequence[Heard]) -> int:
    return sum(one.stopped_ms is not None for one in heard)


def row(name: str, results: dict[Sound, list[Heard]]) -> str:
    by_kind: defaultdict[str, list[Heard]] = defaultdict(list)
    for sound, heard in results.items():
        by_kind[sound.kind] += heard
    shares = " | ".join(f"{100 * stops(heard) / len(heard):.0f} %" for heard in by_kind.values())
    meant = [one for sound, heard in results.items() if sound.means_it for one in heard]
    return f"| {name} | {shares} | {_times([h.held_ms for h in meant])} | {_times([h.stopped_ms for h in meant])} |"


def _times(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{percentile(known, 0.5):.0f} / {percentile(known, 0.95):.0f}" if known else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", action="store_true", help="list every clip too")
    clips = sounds()
    kinds = list(dict.fromkeys(sound.kind for sound in clips))
    print("| stops the agent | " + " | ".join(f"{k} ({sum(c.kind == k for c in clips)})" for k in kinds), end="")
    print(" | onset → hold p50 / p95 ms | onset → clear p50 / p95 ms |")
    print("| --- |" + " --- |" * (len(kinds) + 2))
    every: dict[str, dict[Sound, list[Heard]]] = {}
    with tempfile.TemporaryDirectory() as name:
        ears = offline_ears(offline_stt(Path(name)))
        judges: dict[str, Judge] = {
            "server_vad": partial(ours, TurnDetection(), ears),
            "semantic_vad": partial(ours, TurnDetection(type="semantic_vad"), ears),
        }
        for title, judge in judges.items():
            every[title] = measure(judge, clips)
            print(row(title, every[title]), flush=True)
        every["Pipecat"] = pipecats(Path(name), clips)
        print(row("Pipecat", every["Pipecat"]))
    if parser.parse_args().clips:
        for sound in clips:
            counts = ", ".join(f"{title} {stops(results[sound])}" for title, results in every.items())
            print(f"{sound.kind}: {sound.name}: stops of {len(PHASES_MS)}: {counts}")


if __name__ == "__main__":
    main()
