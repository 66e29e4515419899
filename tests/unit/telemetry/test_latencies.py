from __future__ import annotations

import pytest

from telemetry.names import LATENCIES
from tests.unit.telemetry.turns import SPOKEN, turn


def test_every_latency_of_a_spoken_turn() -> None:
    assert turn().latencies == {
        "voice_to_voice": 850_000,
        "server_voice_to_voice": 850_000,
        "vad_hangover": 300_000,
        "transcription_delay": 450_000,
        "endpointing_delay": 500_000,
        "commit_delay": 20_000,
        "llm_ttft": 150_000,
        "sentence_delay": 40_000,
        "tts_ttfb": 100_000,
        "tts_ttfa": 120_000,
        "pacing_delay": 10_000,
    }
    assert turn().provenance == "server"


@pytest.mark.parametrize("missing", ["stt_final", "llm[0].first_token", "seg[0].text_ready", "eot_decided"])
def test_what_was_not_measured_is_absent_and_never_zero(missing: str) -> None:
    whole = turn().latencies
    partial = turn({name: at for name, at in SPOKEN.items() if name != missing}).latencies
    assert partial.items() < whole.items()
    assert partial["voice_to_voice"] == whole["voice_to_voice"]


def test_the_clients_own_clock_is_believed_first() -> None:
    marks = {**SPOKEN, "client_playback_started": 2990}
    trace = turn(marks, {"client_voice_to_voice_ms": 910.5, "rtt_ms": 40})
    assert (trace.latencies["voice_to_voice"], trace.provenance) == (910_500, "client_clock")
    assert trace.latencies["playout_delay"] == 60_500
    assert trace.path[-1].name == "network_playout"


def test_a_playback_mark_says_how_it_was_put_on_our_clock() -> None:
    marks = {**SPOKEN, "client_playback_started": 2700}
    trace = turn(marks, {"leading_silence_ms": 15})
    assert (trace.latencies["voice_to_voice"], trace.provenance) == (915_000, "estimated")
    assert turn(marks, {"playback_provenance": "client_synced"}).provenance == "client_synced"


def test_without_a_report_the_round_trip_is_estimated() -> None:
    trace = turn(facts={"rtt_ms": 30, "jitter_buffer_ms": 60})
    assert (trace.latencies["voice_to_voice"], trace.provenance) == (925_000, "estimated")
    assert trace.latencies["playout_delay"] == 75_000


@pytest.mark.parametrize("kind", ["text", "agent_initiated", "event"])
def test_a_turn_that_nobody_spoke_has_no_voice_to_voice(kind: str) -> None:
    trace = turn(kind=kind)
    assert "voice_to_voice" not in trace.latencies
    assert trace.provenance is None
    assert trace.path == ()


def test_a_turn_without_audio_has_no_voice_to_voice() -> None:
    trace = turn({"turn_open": 0, "user_speech_end": 900, "turn_close": 1000}, end_reason="no_output")
    assert trace.latencies == {}


def test_an_answer_ahead_of_the_recorded_end_of_speech_waited_nothing() -> None:
    trace = turn({**SPOKEN, "user_speech_end": 3000})
    assert trace.latencies["voice_to_voice"] == 0
    assert sum(step.duration_us for step in trace.path) == 0


def test_a_negative_report_is_a_broken_clock() -> None:
    assert turn(facts={"client_voice_to_voice_ms": -5}).provenance == "server"


def test_optimism_is_credited_with_what_it_saved_only_when_used() -> None:
    marks = {**SPOKEN, "spec_started": 2150}
    assert turn(marks, {"spec_outcome": "used"}).latencies["speculation_saved"] == 150_000
    assert "speculation_saved" not in turn(marks, {"spec_outcome": "discarded"}).latencies
    late_decision = {**marks, "eot_decided": 9000}
    assert turn(late_decision, {"spec_outcome": "used"}).latencies["speculation_saved"] == 490_000


def test_a_stop_ends_at_the_client_or_else_at_the_server() -> None:
    flushed = {**SPOKEN, "bi_speech_start": 4000, "bi_flushed": 4180}
    trace = turn(flushed)
    assert (trace.latencies["stop_delay"], trace.stop_provenance) == (180_000, "server")
    trace = turn({**flushed, "client_playback_stopped": 4230})
    assert (trace.latencies["stop_delay"], trace.stop_provenance) == (230_000, "estimated")
    assert turn().stop_provenance is None


def test_both_talk_until_the_stop() -> None:
    cut = {**SPOKEN, "bi_speech_start": 4000, "bi_flushed": 4180}
    assert turn(cut).latencies["talk_over"] == 180_000
    assert turn({**cut, "client_playback_stopped": 4230}).latencies["talk_over"] == 230_000


def test_before_the_first_sound_nobody_is_talked_over() -> None:
    early = {**SPOKEN, "bi_speech_start": 2600, "bi_flushed": 2780}
    assert turn(early).latencies["talk_over"] == 130_000
    assert turn({**early, "client_playback_started": 2700}).latencies["talk_over"] == 80_000
    silent = {name: at for name, at in early.items() if name != "first_audio_sent"}
    assert "talk_over" not in turn(silent).latencies


def test_measured_amounts_are_carried_over() -> None:
    amounts = {"dead_air_ms": 2, "underrun_ms": 3, "played_ms": 4, "delta_lateness_ms": 0.5}
    found = turn(facts=amounts).latencies
    assert [found[name] for name in LATENCIES[-4:]] == [2000, 3000, 4000, 500]


def test_a_decision_takes_from_the_arrival_of_its_event_until_it_is_out() -> None:
    marks = {"turn_open": 0, "event_arrived": 0, "turn_committed": 3, "decided": 12.5}
    assert turn(marks, kind="event").latencies == {"decision": 12_500}
