"""Every name that leaves this project: marks, facts, latencies, spans, attributes and metrics.

Span and attribute names follow the OpenTelemetry GenAI semantic conventions, whose status is
"Development": when they change, this module changes and nothing else.
"""

from __future__ import annotations

from typing import Final, Literal

Kind = Literal["plain", "tool", "agent_initiated", "text", "event"]
Initiator = Literal["user", "agent", "client"]
EndReason = Literal["completed", "interrupted", "no_output", "error", "cancelled", "missed", "session_closed"]
Provenance = Literal["client_clock", "client_synced", "estimated", "server"]
Owner = Literal["setting", "stt", "turn_detector", "retrieval", "llm", "tool", "tts", "platform", "network"]

# --- marks ---------------------------------------------------------------------------------------

TURN_OPEN: Final = "turn_open"
USER_SPEECH_START: Final = "user_speech_start"
USER_SPEECH_END: Final = "user_speech_end"
VAD_STOP: Final = "vad_stop"
STT_FIRST_PARTIAL: Final = "stt_first_partial"
STT_FINAL: Final = "stt_final"
EOT_DECIDED: Final = "eot_decided"
TURN_COMMITTED: Final = "turn_committed"
RETRIEVAL_START: Final = "retrieval.start"
RETRIEVAL_END: Final = "retrieval.end"
SPEC_STARTED: Final = "spec_started"
ACKNOWLEDGED: Final = "acknowledged"
FIRST_AUDIO_SENT: Final = "first_audio_sent"
LAST_AUDIO_SENT: Final = "last_audio_sent"
CLIENT_PLAYBACK_STARTED: Final = "client_playback_started"
CLIENT_PLAYBACK_ENDED: Final = "client_playback_ended"
CLIENT_PLAYBACK_STOPPED: Final = "client_playback_stopped"
BI_SPEECH_START: Final = "bi_speech_start"
BI_DETECTED: Final = "bi_detected"
BI_DECIDED: Final = "bi_decided"
BI_FLUSHED: Final = "bi_flushed"
TURN_CLOSE: Final = "turn_close"
EVENT_ARRIVED: Final = "event_arrived"
DECIDED: Final = "decided"

REQUEST_SENT: Final = "request_sent"
FIRST_CHUNK: Final = "first_chunk"
FIRST_TOKEN: Final = "first_token"  # noqa: S105 - a token of text
START: Final = "start"
END: Final = "end"
TEXT_READY: Final = "text_ready"
TTS_FIRST_BYTE: Final = "tts_first_byte"
TTS_FIRST_AUDIBLE: Final = "tts_first_audible"
TTS_END: Final = "tts_end"


def numbered(group: str, n: int, moment: str) -> str:
    """The mark of one LLM call, tool call or segment: numbered("llm", 0, FIRST_TOKEN)."""
    return f"{group}[{n}].{moment}"


# --- facts: attributes of a turn, set by whoever knows them ---------------------------------------

CLIENT_VOICE_TO_VOICE_MS: Final = "client_voice_to_voice_ms"
"""The client's own measure, on its own clock, from the last speech sample to the first audible one."""
PLAYBACK_PROVENANCE: Final = "playback_provenance"
"""How client_playback_* marks were put on our clock: "client_synced", or "estimated" (the default)."""
LEADING_SILENCE_MS: Final = "leading_silence_ms"
RTT_MS: Final = "rtt_ms"
JITTER_BUFFER_MS: Final = "jitter_buffer_ms"
SPEC_OUTCOME: Final = "spec_outcome"
SPEC_ATTEMPTS: Final = "spec_attempts"
SPEC_WASTED_TOKENS: Final = "spec_wasted_tokens"
SPEC_WASTED_SHARE: Final = "spec_wasted_share"
"""Of all tokens of the turn, those of attempts that were thrown away."""
RESUME_COUNT: Final = "resume_count"
STT_MODEL: Final = "stt_model"
LLM_MODEL: Final = "llm_model"
TTS_MODEL: Final = "tts_model"
TTS_VOICE: Final = "tts_voice"
STT_PROVIDER: Final = "stt_provider"
LLM_PROVIDER: Final = "llm_provider"
TTS_PROVIDER: Final = "tts_provider"
RETRIEVAL_SOURCE: Final = "retrieval_source"
"""The knowledge bases that were searched, with commas between their names."""
INPUT_TOKENS: Final = "input_tokens"
OUTPUT_TOKENS: Final = "output_tokens"
CACHED_TOKENS: Final = "cached_tokens"
GENERATED_MS: Final = "generated_ms"
"""Audio that the voice made of the reply; of that, what the pacer let go, and what was written to the client."""
RELEASED_MS: Final = "released_ms"
DELIVERED_MS: Final = "delivered_ms"
WORDS_GENERATED: Final = "words_generated"
"""The same in whole words: what the brain wrote, and what of it lies in that audio."""
WORDS_RELEASED: Final = "words_released"
WORDS_DELIVERED: Final = "words_delivered"
WORDS_HEARD: Final = "words_heard"
FILLERS: Final = "fillers"
"""Phrases that were spoken while a tool ran."""
HEARD_BY: Final = "heard_by"
"""Who says how much was played: the server's estimate ("estimated"), or the client ("reported")."""
WORDS_BY: Final = "words_by"
"""Who says which words that were: the voice ("voice"), or their length ("estimated")."""
COST_USD: Final = "cost_usd"
ERROR_TYPE_FACT: Final = "error_type"
DEAD_AIR_MS: Final = "dead_air_ms"
UNDERRUN_MS: Final = "underrun_ms"
CLIENT_UNDERRUN_MS: Final = "client_underrun_ms"
"""Gaps that the listener heard, by the client's own report."""
PLAYED_MS: Final = "played_ms"
DELTA_LATENESS_MS: Final = "delta_lateness_ms"
"""The latest that any audio delta of the turn left after it was there and due."""
FEED_DECISIONS_FACT: Final = "decisions"
"""Decisions on events since the last turn of kind "event" that was recorded, this one included."""
FEED_MISSED_FACT: Final = "missed"
FEED_EVENTS_FACT: Final = "events"
FEED_CONFLATED_FACT: Final = "conflated"
FEED_EXPIRED_FACT: Final = "expired"

