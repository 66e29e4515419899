"""Turns for tests: marks written in ms, as one would say them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telemetry.trace import Anchor, TurnMarks, TurnTrace, close_turn

SPOKEN = {
    "turn_open": 0,
    "user_speech_start": 0,
    "user_speech_end": 1800,
    "vad_stop": 2100,
    "stt_final": 2250,
    "eot_decided": 2300,
    "turn_committed": 2320,
    "llm[0].request_sent": 2330,
    "llm[0].first_chunk": 2450,
    "llm[0].first_token": 2480,
    "seg[0].text_ready": 2520,
    "seg[0].tts_first_byte": 2620,
    "seg[0].tts_first_audible": 2640,
    "first_audio_sent": 2650,
    "seg[0].tts_end": 3300,
    "llm[0].end": 3000,
    "last_audio_sent": 4600,
    "turn_close": 4900,
}
STARTED_NS = 1_790_000_000_000_000_000


def turn(
    marks_ms: Mapping[str, float] = SPOKEN, facts: Mapping[str, str | float] | None = None, **about: Any
) -> TurnTrace:
    """A closed turn whose session clock read 500 s at its opening."""
    marks = TurnMarks(lambda: 500.0)
    for name, ms in marks_ms.items():
        marks.stamp(name, 500.0 + ms / 1000)
    for name, value in (facts or {}).items():
        marks.fact(name, value)
    settled: dict[str, Any] = {
        "session_id": "sess_test",
        "index": 0,
        "agent": "guide",
        "agent_version": 3,
        "transport": "websocket",
        "kind": "plain",
        "initiator": "user",
        "end_reason": "completed",
        "trace_key": b"key",
    }
    return close_turn(marks, anchor=Anchor(STARTED_NS, 500.0), **{**settled, **about})
