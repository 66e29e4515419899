from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.spec import TurnDetection
from sessions.pipeline.turn_taking import (
    Began,
    Ended,
    FalseStart,
    Onset,
    Paused,
    Resumed,
    TurnSignal,
    TurnTaker,
)

WINDOW = 512


def feed(taker: TurnTaker, windows: str, start: int = 0) -> list[TurnSignal]:
    """One character a window: "#" speech, "." silence."""
    return [
        signal
        for n, mark in enumerate(windows, start + 1)
        for signal in taker.feed(n * WINDOW, 0.9 if mark == "#" else 0.01)
    ]


def taker(**settings: object) -> TurnTaker:
    return TurnTaker(TurnDetection(**settings))  # type: ignore[arg-type]


def test_a_turn_begins_after_three_windows_and_ends_after_the_silence() -> None:
    signals = feed(taker(silence_duration_ms=500), "..####" + "." * 16)
    assert signals == [
        Onset(2 * WINDOW),
        Began(2 * WINDOW),
        Paused(6 * WINDOW),
        Ended(6 * WINDOW, 128.0),
    ]


def test_a_click_is_a_false_start() -> None:
    assert feed(taker(), ".#....") == [Onset(WINDOW), FalseStart()]


def test_over_the_agent_four_windows_are_needed() -> None:
    listener = taker()
    listener.agent_speaking = True
    assert feed(listener, "###") == [Onset(0)]
    assert feed(listener, "#", 3) == [Began(0)]


def test_going_on_after_a_pause_is_the_same_turn() -> None:
    signals = feed(taker(silence_duration_ms=500), "####" + "." * 8 + "##" + "." * 16)
    assert [type(s) for s in signals] == [Onset, Began, Paused, Resumed, Paused, Ended]
    assert signals[-1] == Ended(14 * WINDOW, 6 * 32.0)


def test_semantic_vad_ends_at_once_when_judged_done() -> None:
    listener = taker(type="semantic_vad")
    feed(listener, "####......")
    assert listener.judge(0.9) == [Ended(4 * WINDOW, 128.0)]


def test_semantic_vad_waits_when_judged_unfinished_but_not_for_ever() -> None:
    listener = taker(type="semantic_vad", eagerness="high")
    assert type(feed(listener, "####......")[-1]) is Paused
    assert listener.judge(0.1) == []
    assert [type(s) for s in feed(listener, "." * 20, 10)] == [Ended]


def test_a_judgement_that_comes_too_late_is_ignored() -> None:
    listener = taker(type="semantic_vad")
    feed(listener, "####......##")
    assert listener.judge(0.99) == []


@given(st.text(alphabet="#.", max_size=300), st.sampled_from(["server_vad", "semantic_vad"]))
def test_signals_always_come_in_a_sensible_order(windows: str, kind: str) -> None:
    follows: dict[type | None, set[type]] = {
        None: {Onset},
        Onset: {FalseStart, Began},
        FalseStart: {Onset},
        Began: {Paused},
        Paused: {Resumed, Ended},
        Resumed: {Paused},
        Ended: {Onset},
    }
    last: type | None = None
    for signal in feed(taker(type=kind, silence_duration_ms=300), windows):
        assert type(signal) in follows[last]
        last = type(signal)
