from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.spec import TurnDetection
from sessions.pipeline.turn_taking import (
    LULLS_MS,
    Began,
    Doubted,
    Ended,
    FalseStart,
    Forgotten,
    Lull,
    Onset,
    Paused,
    Resumed,
    Spared,
    Stirred,
    TurnSignal,
    TurnTaker,
)

WINDOW = 512


def feed(taker: TurnTaker, windows: str, start: int = 0) -> list[TurnSignal]:
    """One character a window: "#" speech, "*" less clear, "+" what may be, "~" a voice that fades, "." silence,
    "!" a loud noise.
    """
    levels = {"#": 0.9, "*": 0.7, "+": 0.6, "~": 0.42, ".": 0.01, "!": 0.01}
    signals: list[TurnSignal] = []
    quiet_since = taker.last_speech
    for n, mark in enumerate(windows, start + 1):
        signals += taker.feed(n * WINDOW, levels[mark])
        quiet_since = quiet_since if mark == "." else n * WINDOW
        signals += taker.listen(n * WINDOW, quiet_since)
    return signals


def taker(*, lulls: bool = False, **settings: object) -> TurnTaker:
    return TurnTaker(TurnDetection(**settings), lulls=lulls)  # type: ignore[arg-type]


def kinds(signals: list[TurnSignal]) -> list[type]:
    return [type(signal) for signal in signals]


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


def test_over_the_agent_four_windows_are_needed_of_what_is_hardly_speech() -> None:
    listener = taker()
    listener.agent_speaking = True
    assert feed(listener, "#+#") == [Onset(0)]
    assert feed(listener, "+", 3) == [Began(0)]


def test_over_the_agent_two_windows_are_enough_of_a_clear_voice_and_three_of_one_that_is_less_so() -> None:
    listener = taker()
    listener.agent_speaking = True
    assert feed(listener, "#") == [Onset(0)]
    assert feed(listener, "#", 1) == [Began(0)]
    listener = taker()
    listener.agent_speaking = True
    assert feed(listener, "+*") == [Onset(0)]
    assert feed(listener, "*", 2) == [Began(0)]


def test_going_on_after_a_pause_is_the_same_turn() -> None:
    signals = feed(taker(silence_duration_ms=500), "####" + "." * 8 + "##" + "." * 16)
    assert [type(s) for s in signals] == [Onset, Began, Paused, Resumed, Paused, Ended]
    assert signals[-1] == Ended(14 * WINDOW, 6 * 32.0)


def test_semantic_vad_ends_at_once_when_judged_done() -> None:
    listener = taker(type="semantic_vad")
    feed(listener, "####......")
    assert listener.judge(0.9) == [], "its words may leave it open"
    assert listener.words("What time is it?") == [Ended(4 * WINDOW, 128.0, "model")]


def test_semantic_vad_does_not_wait_for_words_for_ever() -> None:
    listener = taker(type="semantic_vad")
    feed(listener, "####......")
    listener.judge(0.9)
    assert feed(listener, "." * 20, 10) == [Ended(4 * WINDOW, 128.0, "model")]


def test_words_that_leave_it_open_are_waited_upon() -> None:
    listener = taker(type="semantic_vad", eagerness="high")
    feed(listener, "####......")
    listener.words("My number is zero seven nine")
    assert listener.judge(0.9) == []
    assert feed(listener, "." * 16, 10) == [Ended(4 * WINDOW, 128.0, "words")]


def test_words_before_the_speaker_went_on_count_no_more() -> None:
    listener = taker(type="semantic_vad")
    feed(listener, "####......")
    listener.words("What time is it?")
    feed(listener, "##......", 10)
    assert listener.judge(0.9) == []


def test_semantic_vad_waits_when_judged_unfinished_but_not_for_ever() -> None:
    listener = taker(type="semantic_vad", eagerness="high")
    assert type(feed(listener, "####......")[-1]) is Paused
    assert listener.judge(0.1) == []
    assert [type(s) for s in feed(listener, "." * 20, 10)] == [Ended]


def test_a_judgement_that_comes_too_late_is_ignored() -> None:
    listener = taker(type="semantic_vad")
    feed(listener, "####......##")
    assert listener.judge(0.99) == []


