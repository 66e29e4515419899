"""Finished turns as rows: what is filtered and charted as columns, the rest as JSON."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from telemetry.names import LATENCIES


def _latency(text: str) -> models.BigIntegerField[int | None, int | None]:
    return models.BigIntegerField(null=True, blank=True, help_text=f"µs: {text}")


class Turn(models.Model):
    """One finished turn. `trace` is `telemetry.trace.TurnTrace.to_dict()`, or null once its retention is over.

    The session and the agent are named, not referred to: a turn outlives both, and telemetry imports no
    other app. A latency that could not be measured is null, never 0.
    """

    class Export(models.TextChoices):
        PENDING = "pending", "pending"
        ACKNOWLEDGED = "acknowledged", "acknowledged"
        REJECTED = "rejected", "refused by the collector"

    session = models.CharField(max_length=64)
    index = models.PositiveIntegerField()
    trace_id = models.CharField(max_length=32, db_index=True)
    started_at = models.DateTimeField()
    agent = models.CharField(max_length=63)
    agent_version = models.PositiveIntegerField(default=0)
    transport = models.CharField(max_length=32)
    kind = models.CharField(max_length=16)
    initiator = models.CharField(max_length=16)
    end_reason = models.CharField(max_length=16)
    provenance = models.CharField(max_length=16, blank=True, help_text="Where voice-to-voice ended.")
    stop_provenance = models.CharField(max_length=16, blank=True, help_text="Where the stop delay ended.")

    voice_to_voice = _latency("end of speech to the first sound of the answer")
    server_voice_to_voice = _latency("end of speech to the first audio sent")
    vad_hangover = _latency("end of speech to the detector's stop")
    transcription_delay = _latency("end of speech to the final transcript")
    endpointing_delay = _latency("end of speech to the accepted end of turn")
    commit_delay = _latency("accepted end of turn to the finished prompt")
    llm_ttft = _latency("request to first token, of the call that gave the first words")
    sentence_delay = _latency("first token to the first speakable text")
    tts_ttfb = _latency("first text to its first byte of audio")
    tts_ttfa = _latency("first text to its first audible audio")
    pacing_delay = _latency("first audible audio to first audio sent")
    playout_delay = _latency("first audio sent to the first sound at the client")
    speculation_saved = _latency("what the optimistic reply saved")
    stop_delay = _latency("onset of an interruption to silence")
    talk_over = _latency("both speaking at once")
    dead_air = _latency("silence over 2 s with nobody's turn")
    underrun = _latency("gaps in the played audio")
    playback = _latency("audio played")
    delta_lateness = _latency("the latest that an audio delta left after it was due")
    decision = _latency("arrival of the oldest event that was answered to the decision, or its first sound")

    cost_micro_usd = models.BigIntegerField(null=True, blank=True)
    trace = models.JSONField(null=True, blank=True)

    export_state = models.CharField(max_length=16, choices=Export, default=Export.PENDING)
    export_attempts = models.PositiveIntegerField(default=0)
    export_after = models.DateTimeField(default=timezone.now)
    exported_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-started_at", "-index")
        constraints = [models.UniqueConstraint(fields=("session", "index"), name="one_turn_index_a_session")]
        indexes = [
            models.Index(fields=("agent", "started_at"), name="turn_agent_started"),
            models.Index(fields=("started_at",), name="turn_started"),
            models.Index(
                fields=("export_after", "id"), condition=models.Q(export_state="pending"), name="turn_unexported"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.session} #{self.index}"

    def latencies(self) -> dict[str, int]:
        """The latencies (µs) that were measured, in the order of `telemetry.names.LATENCIES`."""
        values = ((name, getattr(self, name)) for name in LATENCIES)
        return {name: value for name, value in values if value is not None}
