from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.audio import Audio
from agents.interfaces import Speech
from sessions.pipeline.pacing import Pacer, recut
from sessions.pipeline.playback import Ledger, Played
from tests.virtual_time import run


def ledger(*segments: tuple[str, float]) -> Ledger:
    """All of it generated, released and delivered."""
    book = Ledger()
    for number, (text, ms) in enumerate(segments):
        book.write(text)
        say(book, number, ms)
    book.finish()
    return book


def say(book: Ledger, segment: int, ms: float, text_offset: int | None = None) -> None:
    """More of a segment, all the way to the client."""
    book.voice(segment, ms, text_offset)
    book.release(ms)
    book.deliver(ms)


def test_words_are_heard_by_their_share_of_the_audio() -> None:
    book = ledger(("One two.", 800), (" Three four.", 1200))
    assert book.text_until(0) == ""
    assert book.text_until(500) == "One"
    assert book.text_until(800) == "One two."
    assert book.text_until(1600) == "One two. Three"
    assert book.text_until(9999) == "One two. Three four."
    assert ledger(("One\ntwo three", 1200)).text_until(600) == "One"


@example([("One\nand\x85two", 1000)], 400, 900, False)
@given(
    st.lists(st.tuples(st.text(max_size=30), st.floats(1, 5000)), max_size=6),
    st.floats(0, 10_000),
    st.floats(0, 10_000),
    st.booleans(),
)
def test_more_time_never_hears_less_and_only_what_was_said(
    segments: list[tuple[str, float]], early: float, late: float, goes_on: bool
) -> None:
    book = ledger(*segments)
    if goes_on:
        book.write("and so on and on")
        book.voice(len(segments), 500)
    early, late = sorted((early, late))
    assert book.text.startswith(book.text_until(late))
    assert book.text_until(late).startswith(book.text_until(early).rstrip())


def test_a_sentence_still_being_spoken_is_not_taken_for_heard() -> None:
    book = Ledger()
    book.write("one two three four five six seven eight nine ten")
    book.voice(0, 600)
    assert book.text_until(600) == "one two"  # at 60 ms a character
    book.finish()
    assert book.text_until(600) == "one two three four five six seven eight nine ten"


def test_audio_that_is_made_and_not_yet_let_go_tells_where_words_are() -> None:
    book = Ledger()
    book.write("one two three four")
    for _ in range(9):
        book.voice(0, 100)
    say(book, 0, 100)
    book.finish()
    assert book.released_ms == 100
    assert book.text_until(450) == "one two"  # of 1000 ms


def test_the_pace_is_learned_from_what_was_said() -> None:
    slow = ledger(("a" * 60, 60 * 180))
    slow.write(" one two three four five")
    slow.voice(1, 1_200)
    assert slow.text_until(slow.generated_ms) == "a" * 60 + " one two"  # 120 ms a character
    fast = Ledger(speed=1.5)
    fast.write("one two three four five")
    fast.voice(0, 600)
    assert fast.text_until(600) == "one two three"  # 40 ms a character


def test_a_script_without_spaces_is_cut_between_its_characters() -> None:
    book = Ledger()
    book.write("你好世界今天天气")
    book.voice(0, 1_000)
    assert book.text_until(1_000) == "你好世界"  # at 240 ms a character
    book.voice(0, 600)
    book.finish()
    assert book.text_until(1_000) == "你好世界今"


def test_a_voice_that_says_where_it_is_is_believed() -> None:
    book = Ledger()
    book.write("one two three four")
    say(book, 0, 1_000, 0)
    assert book.played(500).words_by == "estimated"
    say(book, 0, 1_000, 14)
    assert book.text_until(500) == "one two"
    assert book.text_until(1_000) == "one two three"
    assert book.played(500).words_by == "voice"
    say(book, 0, 1_000, 3)  # backwards: nonsense
    say(book, 0, 1_000, 99)
    book.finish()
    assert book.text_until(4_000) == "one two three four"


