from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.audio import Audio
from agents.providers.openai_compatible.speech_decoder import MAX_HEADER, NotPCM, SpeechDecoder
from agents.providers.openai_compatible.stt import wav
from agents.providers.scripted import tone

SOUND = tone(50, 24_000)


def decode(body: bytes, content_type: str = "audio/pcm", sizes: list[int] | None = None) -> Audio:
    decoder = SpeechDecoder(content_type)
    pcm = b""
    at = 0
    for size in [*(sizes or []), len(body)]:
        pcm += decoder.push(body[at : at + size]).pcm
        at += size
    return Audio(pcm, decoder.rate)


@given(st.lists(st.integers(min_value=1, max_value=99), max_size=60))
def test_samples_survive_any_cutting(sizes: list[int]) -> None:
    assert decode(SOUND.pcm, sizes=sizes) == SOUND


@given(st.lists(st.integers(min_value=1, max_value=99), max_size=60))
def test_a_wav_is_unpacked_whatever_the_cutting(sizes: list[int]) -> None:
    assert decode(wav(tone(50, 16_000)), sizes=sizes) == tone(50, 16_000)


def test_an_odd_last_byte_is_dropped() -> None:
    assert decode(SOUND.pcm + b"\x00") == SOUND


def test_what_follows_the_sound_of_a_wav_is_dropped() -> None:
    assert decode(wav(SOUND) + b"LIST\x04\x00\x00\x00abcd") == SOUND


def test_a_wav_that_did_not_know_its_length_is_read_to_the_end() -> None:
    body = bytearray(wav(SOUND))
    body[40:44] = b"\xff\xff\xff\xff"
    assert decode(bytes(body)) == SOUND


def test_the_content_type_may_name_the_rate() -> None:
    assert decode(SOUND.pcm, "audio/pcm;rate=16000").rate == 16_000


def test_a_stereo_wav_is_refused() -> None:
    body = bytearray(wav(SOUND))
    body[22] = 2
    with pytest.raises(NotPCM, match="2 channels"):
        decode(bytes(body))


@pytest.mark.parametrize(
    ("body", "content_type", "name"),
    [
        (b"ID3\x04" + bytes(64), "application/octet-stream", "MP3"),
        (b"\xff\xfb\x90\x64" + bytes(64), "audio/mpeg", "MP3"),
        (b"OggS" + bytes(64), "audio/ogg", "Ogg"),
        (b"fLaC" + bytes(64), "audio/pcm", "FLAC"),
        (b'{"error": "no"}', "application/json", "JSON"),
        (b"<!doctype html>", "text/html; charset=utf-8", "HTML"),
        (b"sorry, not today", "text/plain", "text/plain"),
    ],
)
def test_other_formats_are_named(body: bytes, content_type: str, name: str) -> None:
    with pytest.raises(NotPCM, match=name):
        decode(body, content_type)


def test_pcm_called_mp3_is_believed_by_its_bytes() -> None:
    assert decode(SOUND.pcm, "audio/mpeg") == SOUND


def test_pcm_that_begins_like_an_mp3_is_still_pcm() -> None:
    body = b"\xff\xfb" + SOUND.pcm
    assert decode(body).pcm == body


def test_an_endless_wav_header_is_refused() -> None:
    junk = b"JUNK" + (MAX_HEADER * 2).to_bytes(4, "little") + bytes(MAX_HEADER)
    with pytest.raises(NotPCM, match="without sound"):
        decode(b"RIFF" + bytes(4) + b"WAVE" + junk)
