from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from agents.audio import Audio
from sessions.talk_audio import RATE, BadWav, Player, first_audible, last_sound, read_wav, write_wav
from sessions.talk_client import realtime_url


def tone(ms: int, rate: int = RATE) -> Audio:
    t = np.arange(ms * rate // 1000) / rate
    return Audio.from_float((0.25 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), rate)


def write(path: Path, *, rate: int = RATE, channels: int = 1, width: int = 2, frames: bytes = b"\0\0" * 800) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(frames)
    return path


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_any_usual_rate_is_read_at_24_khz(rate: int, tmp_path: Path) -> None:
    audio = read_wav(write(tmp_path / "a.wav", rate=rate, frames=tone(500, rate).pcm))
    assert audio.rate == RATE
    assert audio.ms == pytest.approx(500, abs=1)
    assert np.abs(audio.float32()).max() == pytest.approx(0.25, rel=0.1)


def test_stereo_is_mixed(tmp_path: Path) -> None:
    left, right = tone(100).int16(), np.zeros(2_400, np.int16)
    path = write(tmp_path / "a.wav", channels=2, frames=np.stack([left, right], axis=1).tobytes())
    assert np.abs(read_wav(path).int16() - left // 2).max() <= 1


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(100))
    assert read_wav(tmp_path / "a.wav") == tone(100)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"width": 1}, "8-bit samples"),
        ({"channels": 3, "frames": b"\0" * 600}, "3 channels"),
        ({"rate": 96_000}, "96000 Hz"),
        ({"frames": b""}, "no sound in it"),
    ],
)
def test_an_unusable_file_is_named_with_what_would_do(options: dict[str, int], says: str, tmp_path: Path) -> None:
    path = write(tmp_path / "odd.wav", **options)  # type: ignore[arg-type]  # each case names its own types
    with pytest.raises(BadWav, match=r"odd\.wav") as error:
        read_wav(path)
    assert says in str(error.value)
    assert "Use 16-bit PCM WAV" in str(error.value)


def test_a_file_that_is_no_wav(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"ID3 something else entirely")
    with pytest.raises(BadWav, match="not a PCM WAV file"):
        read_wav(tmp_path / "a.wav")


def test_the_last_and_the_first_sound_are_found() -> None:
    clip = Audio(Audio.silence(200, RATE).pcm + tone(300).pcm + Audio.silence(400, RATE).pcm, RATE)
    assert last_sound(clip) == RATE * 500 // 1000
    assert first_audible(clip) == pytest.approx(RATE * 200 // 1000, abs=5)
    assert first_audible(Audio.silence(100, RATE)) is None


def test_audio_is_played_when_it_comes_or_after_what_is_before_it() -> None:
    player = Player()
    assert player.push("a", tone(100), 1.0).at == 1.0
    assert player.push("a", tone(100), 1.02).at == pytest.approx(1.1)
    assert player.push("a", tone(100), 2.0).at == 2.0  # it had run dry
    assert player.heard_of("a", 1.15) == RATE * 150 // 1000
    player.advance(9)
    recording = player.recording(0.5)
    assert recording.ms == pytest.approx(1_600)
    assert np.abs(recording.slice(0, RATE // 2).int16()).max() == 0


def test_clear_keeps_what_was_heard() -> None:
    player = Player()
    player.push("a", tone(300), 0.0)
    player.push("a", tone(300), 0.0)
    assert player.clear(0.4) == ("a", RATE * 400 // 1000)
    assert not player.busy
    assert player.recording(0).ms == pytest.approx(400)
    assert player.clear(0.5) is None


def test_what_is_held_goes_on_later() -> None:
    player = Player()
    player.push("a", tone(300), 0.0)
    player.hold(0.1)
    player.push("a", tone(100), 0.2)
    player.advance(5)
    assert player.heard_of("a", 5) == RATE // 10
    player.resume(1.0)
    assert player.heard_of("a", 1.1) == RATE // 5
    player.advance(9)
    recording = player.recording(0)
    assert recording.ms == pytest.approx(1_300)
    assert np.abs(recording.slice(RATE // 10, RATE).int16()).max() == 0


def test_what_is_held_can_be_cleared() -> None:
    player = Player()
    player.push("a", tone(300), 0.0)
    player.hold(0.1)
    assert player.clear(0.6) == ("a", RATE // 10)
    assert player.recording(0).ms == pytest.approx(100)
    assert player.push("b", tone(100), 0.7).at == 0.7


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ("ws://127.0.0.1:8000", "ws://127.0.0.1:8000/v1/realtime?model=guide&repartee=1"),
        ("localhost:8000", "ws://localhost:8000/v1/realtime?model=guide&repartee=1"),
        ("https://h.example/voice/v1", "wss://h.example/voice/v1/realtime?model=guide&repartee=1"),
        ("wss://h.example/v1/realtime?model=other", "wss://h.example/v1/realtime?model=other&repartee=1"),
    ],
)
def test_the_server_may_be_written_in_many_ways(given: str, becomes: str) -> None:
    assert realtime_url(given, "guide") == becomes