def test_audio_that_never_left_is_no_audio() -> None:
    book = Ledger()
    book.write("one two")
    book.voice(0, 700)
    book.release(700)
    book.deliver(100)
    book.take_back(300)
    assert (book.generated_ms, book.released_ms) == (700, 400)
    book.take_back(900)
    assert book.released_ms == book.delivered_ms == 100


def test_the_figures_of_a_reply_that_was_cut_off() -> None:
    book = Ledger()
    for text in ("One two.", " Three four.", " Five six seven.", " Never voiced."):
        book.write(text)
    for number in range(3):
        for _ in range(10):
            book.voice(number, 100)
    for _ in range(18):
        book.release(100)
    for _ in range(15):
        book.deliver(100)
    book.take_back(300)
    book.estimate(1_250)
    assert book.played(0) == Played(
        generated_ms=3_000,
        released_ms=1_500,
        delivered_ms=1_500,
        heard_ms=1_250,
        words_generated=9,
        words_released=3,
        words_delivered=3,
        words_heard=2,
        heard_by="estimated",
        words_by="estimated",
    )
    assert book.heard_text == "One two."


@pytest.mark.parametrize(
    ("steps", "heard_ms", "heard_by"),
    [
        ([], None, "estimated"),
        ([("estimate", 700)], 700, "estimated"),
        ([("estimate", 5_000)], 1_000, "estimated"),  # not more than was delivered
        ([("estimate", 700), ("report", 900)], 900, "reported"),
        ([("estimate", 700), ("report", 300)], 300, "reported"),
        ([("report", 900), ("estimate", 700)], 900, "reported"),
        ([("report", 900), ("report", 950)], 950, "reported"),
        ([("report", 1_200)], 1_200, "reported"),  # what it played has reached it
        ([("report", 9_000)], 1_500, "reported"),
        ([("report", -5)], 0, "reported"),
        ([("estimate", 700), ("settle",), ("report", 900)], 700, "reported"),
        ([("estimate", 700), ("settle",), ("report", 300)], 300, "reported"),
        ([("settle",), ("report", 300)], 300, "reported"),
        ([("confirm",)], None, "reported"),
    ],
)
def test_who_says_what_was_heard(steps: list[tuple[Any, ...]], heard_ms: float | None, heard_by: str) -> None:
    book = Ledger()
    book.write("one two three")
    book.voice(0, 2_000)
    book.release(1_500)
    book.deliver(1_000)
    for name, *arguments in steps:
        getattr(book, name)(*arguments)
    assert (book.heard_ms, book.heard_by) == (heard_ms, heard_by)
    assert book.delivered_ms >= (heard_ms or 0)


def test_an_apology_follows_what_was_let_go() -> None:
    book = Ledger()
    for text in ("One two three four.", " Five.", " Six."):
        book.write(text)
    book.voice(0, 1_000)
    book.voice(1, 500)
    book.release(400)
    book.give_up(1)
    assert (book.text, book.generated_ms) == ("One two three four.", 400)
    book.write(" Sorry.")
    say(book, 1, 600)
    book.finish()
    assert book.text == "One two three four. Sorry."
    assert book.text_until(1_000) == "One two three four. Sorry."
    untouched = Ledger()
    untouched.write("One.")
    untouched.voice(0, 300)
    untouched.give_up(0)
    untouched.write("Sorry.")
    say(untouched, 0, 500)
    assert (untouched.text, untouched.generated_ms) == ("Sorry.", 500)


MS = st.floats(0, 3_000)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.text(alphabet="ab .你", min_size=1, max_size=20)),
        st.tuples(st.just("voice"), st.integers(0, 4), MS, st.none() | st.integers(0, 20)),
        st.tuples(st.sampled_from(["release", "deliver", "take_back", "estimate", "report"]), MS),
        st.tuples(st.sampled_from(["finish", "confirm", "settle"])),
        st.tuples(st.just("give_up"), st.integers(0, 4)),
    ),
    max_size=40,
)