# --- derived latencies ----------------------------------------------------------------------------

VOICE_TO_VOICE: Final = "voice_to_voice"
SERVER_VOICE_TO_VOICE: Final = "server_voice_to_voice"
VAD_HANGOVER: Final = "vad_hangover"
TRANSCRIPTION_DELAY: Final = "transcription_delay"
ENDPOINTING_DELAY: Final = "endpointing_delay"
COMMIT_DELAY: Final = "commit_delay"
LLM_TTFT: Final = "llm_ttft"
SENTENCE_DELAY: Final = "sentence_delay"
TTS_TTFB: Final = "tts_ttfb"
TTS_TTFA: Final = "tts_ttfa"
PACING_DELAY: Final = "pacing_delay"
PLAYOUT_DELAY: Final = "playout_delay"
SPECULATION_SAVED: Final = "speculation_saved"
STOP_DELAY: Final = "stop_delay"
TALK_OVER: Final = "talk_over"
DEAD_AIR: Final = "dead_air"
UNDERRUN: Final = "underrun"
PLAYBACK: Final = "playback"
DELTA_LATENESS: Final = "delta_lateness"
DECISION: Final = "decision"

LATENCIES: Final = (
    VOICE_TO_VOICE,
    SERVER_VOICE_TO_VOICE,
    VAD_HANGOVER,
    TRANSCRIPTION_DELAY,
    ENDPOINTING_DELAY,
    COMMIT_DELAY,
    LLM_TTFT,
    SENTENCE_DELAY,
    TTS_TTFB,
    TTS_TTFA,
    PACING_DELAY,
    PLAYOUT_DELAY,
    SPECULATION_SAVED,
    STOP_DELAY,
    TALK_OVER,
    DECISION,
    DEAD_AIR,
    UNDERRUN,
    PLAYBACK,
    DELTA_LATENESS,
)

PATH_STEPS: Final = (
    "vad_hangover",
    "stt_finalize",
    "endpointing_wait",
    "commit",
    "retrieval",
    "llm_queue",
    "tool_rounds",
    "llm_ttft",
    "sentence",
    "tts_ttfb",
    "tts_silence",
    "pacing",
    "network_playout",
)

# --- counters and gauges, with the one attribute each may carry -----------------------------------

QUEUE_DEPTH: Final = "queue.depth"
QUEUE_DROPPED: Final = "queue.dropped"
JOURNAL_DROPPED: Final = "journal.dropped"
JOURNAL_SPILLED: Final = "journal.spilled"
JOURNAL_REPLAYED: Final = "journal.replayed"
JOURNAL_PENDING: Final = "journal.pending"
TRANSCRIPTS_REJECTED: Final = "transcripts.rejected"
INTERRUPTIONS: Final = "interruptions"
SPECULATIONS: Final = "llm.speculations"
SPECULATION_TOKENS: Final = "llm.speculation.tokens"
KEYS_LIMITED: Final = "keys.limited"
SLOW_CLIENTS: Final = "clients.slow"
OVERLOADED: Final = "overloaded"
CONTEXT_DROPPED: Final = "context.dropped"
PROVIDER_FALLBACKS: Final = "provider.fallbacks"
PROVIDER_STALLS: Final = "provider.stalls"
INTERJECTIONS: Final = "interjections"
PROVIDER_CONNECTIONS: Final = "provider.connections"
OVERRIDES_REFUSED: Final = "overrides.refused"
AUDIO_DELTAS: Final = "audio.deltas"
AUDIO_LATENESS: Final = "audio.lateness_ms"
HEADROOM_USED: Final = "headroom.used"
HEADROOM_OPEN: Final = "headroom.open"
FEED_EVENTS: Final = "feed.events"
FEED_DECISIONS: Final = "feed.decisions"

