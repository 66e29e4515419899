from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from agents.audio import Audio, join
from agents.providers.scripted import tone
from agents.resampling import PromptResampler, prompt_resampler

RATES = [8_000, 24_000, 48_000]


def level(audio: Audio) -> float:
    """dBFS, without the first and the last 50 ms."""
    heard = audio.float32()[800:-800]
    return float(20 * np.log10(np.sqrt(np.mean(np.square(heard))) + 1e-9))


def spectrum_peak(audio: Audio) -> float:
    heard = audio.float32()[800:-800]
    power: npt.NDArray[np.float64] = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    return float(power.argmax() * 16_000 / len(heard))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hz", [200, 1000, 3000])
def test_a_voice_keeps_its_pitch_and_its_level(rate: int, hz: int) -> None:
    heard = PromptResampler(rate, 16_000).push(tone(1000, rate, hz=hz))
    assert spectrum_peak(heard) == pytest.approx(hz, abs=10)
    assert level(heard) == pytest.approx(-14, abs=0.1)


@pytest.mark.parametrize("rate", [24_000, 48_000])
@pytest.mark.parametrize("hz", [9_500, 11_000])
def test_what_is_too_high_for_the_new_rate_is_gone(rate: int, hz: int) -> None:
    assert level(PromptResampler(rate, 16_000).push(tone(1000, rate, hz=hz))) < -70


def test_from_a_lower_rate_there_is_no_mirror_of_the_voice() -> None:
    heard = PromptResampler(8_000, 16_000).push(tone(1000, 8_000, hz=1000)).float32()[800:-800]
    power = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    mirror = round(7000 / 16_000 * len(heard))
    assert 20 * np.log10(power[mirror - 20 : mirror + 20].max() / power.max()) < -60


@pytest.mark.parametrize("rate", RATES)
def test_pieces_sound_as_the_whole(rate: int) -> None:
    said = tone(500, rate, hz=440)
    resampler = PromptResampler(rate, 16_000)
    out, at, sizes = [], 0, itertools.cycle([1, 37, 160, 611])
    while at < said.samples:
        size = next(sizes)
        out.append(resampler.push(said.slice(at, at + size)))
        at += size
    whole = PromptResampler(rate, 16_000).push(said)
    assert np.abs(join(out, 16_000).int16().astype(int) - whole.int16().astype(int)).max() <= 1


@pytest.mark.parametrize("rate", RATES)
def test_hardly_anything_is_held_back(rate: int) -> None:
    resampler, given, got = PromptResampler(rate, 16_000), 0.0, 0.0
    for _ in range(100):
        given += 20
        got += resampler.push(Audio.silence(20, rate)).ms
        assert 0 <= given - got <= 2


def test_the_loudest_voice_does_not_turn_over() -> None:
    loud = Audio((np.ones(24_000, np.int16) * 32_767).tobytes(), 24_000)
    assert PromptResampler(24_000, 16_000).push(loud).int16()[200:].min() > 32_000


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_other_rates_are_left_to_soxr(rate: int) -> None:
    assert not isinstance(prompt_resampler(rate, 16_000), PromptResampler)