@given(STEPS, MS)
def test_no_figure_exceeds_the_one_before_it_and_words_follow_their_audio(
    steps: list[tuple[Any, ...]], heard_ms: float
) -> None:
    book = Ledger()
    for name, *arguments in steps:
        getattr(book, name)(*arguments)
        assert 0 <= book.delivered_ms <= book.released_ms <= book.generated_ms
        assert 0 <= (book.heard_ms or 0) <= book.delivered_ms
        played = book.played(heard_ms)
        assert 0 <= played.heard_ms <= played.delivered_ms <= played.released_ms <= played.generated_ms
        assert 0 <= played.words_heard <= played.words_delivered <= played.words_released <= played.words_generated
        for early, late in pairwise(book.text_until(ms) for ms in range(0, 6_000, 500)):
            assert late.startswith(early.rstrip())
        assert book.text.startswith(book.heard_text)


def test_the_pacer_keeps_the_lead_and_no_more() -> None:
    async def play() -> None:
        clock = asyncio.get_running_loop().time
        pacer = Pacer(300, clock)
        for _ in range(50):
            await pacer.release(100)
            assert pacer.unplayed_ms() <= 400.001
        assert abs(clock() - (5.0 - 0.4)) < 0.001
        assert pacer.underrun_ms == 0

    run(play())


def test_a_held_pacer_lets_nothing_go_and_counts_the_gap() -> None:
    async def play() -> None:
        clock = asyncio.get_running_loop().time
        pacer = Pacer(300, clock)
        await pacer.release(200)
        pacer.hold()
        async with asyncio.TaskGroup() as group:
            late = group.create_task(pacer.release(100))
            await asyncio.sleep(1)
            assert not late.done()
            assert pacer.heard_ms() == 200
            pacer.resume()
        assert round(pacer.underrun_ms) == 800

    run(play())


def test_a_delta_is_late_by_what_passes_after_its_time() -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        slow_s = 0.0
        pacer = Pacer(300, lambda: loop.time() + slow_s)
        await pacer.release(400)
        await pacer.release(100)  # due 100 ms from now, and let go on time
        assert pacer.lateness_ms == pytest.approx(0, abs=0.001)
        async with asyncio.TaskGroup() as group:
            group.create_task(pacer.release(100))
            await asyncio.sleep(0.05)
            slow_s = 0.03  # as if the loop had been busy
        assert pacer.lateness_ms == pytest.approx(30, abs=0.001)

    run(play())


def test_neither_a_hold_nor_a_slow_voice_makes_a_delta_late() -> None:
    async def play() -> None:
        pacer = Pacer(300, asyncio.get_running_loop().time)
        await pacer.release(100)
        await asyncio.sleep(2)
        await pacer.release(100)
        pacer.hold()
        async with asyncio.TaskGroup() as group:
            group.create_task(pacer.release(100))
            await asyncio.sleep(1)
            pacer.resume()
        assert pacer.lateness_ms == 0

    run(play())


def test_recut_loses_nothing_and_starts_small() -> None:
    async def speech() -> AsyncGenerator[Speech, None]:
        yield Speech(Audio(bytes(2 * 24_000), 24_000), 0)
        yield Speech(Audio(bytes(2 * 1_000), 24_000), 1)

    async def collect() -> list[Speech]:
        return [piece async for piece in recut(speech(), first_ms=40, ms=100)]

    pieces = asyncio.run(collect())
    assert sum(piece.audio.samples for piece in pieces) == 25_000
    assert pieces[0].audio.ms == 40
    assert max(piece.audio.ms for piece in pieces) == 100


def test_leaving_a_recut_voice_stops_it_at_once() -> None:
    async def main() -> None:
        closed = False

        async def speech() -> AsyncGenerator[Speech, None]:
            nonlocal closed
            try:
                while True:
                    yield Speech(Audio.silence(500, 24_000), 0)
            finally:
                closed = True

        pieces = recut(speech(), first_ms=40, ms=100)
        await anext(pieces)
        await pieces.aclose()
        assert closed

    run(main())
