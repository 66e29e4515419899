from __future__ import annotations

import numpy as np
import pytest

from agents.audio import Audio
from agents.providers.scripted import tone
from sessions.pipeline.loudness import QUIETEST_DB, Silence, floor_of, levels, room_of

RATE = 16_000


def noise(ms: int, db: float) -> Audio:
    return Audio.from_float(np.random.default_rng(1).normal(0, 10 ** (db / 20), ms * 16).astype(np.float32), RATE)


def joined(*pieces: Audio) -> Audio:
    return Audio(b"".join(piece.pcm for piece in pieces), RATE)


@pytest.mark.parametrize("room_db", [-90, -60, -50, -40])
@pytest.mark.parametrize("silence_ms", [0, 10, 70, 150])
def test_the_end_of_a_sound_is_found_to_ten_milliseconds(room_db: float, silence_ms: int) -> None:
    heard = levels(joined(noise(100, room_db), tone(300, RATE), noise(silence_ms, room_db)))
    assert Silence(floor_of(heard, None)).since(10_000, heard) == 10_000 - 16 * silence_ms


def test_speech_without_a_gap_says_nothing_of_the_room_but_what_came_before_does() -> None:
    speech, room = levels(noise(300, -20)), room_of(levels(noise(200, -60)))
    assert -57 <= floor_of(speech, room) <= -54
    assert floor_of(speech, None) == pytest.approx(speech.max() - 20)


def test_what_is_left_over_at_the_start_is_not_looked_at() -> None:
    assert len(levels(Audio.silence(33, RATE))) == 3


def test_a_silence_longer_than_what_is_looked_at_keeps_its_beginning() -> None:
    silence = Silence(-44)
    assert silence.since(4_800, levels(joined(tone(100, RATE), Audio.silence(200, RATE)))) == 1_600
    assert silence.since(9_600, levels(Audio.silence(200, RATE))) == 1_600
    assert silence.since(12_800, levels(joined(tone(50, RATE), Audio.silence(150, RATE)))) == 10_400


def test_silence_alone_is_quiet_all_through() -> None:
    heard = levels(Audio.silence(200, RATE))
    assert floor_of(heard, None) == QUIETEST_DB
    assert Silence(QUIETEST_DB).since(3_200, heard) == 0


def test_nothing_heard_is_no_error() -> None:
    heard = levels(Audio.silence(0, RATE))
    assert Silence(floor_of(heard, None)).since(0, heard) == 0


def test_a_room_that_rustles_is_as_loud_as_its_rustling() -> None:
    rustling = joined(*[noise(80, -60), noise(20, -48)] * 10)
    room = room_of(levels(rustling))
    assert room is not None
    assert room > -50
    heard = levels(joined(tone(300, RATE), rustling))
    assert Silence(floor_of(heard, room)).since(20_000, heard) == 20_000 - rustling.samples


def test_a_moment_tells_nothing_of_the_room() -> None:
    assert room_of(levels(noise(90, -50))) is None
