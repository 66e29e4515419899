from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.audio import Audio
from agents.interfaces import Speech
from sessions.pipeline.pacing import Pacer, recut
from sessions.pipeline.playback import Ledger
from tests.virtual_time import run


def ledger(*segments: tuple[str, float]) -> Ledger:
    book = Ledger()
    for text, ms in segments:
        book.begin(text)
        book.add(ms)
    book.finish()
    return book


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
        book.begin("and so on and on")
        book.add(500)
    early, late = sorted((early, late))
    assert book.text.startswith(book.text_until(late))
    assert book.text_until(late).startswith(book.text_until(early).rstrip())


def test_a_sentence_still_being_spoken_is_not_taken_for_heard() -> None:
    book = Ledger()
    book.begin("one two three four five six seven eight nine ten")
    book.add(600)
    assert book.text_until(600) == "one two"  # at 60 ms a character
    book.finish()
    assert book.text_until(600) == "one two three four five six seven eight nine ten"


def test_the_pace_is_learned_from_what_was_said() -> None:
    slow = ledger(("a" * 60, 60 * 180))
    slow.begin(" one two three four five")
    slow.add(1_200)
    assert slow.text_until(slow.audio_ms) == "a" * 60 + " one two"  # 120 ms a character
    fast = Ledger(speed=1.5)
    fast.begin("one two three four five")
    fast.add(600)
    assert fast.text_until(600) == "one two three"  # 40 ms a character


def test_a_script_without_spaces_is_cut_between_its_characters() -> None:
    book = Ledger()
    book.begin("你好世界今天天气")
    book.add(1_000)
    assert book.text_until(1_000) == "你好世界"  # at 240 ms a character
    book.add(600)
    book.finish()
    assert book.text_until(1_000) == "你好世界今"


def test_a_voice_that_says_where_it_is_is_believed() -> None:
    book = Ledger()
    book.begin("one two three four")
    book.add(1_000, 0)
    book.add(1_000, 14)
    assert book.text_until(500) == "one two"
    assert book.text_until(1_000) == "one two three"
    book.add(1_000, 3)  # backwards: nonsense
    book.add(1_000, 99)
    book.finish()
    assert book.text_until(4_000) == "one two three four"


def test_audio_that_never_left_is_no_audio() -> None:
    book = ledger(("one two", 700))
    book.take_back(300)
    assert book.audio_ms == 400
    book.take_back(900)
    assert book.audio_ms == 0


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
