from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.pipeline.text import MAX_CHARS, sentences
from sessions.pipeline.text import cut as text_cut


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


def test_clauses_are_spoken_at_once_until_there_is_speech_in_hand() -> None:
    words = ["Sure,", " I", " can", " tell", " you.", " First, sit.", " So, yes."]
    assert cut(words, "clause") == ["Sure,", " I can tell you.", " First, sit.", " So, yes."]
    assert cut(words[:1] + words[5:], "clause") == ["Sure,", " First,", " sit.", " So,", " yes."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sure, it is a quarter past nine.", ["Sure,", " it is a quarter past nine."]),
        ("Oh, well, that would be late, I think.", ["Oh,", " well,", " that would be late,", " I think."]),
        (
            "If you come by nine, it is open, and free.",
            ["If you come by nine,", " it is open, and free."],
        ),
        ("It costs 1,000, or 3.5 each, today.", ["It costs 1,000, or 3.5 each,", " today."]),
        ("At 10:30, Dr. Smith, as ever.", ["At 10:30, Dr. Smith,", " as ever."]),
        ("No. We close at five.", ["No.", " We close at five."]),
        ("\n\nSure, it is nine. So.", ["\n\nSure,", " it is nine.", " So."]),
        ("See No. 5 there. Or Fig. 2 of it.", ["See No. 5 there.", " Or Fig. 2 of it."]),
        ("Ask Capt. Kirk. Yes.", ["Ask Capt. Kirk.", " Yes."]),
        ("The U.S. is big. So?", ["The U.S. is big.", " So?"]),
        ("好的，现在是九点一刻。再见！", ["好的，", "现在是九点一刻。", "再见！"]),
        ("はい、そうです。九時です。", ["はい、", "そうです。", "九時です。"]),
        ("价格是1，000元。对吗？", ["价格是1，000元。", "对吗？"]),
        ("نعم، بالتأكيد. هل تريد؟", ["نعم،", " بالتأكيد.", " هل تريد؟"]),
        ("हाँ, नौ बजे हैं। ठीक है।", ["हाँ,", " नौ बजे हैं।", " ठीक है।"]),
    ],
)
def test_the_first_clauses(text: str, expected: list[str]) -> None:
    """Word by word, the spaces before the words as models write them, or after."""
    assert cut(re.findall(r"\s*[^\s，、。]+[，、。]?", text), "clause") == expected
    assert [piece.strip() for piece in cut(re.findall(r"\S+\s*", text), "clause")] == [e.strip() for e in expected]


@pytest.mark.parametrize(
    ("words", "at"),
    [
        (["It", " is", " nine", ".", " Then"], 4),
        (["That", " is", " all."], 3),
        (["It", " is", " 3", ".", "5", " metres", ".", " So"], 7),
        (["See", " Dr", ".", " Who", ".", " So"], 5),
        (["He", " said", ' "', "stop", ".", '"', " Then"], 7),
        (["It", " is", " (", "was", ".", ")", " Then"], 7),
        (["In", " the", " U", ".", "S", ".", " now", ".", " So"], 8),
        (["Go", " to", " www", ".", "example", ".com", ".", " So"], 7),
        (["No", ".", " We"], 3),
    ],
)
def test_the_first_sentence_is_complete_with_its_full_stop_where_nothing_can_follow_it(
    words: list[str], at: int
) -> None:
    """`at` words are enough for it, and one fewer is not."""
    assert text_cut("".join(words[:at]), clause=True) > 0
    assert text_cut("".join(words[: at - 1]), clause=True) == 0


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