def over_the_agent() -> TurnTaker:
    listener = taker(type="semantic_vad")
    listener.agent_speaking = True
    return listener


def test_a_backchannel_over_the_agent_is_spared() -> None:
    listener = over_the_agent()
    assert feed(listener, "########...") == [Onset(0), Doubted(0), Paused(8 * WINDOW)]
    assert listener.words("Mhm.") == [Spared(backchannel=True)]
    assert feed(listener, "." * 40, 11) == [Forgotten()]
    assert not listener.undecided


def test_a_noise_over_the_agent_is_spared() -> None:
    listener = over_the_agent()
    feed(listener, "########...")
    assert listener.words("") == [Spared(backchannel=False)]


def test_real_words_over_the_agent_stop_it() -> None:
    listener = over_the_agent()
    feed(listener, "########...")
    assert listener.words("Stop.") == [Began(0)]
    assert kinds(listener.judge(0.9)) == []
    assert kinds(feed(listener, "." * 10, 11)) == [Ended]


def test_partial_words_stop_it_as_soon_as_they_are_more_than_a_backchannel() -> None:
    listener = over_the_agent()
    feed(listener, "########")
    assert listener.words("Yeah", final=False) == []
    assert listener.words("Yeah but", final=False) == [Began(0)]


def test_half_a_second_of_speech_stops_it_whatever_the_words() -> None:
    assert feed(over_the_agent(), "#" * 16) == [Onset(0), Doubted(0), Began(0)]


def test_words_that_never_come_are_taken_for_a_noise() -> None:
    assert kinds(feed(over_the_agent(), "########" + "." * 64)) == [
        Onset,
        Doubted,
        Paused,
        Spared,
        Forgotten,
    ]


def test_what_follows_a_backchannel_goes_on_with_it() -> None:
    listener = over_the_agent()
    feed(listener, "########...")
    listener.words("Yeah.")
    assert feed(listener, "..########...", 11) == [Onset(13 * WINDOW), Doubted(0), Paused(21 * WINDOW)]
    assert listener.words("Yeah, what about tomorrow?") == [Began(0)]
    assert listener.onset == 13 * WINDOW


def test_two_backchannels_are_spared_both() -> None:
    listener = over_the_agent()
    feed(listener, "########...")
    listener.words("Yeah.")
    feed(listener, "..########...", 11)
    assert listener.words("Yeah. Yeah.") == [Spared(backchannel=True)]


def test_a_backchannel_at_the_end_of_what_the_agent_says_is_an_answer() -> None:
    listener = over_the_agent()
    feed(listener, "########...")
    listener.words("Yes.")
    listener.agent_speaking = False
    assert feed(listener, ".", 11) == [Began(0)]
    assert kinds(feed(listener, "." * 40, 12)) == [Ended]


def test_a_noise_at_the_end_of_what_the_agent_says_is_none() -> None:
    listener = over_the_agent()
    feed(listener, "########...")
    listener.words("[coughs]")
    listener.agent_speaking = False
    assert feed(listener, "." * 40, 11) == [Forgotten()]


def test_server_vad_has_no_doubts() -> None:
    listener = taker()
    listener.agent_speaking = True
    assert feed(listener, "####") == [Onset(0), Began(0)]


def test_nor_has_a_session_whose_agent_is_not_interrupted() -> None:
    listener = taker(type="semantic_vad", interrupt_response=False)
    listener.agent_speaking = True
    assert feed(listener, "####") == [Onset(0), Began(0)]


def test_a_turn_ends_when_its_silence_is_full_though_no_window_is() -> None:
    listener = taker(silence_duration_ms=200)
    feed(listener, "####......")
    silence_ends = 4 * WINDOW + 200 * 16
    assert listener.listen(silence_ends - 16, 4 * WINDOW) == []
    assert listener.listen(silence_ends, 4 * WINDOW) == [Ended(4 * WINDOW, 128.0)]


def test_the_end_of_speech_lies_where_the_sound_ended() -> None:
    listener = taker(silence_duration_ms=200)
    feed(listener, "####")
    listener.feed(5 * WINDOW, 0.01)
    end = 4 * WINDOW - 480
    listener.listen(5 * WINDOW, end)
    assert listener.last_speech == end
    assert listener.listen(end + 200 * 16, end)[-1] == Ended(end, 128.0)


