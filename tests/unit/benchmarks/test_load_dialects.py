"""What the load generator's clients say and understand."""

from __future__ import annotations

import base64
import json

import pytest

from benchmarks.load import protobuf
from benchmarks.load.dialects import Heard, Pipecat, Realtime

FORTY_MS = bytes(1920)


def event(kind: str, **fields: object) -> bytes:
    return json.dumps({"type": kind, "event_id": "event_1", **fields}, separators=(",", ":")).encode()


def test_a_delta_is_as_long_as_its_samples() -> None:
    delta = event("response.output_audio.delta", response_id="r", delta=base64.b64encode(FORTY_MS).decode())
    assert Realtime().hear(delta) == Heard("audio", 40.0)


def test_realtime_events_are_known_by_type_and_the_rest_is_nothing() -> None:
    assert Realtime().hear(event("session.created")) == Heard("ready")
    assert Realtime().hear(event("input_audio_buffer.speech_started")) == Heard("speech")
    assert Realtime().hear(event("error", error={"message": "no"})) == Heard("error", detail="no")
    assert Realtime().hear(event("response.output_audio_transcript.delta", delta="Hi")) is None


def test_pipecat_gets_sixteen_kilohertz_and_answers_at_its_own_rate() -> None:
    frame = protobuf.decoded(Pipecat().frame(b"\1\2"))
    assert protobuf.decoded(frame[2]) == {3: b"\1\2", 4: 16_000, 5: 1}
    assert Pipecat().hear(protobuf.encoded({2: protobuf.encoded({3: FORTY_MS, 4: 24_000, 5: 1})})) == Heard(
        "audio", 40.0
    )


def test_pipecat_clears_with_an_interruption_and_tells_of_turns_in_messages() -> None:
    assert Pipecat().hear(protobuf.encoded({5: protobuf.encoded({1: 7})})) == Heard("speech")
    stopped = json.dumps({"label": "rtvi-ai", "type": "user-stopped-speaking"}).encode()
    assert Pipecat().hear(protobuf.encoded({4: protobuf.encoded({1: stopped})})) == Heard("silence")
    assert Pipecat().hear(protobuf.encoded({1: protobuf.encoded({3: b"text"})})) is None


@pytest.mark.parametrize("value", [0, 127, 128, 300, 2**40])
def test_varints_come_back(value: int) -> None:
    assert protobuf.decoded(protobuf.encoded({4: value, 3: b"x" * 300})) == {4: value, 3: b"x" * 300}
