"""What every EndOfTurn does, and that the real one hears unfinished sentences."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from agents.audio import Audio, join
from agents.interfaces import EndOfTurn
from agents.packages import packaged
from agents.providers.local import smart_turn
from agents.providers.local.models import LocalModels
from agents.providers.scripted import ScriptedEndOfTurn
from tests.fakes import speech

RATE = 16_000


@pytest.fixture(params=["smart_turn", "scripted"])
def subject(request: pytest.FixtureRequest, models: LocalModels) -> EndOfTurn:
    return ScriptedEndOfTurn() if request.param == "scripted" else models.end_of_turn()


@pytest.mark.parametrize("seconds", [0, 0.1, 3, 20])
async def test_any_length_of_audio_gets_a_probability(subject: EndOfTurn, seconds: float) -> None:
    assert 0.0 <= await subject.probability(Audio.silence(seconds * 1000, RATE)) <= 1.0


async def test_only_the_last_8_seconds_count(models: LocalModels) -> None:
    last = join([clip.audio for clip in speech.audiobook()[:2]], RATE)
    before = speech.audiobook()[3].audio
    judge = models.end_of_turn()
    assert await judge.probability(join([before, last], RATE)) == await judge.probability(last)


async def test_most_unfinished_sentences_score_below_the_whole(models: LocalModels) -> None:
    judge = models.end_of_turn()
    lower = 0
    for clip in speech.audiobook():
        whole = await judge.probability(clip.audio)
        half = await judge.probability(clip.audio.slice(0, clip.audio.samples // 2))
        lower += half < whole
    assert lower == 5


def test_features_equal_those_the_model_was_shipped_with() -> None:
    """pipecat's own feature code is loaded from its file: importing the package would need what it requires."""
    path = packaged("pipecat", "audio", "turn", "smart_turn", "_whisper_features.py")
    spec = importlib.util.spec_from_file_location("whisper_features", path)
    assert spec is not None
    assert spec.loader is not None
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    samples = speech.audiobook()[0].audio.float32()
    padded = np.pad(samples, (smart_turn.SECONDS * RATE - len(samples), 0))
    expected = theirs.compute_whisper_log_mel_features(padded)
    assert np.abs(smart_turn.log_mel(samples) - expected).max() < 1e-4
