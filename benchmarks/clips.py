"""Recorded clips for the benchmarks of turn-taking, from Debian's packages.

A package that is not installed is downloaded with apt-get, as an ordinary user, and unpacked into the cache.
Levels and places are as recorded; `in_a_room` adds the noise of a quiet room, for digital silence is none.

- asterisk-core-sounds-en-g722 (CC-BY-SA-3.0): sentences, figures and letters, one voice.
- hedgewars-data (GPL-2; its voices CC-BY-SA): coughs, "hmm", laughter and cries, many voices.
- sound-theme-freedesktop (mixed free licences): bells, clicks, a camera's shutter.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from agents.audio import Audio, join
from benchmarks import harness
from tests.fakes import noise, speech
from tests.wer import words as words_of

RATE = 16_000
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "repartee-clips"
ROOM_DB = -60.0

Kind = Literal["natural", "hesitant", "dictated"]


@dataclass(frozen=True, slots=True)
class Utterance:
    """One whole turn of a speaker, with the pauses in it. It starts at its first sound and ends with its last."""

    name: str
    kind: Kind
    audio: Audio


@dataclass(frozen=True, slots=True)
class Sound:
    """Something that sounds over the agent: `means_it` if it should stop it."""

    name: str
    kind: str
    audio: Audio
    means_it: bool = False


def package(name: str, inside: str) -> Path:
    """The folder `inside` of a Debian package, such as "usr/share/sounds"."""
    installed, unpacked = Path("/") / inside, CACHE / name / inside
    if installed.is_dir():
        return installed
    if not unpacked.is_dir():
        (CACHE / name).mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", name], cwd=CACHE, check=True, stdout=subprocess.DEVNULL)
        deb = next(CACHE.glob(f"{name}_*.deb"))
        subprocess.run(["dpkg-deb", "--extract", str(deb), str(CACHE / name)], check=True)
        deb.unlink()
    return unpacked


def prompts() -> Path:
    return package("asterisk-core-sounds-en-g722", "usr/share/asterisk/sounds/en_US_f_Allison")


def voices() -> Path:
    return package("hedgewars-data", "usr/share/games/hedgewars/Data/Sounds/voices")


def in_a_room(audio: Audio, seed: int = 1) -> Audio:
    room = np.random.default_rng(seed).normal(0, 10 ** (ROOM_DB / 20), audio.samples).astype(np.float32)
    return Audio.from_float(audio.float32() + room, RATE)


def onset_ms(audio: Audio) -> float:
    """Start of the first 10 ms whose level is above -40 dBFS."""
    blocks = audio.float32()[: audio.samples // 160 * 160].reshape(-1, 160)
    return 10.0 * int(np.flatnonzero(np.sqrt(np.mean(np.square(blocks), axis=1)) > 0.01)[0])


# --- turns ---------------------------------------------------------------------------------------


def utterances(text_of: Callable[[Audio], str]) -> list[Utterance]:
    """All turns. `text_of` transcribes: pauses are put between two words of one sentence, not between sentences."""
    return [*_natural(), *_hesitant(text_of), *_dictated()]


def sentences() -> list[tuple[str, Audio]]:
    """Prompts and sentences of a book, of 1.2 to 16 s."""
    said = [(path.stem, speech.decoded(path)) for path in sorted(prompts().glob("*.g722"))]
    books = [(clip.name, clip.audio) for clip in speech.audiobook()]
    found = [(name, speech.trimmed(audio)) for name, audio in said + books if audio.ms > 1_000 and "tone" not in name]
    return [(name, audio) for name, audio in found if 1_200 <= audio.ms <= 16_000]


def _natural() -> Iterable[Utterance]:
    return (Utterance(name, "natural", audio) for name, audio in sentences()[::2])


def _hesitant(text_of: Callable[[Audio], str]) -> Iterable[Utterance]:
    """Sentences in which one of the speaker's short gaps lasts as long as the pause of somebody who thinks."""
    lengths = np.random.default_rng(7)
    for name, audio in sentences():
        whole = text_of(audio)
        for gap in _gaps(audio):
            if _inside(whole, text_of(audio.slice(0, gap))):
                pause = Audio.silence(float(lengths.choice((300, 450, 600, 800, 1100))), RATE)
                yield Utterance(name, "hesitant", join([audio.slice(0, gap), pause, audio.slice(gap)], RATE))
                break


