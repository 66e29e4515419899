from __future__ import annotations

import hashlib
from typing import get_args

import numpy as np
import pytest

from agents import g711
from agents.audio import Audio

EVERY_SAMPLE = Audio(np.arange(-32_768, 32_768).astype("<i2").tobytes(), 8_000)


# Code words of ITU-T G.711, tables 1a to 2b: the ends of the scale, and silence.
@pytest.mark.parametrize(
    ("law", "code", "sample"),
    [
        ("mu", 0xFF, 0),
        ("mu", 0x7F, 0),
        ("mu", 0x80, 32_124),
        ("mu", 0x00, -32_124),
        ("mu", 0xFE, 8),
        ("a", 0xD5, 8),
        ("a", 0x55, -8),
        ("a", 0xAA, 32_256),
        ("a", 0x2A, -32_256),
    ],
)
def test_decodes_the_code_words_of_the_standard(law: g711.Law, code: int, sample: int) -> None:
    decoded = g711.decode(bytes([code]), law)

    assert decoded.rate == 8_000
    assert decoded.int16().tolist() == [sample]


# SHA-256 of what CPython 3.11's audioop (lin2ulaw, ulaw2lin, lin2alaw, alaw2lin) makes of every sample and code word.
@pytest.mark.parametrize(
    ("law", "encoded", "decoded"),
    [
        (
            "mu",
            "81d633c9e6972a18c74a58720b96cb8ca0bdd096d4060b646dd708c3b846019a",
            "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827",
        ),
        (
            "a",
            "38488f6fd710f4686360edc4d38639f96c491595ef93f8eb8d62d5e07ca6ce7b",
            "e04788d110e58ff8c70c93b8480190d973e3b67876b6119abbaec766cc75c174",
        ),
    ],
)
def test_agrees_with_audioop_on_everything(law: g711.Law, encoded: str, decoded: str) -> None:
    assert hashlib.sha256(g711.encode(EVERY_SAMPLE, law)).hexdigest() == encoded
    assert hashlib.sha256(g711.decode(bytes(range(256)), law).pcm).hexdigest() == decoded


@pytest.mark.parametrize("law", get_args(g711.Law))
def test_a_code_word_survives_a_round_trip(law: g711.Law) -> None:
    samples = g711.decode(bytes(range(256)), law)

    assert g711.decode(g711.encode(samples, law), law) == samples


def test_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="8000"):
        g711.encode(Audio.silence(20, 16_000), "mu")