COUNTERS: Final[dict[str, str | None]] = {
    QUEUE_DROPPED: "pipe",
    JOURNAL_DROPPED: "reason",
    JOURNAL_SPILLED: None,
    JOURNAL_REPLAYED: None,
    TRANSCRIPTS_REJECTED: "reason",
    INTERRUPTIONS: "outcome",
    SPECULATIONS: "outcome",
    SPECULATION_TOKENS: None,
    SLOW_CLIENTS: None,
    KEYS_LIMITED: "what",
    OVERLOADED: "what",
    AUDIO_DELTAS: None,
    AUDIO_LATENESS: None,
    CONTEXT_DROPPED: None,
    PROVIDER_FALLBACKS: "stage",
    PROVIDER_STALLS: "stage",
    PROVIDER_CONNECTIONS: "outcome",
    INTERJECTIONS: "kind",
    OVERRIDES_REFUSED: "what",
    FEED_EVENTS: "outcome",
    FEED_DECISIONS: "outcome",
}
GAUGES: Final[dict[str, str | None]] = {
    QUEUE_DEPTH: "pipe",
    JOURNAL_PENDING: None,
    HEADROOM_USED: "of",
    HEADROOM_OPEN: None,
}

# --- spans ----------------------------------------------------------------------------------------

SCOPE: Final = "repartee.telemetry"
SPAN_TURN: Final = "invoke_agent"
SPAN_VAD: Final = "voice.vad"
SPAN_ENDPOINTING: Final = "voice.endpointing"
SPAN_STT: Final = "speech_to_text"
SPAN_RETRIEVAL: Final = "retrieval"
SPAN_CHAT: Final = "chat"
SPAN_TOOL: Final = "execute_tool"
SPAN_TTS: Final = "text_to_speech"
SPAN_PLAYBACK: Final = "voice.playback"
SPAN_INTERRUPTION: Final = "voice.interruption"

# --- attributes: the allow-list; nothing else leaves ----------------------------------------------

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
CONVERSATION: Final = "gen_ai.conversation.id"
AGENT_NAME: Final = "gen_ai.agent.name"
AGENT_VERSION: Final = "gen_ai.agent.version"
REQUEST_MODEL: Final = "gen_ai.request.model"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT: Final = "gen_ai.usage.output_tokens"
USAGE_CACHED: Final = "gen_ai.usage.cache_read.input_tokens"
SPEECH_VOICE: Final = "gen_ai.speech.voice"
TOOL_NAME: Final = "gen_ai.tool.name"
DATA_SOURCE: Final = "gen_ai.data_source.id"
ERROR_TYPE: Final = "error.type"
VOICE_TURN_INDEX: Final = "voice.turn.index"
VOICE_KIND: Final = "voice.turn.kind"
VOICE_INITIATOR: Final = "voice.turn.initiator"
VOICE_END_REASON: Final = "voice.turn.end_reason"
VOICE_PROVENANCE: Final = "voice.turn.provenance"
VOICE_TRANSPORT: Final = "voice.transport"
VOICE_SPECULATIVE: Final = "voice.llm.speculative"
VOICE_SPEC_OUTCOME: Final = "voice.llm.speculation.outcome"
VOICE_RESUMES: Final = "voice.turn.resume_count"
VOICE_SEGMENT: Final = "voice.segment.index"
VOICE_STOP_PROVENANCE: Final = "voice.interruption.provenance"
VOICE_LATENCY: Final = "voice.latency."
VOICE_PATH: Final = "voice.critical_path."

ATTRIBUTES: Final = frozenset(
    {
        OPERATION,
        PROVIDER,
        CONVERSATION,
        AGENT_NAME,
        AGENT_VERSION,
        REQUEST_MODEL,
        TIME_TO_FIRST_CHUNK,
        USAGE_INPUT,
        USAGE_OUTPUT,
        USAGE_CACHED,
        SPEECH_VOICE,
        TOOL_NAME,
        DATA_SOURCE,
        ERROR_TYPE,
        VOICE_TURN_INDEX,
        VOICE_KIND,
        VOICE_INITIATOR,
        VOICE_END_REASON,
        VOICE_PROVENANCE,
        VOICE_TRANSPORT,
        VOICE_SPECULATIVE,
        VOICE_SPEC_OUTCOME,
        VOICE_RESUMES,
        VOICE_SEGMENT,
        VOICE_STOP_PROVENANCE,
    }
)