def _inside(whole: str, first: str) -> bool:
    """Whether `first` are the first words of `whole`, and no sentence ends there."""
    before, words = words_of(first), words_of(whole)
    if not 0 < len(before) < len(words) or words[: len(before)] != before:
        return False
    return whole.split()[len(before) - 1][-1] not in ".!?:;"


def _gaps(audio: Audio, least_ms: int = 50) -> list[int]:
    """The middles of the silences inside of `audio`, in samples."""
    blocks = audio.float32()[: audio.samples // 160 * 160].reshape(-1, 160)
    loud = np.flatnonzero(np.sqrt(np.mean(np.square(blocks), axis=1)) > 10 ** (-45 / 20))
    return [int(first + last) * 80 for first, last in pairwise(loud) if (last - first - 1) * 10 >= least_ms]


def _dictated() -> Iterable[Utterance]:
    """Numbers in groups and letters one by one, recorded each alone, with the pauses of somebody who reads them out."""
    random = np.random.default_rng(11)
    words = {name: speech.trimmed(speech.decoded(prompts() / f"{name}.g722")) for name in _SAID}
    for n in range(20):
        figures = [f"digits/{d}" for d in random.integers(0, 10, 10)]
        yield Utterance(
            f"number {n}", "dictated", _said(words, (figures[:3], figures[3:6], figures[6:]), random, 350, 700)
        )
    for n in range(20):
        letters = [[f"letters/{_LETTERS[d]}"] for d in random.integers(0, len(_LETTERS), 6)]
        yield Utterance(f"spelling {n}", "dictated", _said(words, letters, random, 250, 500))


_LETTERS = "abcdefghjklmnopqrstuvwxy"
_SAID = [*(f"digits/{d}" for d in range(10)), *(f"letters/{letter}" for letter in _LETTERS)]


def _said(
    words: dict[str, Audio], groups: Sequence[Sequence[str]], random: np.random.Generator, least: int, most: int
) -> Audio:
    pieces = list[Audio]()
    for group in groups:
        if pieces:
            pieces.append(Audio.silence(float(random.integers(least, most)), RATE))
        for n, name in enumerate(group):
            pieces += [Audio.silence(60, RATE)] * bool(n) + [words[name]]
    return join(pieces, RATE)


# --- what sounds over the agent ------------------------------------------------------------------


def sounds() -> list[Sound]:
    return [*_noises(), *_coughs_and_cries(), *_backchannels(), *_interruptions()]


def _noises() -> Iterable[Sound]:
    theme = package("sound-theme-freedesktop", "usr/share/sounds/freedesktop")
    spoken = ("audio-channel", "audio-test")
    for path in sorted(theme.rglob("*.oga")):
        if not path.is_symlink() and not path.stem.startswith(spoken):
            yield Sound(path.stem, "noise", speech.decoded(path))
    for made in (noise.fan, noise.keyboard, noise.music):
        yield Sound(f"{made.__name__} (synthesised)", "noise", made(5.0))


def _coughs_and_cries() -> Iterable[Sound]:
    yield from _voiced("PoisonCough", "cough")
    yield Sound("coughs (synthesised)", "cough", noise.coughs(8.0))
    yield from _voiced("PoisonMoan", "moan")
    yield from _voiced("Laugh", "laughter")


def _backchannels() -> Iterable[Sound]:
    """Recorded "hmm"s, and what no package has recordings of, in the embedded voice."""
    yield from _voiced("Hmm", "backchannel")
    for text in ("Mhm.", "Yeah.", "Okay.", "Right.", "Uh-huh.", "I see.", "Sure.", "Yes."):
        yield Sound(f"{text} (synthesised)", "backchannel", harness.speech(text).resampled(RATE))


def _voiced(name: str, kind: str) -> Iterable[Sound]:
    for path in sorted(voices().rglob(f"{name}.ogg")):
        yield Sound(f"{path.parent.name} {name}", kind, speech.decoded(path))


_INTERRUPTIONS = (
    "im-sorry sorry hello goodbye please-try-again one-moment-please agent-pass vm-newpassword vm-password vm-nomore "
    "conf-locked cannot-complete-as-dialed vm-incorrect invalid pbx-invalidpark vm-mailboxfull vm-received "
    "number-not-answering auth-incorrect vm-calldiffnum digits/today digits/tomorrow digits/yesterday digits/7 digits/4"
)


def _interruptions() -> Iterable[Sound]:
    for name in _INTERRUPTIONS.split():
        yield Sound(name, "interruption", speech.trimmed(speech.decoded(prompts() / f"{name}.g722")), means_it=True)
