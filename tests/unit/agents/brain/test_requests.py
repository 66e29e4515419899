from __future__ import annotations

import json

import pytest

from agents.brain.requests import tool_call
from agents.brain.sums import spoken_sum
from agents.tools.calculation import calculate


@pytest.mark.parametrize(
    ("heard", "value"),
    [
        ("What is 12 times 7?", "84"),
        ("twelve times seven", "84"),
        ("What's 12 x 7", "84"),
        ("12 \u00d7 7 =", "84"),
        ("How much is fifteen percent of eighty?", "12"),
        ("15% of 80", "12"),
        ("Okay, what is one hundred and twenty three plus four point five?", "127.5"),
        ("1,200 divided by 4", "300"),
        ("two thousand and five minus six", "1,999"),
        ("3 million over 2", "1,500,000"),
        ("The square root of 144, please.", "12"),
        ("five squared plus 1", "26"),
        ("two to the power of ten", "1,024"),
        ("half of ninety", "45"),
        ("what does 2 plus 2 make?", "4"),
        ("minus five plus three", "-2"),
    ],
)
def test_a_spoken_sum_is_worked_out(heard: str, value: str) -> None:
    expression = spoken_sum(heard)
    assert expression is not None
    assert calculate(expression) == value


@pytest.mark.parametrize(
    "heard",
    [
        "What is Repartee?",
        "seven",
        "How many times did it fail?",
        "one plus",
        "version two over the air",
        "times",
        "and",
        "",
        "What is 5 % of my data worth?",
    ],
)
def test_other_speech_is_no_sum(heard: str) -> None:
    assert spoken_sum(heard) is None


@pytest.mark.parametrize(
    ("heard", "zone"),
    [
        ("What time is it?", ""),
        ("what's the time", ""),
        ("Could you tell me the time, please?", ""),
        ("What day is it today?", ""),
        ("What's the date?", ""),
        ("What time is it in New York right now?", "new york"),
        ("And what's the time in Tokyo?", "tokyo"),
    ],
)
def test_the_time_is_asked_of_its_tool(heard: str, zone: str) -> None:
    call = tool_call(heard, "call_1")
    assert call is not None
    assert call.name == "time"
    assert json.loads(call.arguments).get("timezone", "") == zone


@pytest.mark.parametrize("heard", ["How much time does streaming save?", "What time does it take to answer?", "hello"])
def test_questions_about_time_are_not(heard: str) -> None:
    assert tool_call(heard, "call_1") is None