def test_a_sound_long_after_speech_does_not_prolong_it() -> None:
    signals = feed(taker(silence_duration_ms=320), "####......!...")
    assert signals[-1] == Ended(4 * WINDOW, 128.0)


def test_the_end_of_speech_is_at_most_four_windows_before_the_vad_says_so() -> None:
    listener = taker(silence_duration_ms=200)
    feed(listener, "######")
    listener.feed(7 * WINDOW, 0.01)
    listener.listen(7 * WINDOW, 0)
    assert listener.last_speech == 2 * WINDOW


def test_what_may_be_speech_again_is_waited_for_but_not_for_long() -> None:
    listener = taker(silence_duration_ms=192)
    assert not any(isinstance(signal, Ended) for signal in feed(listener, "####.....!!!!!!"))
    assert feed(listener, "!", 15) == [Ended(4 * WINDOW, 128.0)]


def test_a_sound_right_after_speech_belongs_to_it() -> None:
    listener = taker(silence_duration_ms=192)
    signals = feed(listener, "####.!......")
    assert signals[-1] == Ended(6 * WINDOW, 128.0)


def test_what_is_speech_again_goes_on_with_the_turn() -> None:
    listener = taker(silence_duration_ms=192)
    feed(listener, "####.....!")
    assert [type(s) for s in feed(listener, "##", 10)] == [Resumed]


@given(st.integers(0, 2_000), st.integers(1, 40), st.integers(0, 1_100))
def test_a_turn_never_ends_before_its_wait_and_never_later_than_the_doubt_allows(
    wait_ms: int, speech: int, early: int
) -> None:
    listener = taker(silence_duration_ms=wait_ms)
    feed(listener, "###" + "#" * speech)
    said_to = (3 + speech) * WINDOW
    end = said_to - min(early, 2 * WINDOW)
    now, ended = said_to, False
    while not ended and now < said_to + 16 * 4_000:
        now += 320
        if now % WINDOW < 320:
            listener.feed(now - now % WINDOW, 0.01)
        ended = any(isinstance(signal, Ended) for signal in listener.listen(now, end))
    first_silent_ms = (said_to - end) / 16 + 32
    assert wait_ms <= (now - end) / 16 < max(wait_ms, first_silent_ms) + 20


def test_the_first_window_in_which_the_voice_fades_is_a_lull() -> None:
    listener = taker(lulls=True)
    assert kinds(feed(listener, "#" * 8)) == [Onset, Began]
    assert feed(listener, "~", 8) == [Lull(9 * WINDOW)], "it is still speech to the end of the turn"
    assert feed(listener, "." * 5, 9) == []
    assert feed(listener, ".", 14) == [Paused(9 * WINDOW)]


def test_lulls_in_a_row_take_longer_until_there_are_no_more() -> None:
    listener, at = taker(lulls=True), 0
    seen = []
    for gap in (0, 1, 1, 1, 2, 2, 3, 4, 5):
        windows = "." * gap + "#" * 8
        seen.append(kinds(feed(listener, windows, at)))
        at += len(windows)
    cut = [Lull, Stirred]
    assert seen == [[Onset, Began], cut, cut, [], cut, [], cut, [], []]


def test_a_lull_in_vain_is_forgotten_after_three_seconds() -> None:
    listener = taker(lulls=True)
    assert kinds(feed(listener, "#" * 8 + ".#")) == [Onset, Began, Lull, Stirred]
    assert kinds(feed(listener, "#" * 94 + ".", 10)) == [Lull]


def test_each_turn_may_lull_anew() -> None:
    listener, at = taker(lulls=True, silence_duration_ms=200), 0
    for _ in range(len(LULLS_MS) + 2):
        windows = "#" * 8 + "~" + "." * 9
        signals = feed(listener, windows, at)
        assert kinds(signals) == [Onset, Began, Lull, Paused, Ended]
        assert signals[2] == Lull((at + 9) * WINDOW)
        at += len(windows)


