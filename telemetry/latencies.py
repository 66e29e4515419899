"""What the marks of a turn say about its latency, and where each figure was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from telemetry import names as n
from telemetry.critical_path import Step, critical_path, winning_call

Facts = Mapping[str, str | float]
Marks = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Derived:
    """Latencies in µs; one that could not be measured is absent.

    `provenance` says where voice_to_voice ended, `stop_provenance` where stop_delay did; None where
    there is no such figure.
    """

    latencies: dict[str, int]
    provenance: n.Provenance | None
    stop_provenance: n.Provenance | None
    path: tuple[Step, ...]


def derive(marks: Marks, facts: Facts, kind: n.Kind) -> Derived:
    """All that follows from `marks` (µs from the turn's opening) and `facts`."""
    heard, provenance = _first_sound(marks, facts) if kind in ("plain", "tool") else (None, None)
    stopped, stop_provenance = _stopped(marks, facts)
    start = marks.get(n.USER_SPEECH_END)
    path: tuple[Step, ...] = ()
    latencies = _between(marks, facts)
    if heard is not None and start is not None:
        heard = max(heard, start)
        latencies[n.VOICE_TO_VOICE] = heard - start
        path = critical_path(marks, start=start, end=heard)
    _put(latencies, n.PLAYOUT_DELAY, heard if provenance != "server" else None, marks.get(n.FIRST_AUDIO_SENT))
    _put(latencies, n.STOP_DELAY, stopped, marks.get(n.BI_SPEECH_START))
    return Derived(
        {name: latencies[name] for name in n.LATENCIES if name in latencies},
        provenance if n.VOICE_TO_VOICE in latencies else None,
        stop_provenance if n.STOP_DELAY in latencies else None,
        path,
    )


def _first_sound(marks: Marks, facts: Facts) -> tuple[int | None, n.Provenance | None]:
    """When the answer began at the best end point there is. The client's own subtraction wins."""
    start, sent = marks.get(n.USER_SPEECH_END), marks.get(n.FIRST_AUDIO_SENT)
    if start is not None and (measured := _us(facts, n.CLIENT_VOICE_TO_VOICE_MS)) is not None:
        return start + measured, "client_clock"
    played = None if n.ACKNOWLEDGED in marks else marks.get(n.CLIENT_PLAYBACK_STARTED)
    if played is not None:
        return played + (_us(facts, n.LEADING_SILENCE_MS) or 0), _playback_provenance(facts)
    if sent is not None and (rtt := _us(facts, n.RTT_MS)) is not None:
        return sent + rtt // 2 + (_us(facts, n.JITTER_BUFFER_MS) or 0), "estimated"
    return (sent, "server") if sent is not None else (None, None)


def _stopped(marks: Marks, facts: Facts) -> tuple[int | None, n.Provenance]:
    if (stopped := marks.get(n.CLIENT_PLAYBACK_STOPPED)) is not None:
        return stopped, _playback_provenance(facts)
    return marks.get(n.BI_FLUSHED), "server"


def _playback_provenance(facts: Facts) -> n.Provenance:
    return "client_synced" if facts.get(n.PLAYBACK_PROVENANCE) == "client_synced" else "estimated"


def _between(marks: Marks, facts: Facts) -> dict[str, int]:
    winner = winning_call(marks)
    token = None if winner is None else marks.get(n.numbered("llm", winner, n.FIRST_TOKEN))
    asked = None if winner is None else marks.get(n.numbered("llm", winner, n.REQUEST_SENT))
    speech_end, sent = marks.get(n.USER_SPEECH_END), marks.get(n.FIRST_AUDIO_SENT)
    ready, byte, audible = (
        marks.get(n.numbered("seg", 0, moment)) for moment in (n.TEXT_READY, n.TTS_FIRST_BYTE, n.TTS_FIRST_AUDIBLE)
    )
    out: dict[str, int] = {}
    for name, end, start in (
        (n.SERVER_VOICE_TO_VOICE, sent, speech_end),
        (n.VAD_HANGOVER, marks.get(n.VAD_STOP), speech_end),
        (n.TRANSCRIPTION_DELAY, marks.get(n.STT_FINAL), speech_end),
        (n.ENDPOINTING_DELAY, marks.get(n.EOT_DECIDED), speech_end),
        (n.COMMIT_DELAY, marks.get(n.TURN_COMMITTED), marks.get(n.EOT_DECIDED)),
        (n.LLM_TTFT, token, asked),
        (n.SENTENCE_DELAY, ready, token),
        (n.TTS_TTFB, byte, ready),
        (n.TTS_TTFA, audible, ready),
        (n.PACING_DELAY, sent, _later(audible, marks.get(n.TURN_COMMITTED))),
        (n.DECISION, marks.get(n.DECIDED), marks.get(n.EVENT_ARRIVED)),
    ):
        _put(out, name, end, start)
    _put_speculation(out, marks, facts, audible)
    _put_talk_over(out, marks)
    _put_facts(out, facts)
    return out


def _later(audible: int | None, committed: int | None) -> int | None:
    """When the first sound was there and wanted: an optimistic reply's may be there before its turn is certain."""
    return audible if audible is None or committed is None else max(audible, committed)


def _put(out: dict[str, int], name: str, end: int | None, start: int | None) -> None:
    """A span that ended before it began was done ahead of need: it cost nothing."""
    if end is not None and start is not None:
        out[name] = max(0, end - start)


def _put_speculation(out: dict[str, int], marks: Marks, facts: Facts, audible: int | None) -> None:
    began, decided = marks.get(n.SPEC_STARTED), marks.get(n.EOT_DECIDED)
    if facts.get(n.SPEC_OUTCOME) != "used" or began is None or decided is None or audible is None:
        return
    out[n.SPECULATION_SAVED] = max(0, min(decided, audible) - began)


def _put_talk_over(out: dict[str, int], marks: Marks) -> None:
    """Both spoke from the onset of the interruption, or the first sound if that came later, to the stop."""
    began, sounded = marks.get(n.BI_SPEECH_START), marks.get(n.CLIENT_PLAYBACK_STARTED, marks.get(n.FIRST_AUDIO_SENT))
    if began is not None and sounded is not None:
        _put(out, n.TALK_OVER, marks.get(n.CLIENT_PLAYBACK_STOPPED, marks.get(n.BI_FLUSHED)), max(began, sounded))


def _put_facts(out: dict[str, int], facts: Facts) -> None:
    for name, fact in (
        (n.DEAD_AIR, n.DEAD_AIR_MS),
        (n.UNDERRUN, n.UNDERRUN_MS),
        (n.UNDERRUN, n.CLIENT_UNDERRUN_MS),  # who reports it knows it better
        (n.PLAYBACK, n.PLAYED_MS),
        (n.DELTA_LATENESS, n.DELTA_LATENESS_MS),
    ):
        if (value := _us(facts, fact)) is not None:
            out[name] = value


def _us(facts: Facts, name: str) -> int | None:
    """A fact in ms as µs. A negative one is a broken clock, and as good as none."""
    value = facts.get(name)
    return round(value * 1000) if isinstance(value, int | float) and value >= 0 else None
