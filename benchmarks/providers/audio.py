"""The pieces of a transcription and of a speech answer."""

from __future__ import annotations

import io
import json
import struct
import wave
from collections.abc import Iterator
from typing import Any

from agents.audio import Audio
from agents.providers.scripted import hum
from benchmarks.providers.script import Script
from benchmarks.providers.timed import Piece

TTS_RATE = 24_000
MP3_FRAME = b"\xff\xfb\x90\x64" + bytes(413)
"""The head of a silent 128 kbit/s MPEG-1 layer III frame at 44.1 kHz, 417 bytes in all."""


def transcription(script: Script, response_format: str) -> Iterator[Piece]:
    answer: dict[str, Any] = {"text": script.transcript}
    if response_format == "verbose_json":
        unsure = script.no_speech > 0.5
        answer |= {
            "task": "transcribe",
            "language": "english",
            "duration": 1.0,
            "segments": [
                {
                    "id": 0,
                    "seek": 0,
                    "start": 0.0,
                    "end": 1.0,
                    "text": script.transcript,
                    "tokens": [],
                    "temperature": 0.0,
                    "avg_logprob": -1.4 if unsure else -0.2,
                    "compression_ratio": 1.1,
                    "no_speech_prob": script.no_speech,
                }
            ],
        }
    yield Piece(script.stt_ms, json.dumps(answer).encode())


def transcription_stream(script: Script) -> Iterator[Piece]:
    words = script.transcript.split(" ")
    for number, word in enumerate(words):
        delta = word if number == 0 else f" {word}"
        yield Piece(script.stt_ms, _sse({"type": "transcript.text.delta", "delta": delta}))
    yield Piece(script.stt_ms, _sse({"type": "transcript.text.done", "text": script.transcript}))
    yield Piece(script.stt_ms, b"data: [DONE]\n\n")


def speech(script: Script, text: str, speed: float) -> Iterator[Piece]:
    """A tone as long as the text would take to say, chunk after chunk."""
    if script.tts_format == "mp3":
        yield Piece(script.tts_first_ms, MP3_FRAME * 8)
        return
    sound = hum(text, TTS_RATE, speed)
    done_s = 0.0
    for chunk in sound.split(script.tts_chunk_ms):
        at_ms = script.tts_first_ms + (done_s * 1000 / script.tts_speed if script.tts_speed else 0.0)
        head = _wav_header(sound) if script.tts_format == "wav" and done_s == 0.0 else b""
        yield Piece(at_ms, head + chunk.pcm)
        done_s += chunk.ms / 1000


def _wav_header(sound: Audio) -> bytes:
    """Of a WAV whose length was not known when it began, as streaming servers write it."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes(b"")
    return out.getvalue()[:-4] + struct.pack("<I", 0xFFFFFFFF)


def _sse(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"
