from __future__ import annotations

import pytest

from agents.knowledge.text import content_words, sentences, speakable, stem, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two? Three!", ["One.", "Two?", "Three!"]),
        ("Use a tool, e.g. A hammer. Then stop.", ["Use a tool, e.g. A hammer.", "Then stop."]),
        ("Version 3.11 is new. Yes.", ["Version 3.11 is new.", "Yes."]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("no end", ["no end"]),
        ("   ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_words_ignore_case_and_punctuation() -> None:
    assert words("It\u2019s FAST, isn't it?") == ["it's", "fast", "isn't", "it"]


def test_content_words_are_what_is_asked_about() -> None:
    assert content_words("So, what is the agent's latency, please?") == ["agent", "latency"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("interrupting", "interrupts"), ("stored", "stores"), ("replies", "reply"), ("stopped", "stops")],
)
def test_forms_of_a_word_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_markdown_is_spoken_without_its_marks() -> None:
    assert (
        speakable("See **the `guide`** at [our page](https://example.org), _now_") == "See the guide at our page, _now_"
    )
