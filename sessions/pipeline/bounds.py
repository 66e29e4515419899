"""Every bound of live sessions and of answers in words, in one place.

What happens at each is in docs/reference/settings.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Each field is the setting `REPARTEE_<FIELD>` in upper case."""

    audio_in_bytes: int = 16 * 1024 * 1024
    audio_in_stall_s: float = 10.0
    inbox_messages: int = 512
    events_out: int = 256
    audio_events_out: int = 4
    write_timeout_s: float = 10.0
    tts_chunks: int = 5
    words_ahead: int = 64
    segments_ahead: int = 4
    item_audio_items: int = 2
    item_audio_ms: int = 60_000
    utterance_ms: int = 120_000
    conversation_items: int = 1_000
    conversation_chars: int = 2_000_000
    event_chars: int = 1_000_000
    item_event_chars: int = 8_000_000
    item_parts: int = 64
    item_text_chars: int = 100_000
    instructions_chars: int = 100_000
    tools: int = 128
    schema_bytes: int = 200_000
    session_bytes: int = 900_000
    reply_s: int = 600
    reply_stall_s: float = 75.0
    side_responses: int = 8
    feed_keys: int = 1_024
    feed_event_bytes: int = 16 * 1024
    feed_bytes: int = 1024 * 1024
    sessions: int = 200
    arrivals_at_once: int = 20
    arrivals_per_s: float = 10.0
    loop_lag_ms: float = 10.0
    loop_busy: float = 0.6
    audio_lateness_ms: float = 30.0
    model_wait_ms: float = 500.0
    session_s: int = 3_600
    idle_s: int = 900
    text_replies: int = 64
    text_reply_bytes: int = 4 * 1024 * 1024
    text_stored: int = 1_000
    text_stored_bytes: int = 64 * 1024 * 1024
    text_stored_s: int = 3_600
    keepalive_s: float = 15.0
    head_s: float = 20.0
    body_s: float = 30.0
    body_bytes: int = 32 * 1024 * 1024
