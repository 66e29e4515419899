"""The features that smart-turn hears: Whisper's own, made without the silence."""

from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from agents.providers.local.smart_turn import SAMPLES, SECONDS, log_mel
from tests.fakes import speech


@pytest.mark.parametrize("ms", [0, 1, 10, 25, 300, 1_500, 7_980, 7_990, 8_000, 12_000])
def test_they_are_what_whisper_makes_of_the_padded_audio(ms: int) -> None:
    whole = np.concatenate([clip.audio.float32() for clip in [*speech.audiobook(), *speech.cards()]])
    recent = whole[16_000 : 16_000 + 16 * ms][-SAMPLES:]
    padded = np.pad(recent, (SAMPLES - len(recent), 0))
    scaled = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
    whispers = FeatureExtractor(chunk_length=SECONDS)(scaled, padding=0)
    assert log_mel(whole[16_000 : 16_000 + 16 * ms]) == pytest.approx(whispers, abs=1e-5)
