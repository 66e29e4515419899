from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.pipeline.text import MAX_CHARS, sentences


async def stream(words: Sequence[str]) -> AsyncGenerator[str, None]:
    for word in words:
        yield word


def cut(words: Sequence[str], first: Literal["clause", "sentence"] = "sentence") -> list[str]:
    async def collect() -> list[str]:
        return [segment.text async for segment in sentences(stream(words), first)]

    return asyncio.run(collect())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", " Two!", " Three?"]),
        ("Dr. Who is here. Yes.", ["Dr. Who is here.", " Yes."]),
        ("It is 3.5 metres. Or e.g. four.", ["It is 3.5 metres.", " Or e.g. four."]),
        ("The U.S. is big. So?", ["The U.S. is big.", " So?"]),
        ('He said "stop." Then left.', ['He said "stop."', " Then left."]),
        ("No end", ["No end"]),
        ("One\nTwo", ["One\n", "Two"]),
        ("   ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert cut(list(text)) == expected


def test_the_first_clause_is_spoken_at_once_and_later_ones_are_not() -> None:
    assert cut(["Sure,", " I", " can.", " First, sit."], "clause") == ["Sure,", " I can.", " First, sit."]


def test_a_comma_inside_a_number_ends_nothing() -> None:
    assert cut(list("1,000 of them, yes."), "clause") == ["1,000 of them,", " yes."]


def test_a_run_without_punctuation_is_cut_at_a_space() -> None:
    pieces = cut(["word "] * 200)
    assert max(map(len, pieces)) <= MAX_CHARS + 1
    assert all(piece.strip().replace("word", "").strip() == "" for piece in pieces)


@given(st.lists(st.text(alphabet="ab .,!?\n3Dr", max_size=12), max_size=40), st.sampled_from(["clause", "sentence"]))
def test_nothing_is_lost_or_added(words: list[str], first: Literal["clause", "sentence"]) -> None:
    joined = "".join(cut(words, first))
    assert "".join(words).startswith(joined)
    assert "".join(words)[len(joined) :].strip() == ""
