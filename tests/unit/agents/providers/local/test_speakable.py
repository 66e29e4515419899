from __future__ import annotations

import pytest

from agents.providers.local.speakable import speakable


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It costs $3.50, Dr. Who.", "It costs $3.50, Dr. Who."),
        ("See https://www.example.com/docs/start?x=1#y.", "See example dot com slash docs slash start."),
        ("See www.example.org", "See example dot org"),
        ("Try docs.example.com now", "Try docs dot example dot com now"),
        ("Write to bob.b@example.com!", "Write to bob dot b at example dot com!"),
        ("Read [the guide](/usage/) first", "Read the guide first"),
        ("# Heading", "Heading"),
        ("Fruit, e.g. pears, i.e. food", "Fruit, for example, pears, that is, food"),
        ("set max_output_tokens", "set max output tokens"),
        ("a\x00b", "a b"),
    ],
)
def test_what_would_be_misread_is_spelled_out(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize("nothing", ["", "  \n", "...", "!?", "😀", "—", "***", "\x00"])
def test_nothing_to_say_is_empty(nothing: str) -> None:
    assert speakable(nothing) == ""
