"""Turns of recorded human speech, heard by the real VAD on virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from agents.audio import Audio, join
from agents.providers.local.models import LocalModels
from agents.providers.scripted import ScriptedSTT
from agents.spec import TurnDetection
from benchmarks.load import material
from benchmarks.load.material import Signal
from sessions.pipeline.findings import UserCommitted
from sessions.pipeline.listening import Ears
from tests.fakes import noise, speech
from tests.listening import listen, of
from tests.scenario import detect_here
from tests.virtual_time import run

RATE = 16_000
WAIT_MS = 200
SAID = (
    "im-sorry",
    "one-moment-please",
    "hello",
    "sorry",
    "goodbye",
    "calling",
    "digits/4",
    "digits/7",
    "digits/1",
    "vm-received",
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalModels]:
    models = LocalModels(tmp_path_factory.mktemp("models"))
    yield models
    models.close()


def fan(samples: int) -> Signal:
    return noise.fan(samples / RATE + 0.1).float32()[:samples] * 0.08


def recorded_room(samples: int) -> Signal:
    """At -50 dBFS, rustling and all."""
    return np.resize(material.room(), samples)


def inside(room: Signal, audio: Audio) -> Audio:
    return Audio.from_float((audio.float32() + room).astype(np.float32), RATE)


@pytest.mark.parametrize("room", [fan, recorded_room])
@pytest.mark.parametrize("phase_ms", [0, 13])
@pytest.mark.parametrize(("first", "second"), list(itertools.pairwise([*SAID, SAID[0]])))
def test_a_pause_a_little_shorter_than_the_wait_ends_no_turn(
    models: LocalModels, first: str, second: str, phase_ms: int, room: Callable[[int], Signal]
) -> None:
    pause = Audio.silence(WAIT_MS - 30, RATE)
    said = [Audio.silence(2300 + phase_ms, RATE), speech.prompt(first), pause, speech.prompt(second)]
    end_ms = sum(piece.ms for piece in said)
    audio = join([*said, Audio.silence(800, RATE)], RATE)
    audio = inside(room(audio.samples), audio)
    ears = Ears(models.vad(), ScriptedSTT(["words"], final_s=0.1), None, detect_here)
    found = run(listen(audio, TurnDetection(silence_duration_ms=WAIT_MS), ears))
    committed = [ms - end_ms for ms, _ in of(UserCommitted, found)]
    assert len(committed) == 1
    assert WAIT_MS - 35 <= committed[0] <= WAIT_MS + 35
