"""The room that the load generator's microphones hear."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.load import material

TONE = np.sin(np.arange(material.RATE) * 0.05).astype(np.float32)


def test_a_loop_has_no_seam_and_no_dip() -> None:
    noise = np.random.default_rng(1).standard_normal((4, material.RATE // 2)).astype(np.float32)
    loop = material.crossfaded_loop(list(noise))
    assert len(loop) % material.FRAME == 0
    twice = material.levels(np.concatenate([loop, loop]))
    assert twice.max() - twice.min() < 3.0


def test_quiet_runs_are_found_at_both_ends() -> None:
    levels = np.array([-50, -50, -20, -50, -20, -50, -50, -50], dtype=np.float64)
    assert material.quiet_runs(levels, 2) == [(0, 2), (5, 8)]


def test_an_utterance_ends_with_its_last_frame() -> None:
    clip = TONE[: material.FRAME * 3 + 100]
    whole = material.in_room(clip, np.zeros(material.FRAME, dtype=np.float32))
    assert len(whole) == material.FRAME * 4
    assert np.array_equal(whole[-len(clip) :], clip)


def test_the_recorded_room_is_at_minus_50_dbfs_and_never_silent() -> None:
    made = material.material()
    pcm = np.concatenate([np.frombuffer(frame, dtype="<i2") for frame in made.room]).astype(np.float32) / 32768
    assert 10 * np.log10(np.mean(pcm**2)) == pytest.approx(material.ROOM_DBFS, abs=0.5)
    assert len(pcm) > 8 * material.RATE
    assert all(any(frame) for frame in made.room)
    assert len({len(frame) for frame in (*made.room, *sum(made.utterances, ()))}) == 1
