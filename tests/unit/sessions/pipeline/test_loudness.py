from __future__ import annotations

import numpy as np
import pytest

from agents.audio import Audio, join
from agents.providers.scripted import tone
from sessions.pipeline.loudness import QUIETEST_DB, SOFT_START_MS, Silence, floor_of, levels, room_of
from sessions.pipeline.utterance import Tail

RATE = 16_000


def noise(ms: int, db: float) -> Audio:
    return Audio.from_float(np.random.default_rng(1).normal(0, 10 ** (db / 20), ms * 16).astype(np.float32), RATE)


def tail_of(*pieces: Audio) -> Tail:
    tail = Tail(5_000)
    for piece in pieces:
        tail.append(piece)
    return tail


@pytest.mark.parametrize("room_db", [-90, -60, -50, -40])
@pytest.mark.parametrize("silence_ms", [0, 10, 70, 150])
def test_the_end_of_a_sound_is_found_to_ten_milliseconds(room_db: float, silence_ms: int) -> None:
    tail = tail_of(noise(100, room_db), tone(300, RATE), noise(silence_ms, room_db))
    assert Silence(tail).since(tail.end_sample) == 400 * 16


def test_speech_without_a_gap_says_nothing_of_the_room_but_what_came_before_does() -> None:
    speech, room = levels(noise(300, -20)), room_of(levels(noise(200, -60)))
    assert -57 <= floor_of(speech, room) <= -54
    assert floor_of(speech, None) == pytest.approx(speech.max() - 20)


def test_what_is_left_over_at_the_start_is_not_looked_at() -> None:
    assert len(levels(Audio.silence(33, RATE))) == 3


def test_a_silence_longer_than_what_is_looked_at_keeps_its_beginning() -> None:
    tail = tail_of(tone(100, RATE), Audio.silence(200, RATE))
    silence = Silence(tail)
    assert silence.since(4_800) == 1_600
    tail.append(Audio.silence(200, RATE))
    assert silence.since(8_000) == 1_600
    tail.append(join([tone(50, RATE), Audio.silence(150, RATE)], RATE))
    assert silence.since(11_200) == 8_800


def test_a_silence_that_was_broken_begins_anew() -> None:
    tail = tail_of(tone(100, RATE), Audio.silence(200, RATE))
    silence = Silence(tail)
    assert silence.since(4_800) == 1_600
    silence.broken()
    tail.append(Audio.silence(400, RATE))
    assert silence.since(11_200) == 8_000


def test_silence_alone_is_quiet_all_through() -> None:
    assert floor_of(levels(Audio.silence(200, RATE)), None) == QUIETEST_DB
    assert Silence(tail_of(Audio.silence(200, RATE))).since(3_200) == 0


def test_nothing_heard_is_no_error() -> None:
    assert Silence(tail_of()).since(0) == 0


def test_a_room_that_rustles_is_as_loud_as_its_rustling() -> None:
    rustling = [noise(80, -60), noise(20, -48)]
    tail = tail_of(*rustling * 10, tone(300, RATE), *rustling, noise(50, -60))
    knowing, unknowing = Silence(tail), Silence(tail)
    knowing.learn_room(0, (1_000 + SOFT_START_MS) * 16)
    assert knowing.since(tail.end_sample) == 1_300 * 16
    assert unknowing.since(tail.end_sample) == 1_400 * 16


def test_little_silence_between_turns_leaves_the_room_as_it_was() -> None:
    rustling = [noise(80, -60), noise(20, -48)]
    tail = tail_of(*rustling * 10, tone(300, RATE), *rustling, noise(50, -60))
    silence = Silence(tail)
    silence.learn_room(0, (1_000 + SOFT_START_MS) * 16)
    silence.learn_room(1_000 * 16, (1_090 + SOFT_START_MS) * 16)
    assert silence.since(tail.end_sample) == 1_300 * 16


def test_a_moment_tells_nothing_of_the_room() -> None:
    assert room_of(levels(noise(90, -50))) is None