def fading(quiet_ms: int) -> tuple[TurnTaker, list[TurnSignal]]:
    """After 8 windows of speech a ninth that the VAD still takes for speech, at whose end it has been quiet."""
    listener = taker(lulls=True)
    feed(listener, "#" * 8)
    before = listener.fading
    listener.feed(9 * WINDOW, 0.8)
    assert (before, listener.fading) == (False, True)
    return listener, listener.fade(9 * WINDOW, 9 * WINDOW - quiet_ms * 16)


def test_a_voice_that_may_be_ending_is_a_lull_once_it_is_quiet() -> None:
    assert fading(20)[1] == []
    assert fading(30)[1] == [Lull(9 * WINDOW - 30 * 16)]


def test_what_the_vad_goes_on_hearing_after_the_last_sound_does_not_end_a_lull() -> None:
    listener, _ = fading(30)
    for n in (10, 11, 12):
        assert listener.feed(n * WINDOW, 0.6) == []
        assert listener.fade(n * WINDOW, 9 * WINDOW - 30 * 16) == []
    assert listener.feed(13 * WINDOW, 0.6) == [Stirred()], "it hears that for 128 ms, and no longer"


def test_sound_ends_a_lull_at_once() -> None:
    listener, _ = fading(30)
    assert listener.fade(9 * WINDOW + 160, 9 * WINDOW + 160) == [Stirred()]


def test_less_than_200_ms_of_speech_has_no_lull() -> None:
    assert kinds(feed(taker(lulls=True), "####..")) == [Onset, Began]


@given(st.text(alphabet="#~.!", max_size=300), st.sampled_from(["server_vad", "semantic_vad"]), st.booleans())
def test_signals_always_come_in_a_sensible_order(windows: str, kind: str, lulls: bool) -> None:
    follows: dict[type | None, set[type]] = {
        None: {Onset},
        Onset: {FalseStart, Began},
        FalseStart: {Onset},
        Began: {Lull, Paused},
        Lull: {Stirred, Paused},
        Stirred: {Lull, Paused},
        Paused: {Resumed, Ended},
        Resumed: {Lull, Paused},
        Ended: {Onset},
    }
    last: type | None = None
    for signal in feed(taker(type=kind, silence_duration_ms=300, lulls=lulls), windows):
        assert type(signal) in follows[last]
        assert lulls or not isinstance(signal, Lull)
        last = type(signal)


@given(st.text(alphabet="#~.", max_size=300), st.sampled_from([64, 200, 500]))
def test_lulls_change_nothing_about_when_a_turn_ends(windows: str, silence_ms: int) -> None:
    without, with_them = (feed(taker(silence_duration_ms=silence_ms, lulls=lulls), windows) for lulls in (False, True))
    assert without == [signal for signal in with_them if not isinstance(signal, Lull | Stirred)]


SAID = st.sampled_from(["", "Mhm.", "Stop.", "and"])
WHAT_HAPPENS = st.one_of(
    st.text(alphabet="#.!", min_size=1, max_size=20),
    SAID.map(lambda text: ("words", text)),
    st.floats(0, 1).map(lambda probability: ("judged", probability)),
    st.booleans().map(lambda speaking: ("agent", speaking)),
)


@given(st.lists(WHAT_HAPPENS, max_size=60))
def test_whatever_happens_over_the_agent_signals_come_in_a_sensible_order(
    script: list[str | tuple[str, object]],
) -> None:
    follows: dict[type | None, set[type]] = {
        None: {Onset},
        Onset: {FalseStart, Began, Doubted},
        FalseStart: {Onset, Began, Forgotten},
        Doubted: {Paused, Began},
        Spared: {Onset, Began, Forgotten},
        Forgotten: {Onset},
        Began: {Paused, Resumed, Ended},
        Paused: {Resumed, Ended, Spared, Began},
        Resumed: {Paused, Began},
        Ended: {Onset},
    }
    listener, at, last = taker(type="semantic_vad"), 0, None
    for step in script:
        signals: list[TurnSignal] = []
        match step:
            case str():
                signals, at = feed(listener, step, at), at + len(step)
            case ("words", str(text)):
                signals = listener.words(text)
            case ("judged", float(probability)):
                signals = listener.judge(probability)
            case ("agent", bool(speaking)):
                listener.agent_speaking = speaking
        for signal in signals:
            assert type(signal) in follows[last], (last, signal)
            last = type(signal)
