from __future__ import annotations

import pytest

from agents.brain.dialogue import Act, act, is_follow_up, question


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ("Hello!", Act.HELLO),
        ("hi there", Act.HELLO),
        ("Good morning.", Act.HELLO),
        ("Thank you very much.", Act.THANKS),
        ("Okay, thanks!", Act.THANKS),
        ("Yes, please.", Act.MORE),
        ("Sure, go on.", Act.MORE),
        ("Tell me more about that", Act.MORE),
        ("YEAH", Act.MORE),
        ("No, thank you.", Act.NO),
        ("Not now.", Act.NO),
        ("Could you repeat that, please?", Act.REPEAT),
        ("Sorry, what did you say?", Act.REPEAT),
        ("I didn\u2019t catch that.", Act.REPEAT),
        ("A bit slower, please.", Act.SLOWER),
        ("Can you say that more slowly?", Act.SLOWER),
        ("You're talking too fast.", Act.SLOWER),
        ("What can you do?", Act.CAPABILITIES),
        ("What can I ask you about?", Act.CAPABILITIES),
        ("Help!", Act.CAPABILITIES),
        ("What's your name?", Act.NAME),
        ("How are you today?", Act.HOW_ARE_YOU),
        ("Thanks, that's all. Goodbye!", Act.GOODBYE),
        ("Please hang up.", Act.GOODBYE),
        ("bye bye", Act.GOODBYE),
    ],
)
def test_an_utterance_that_asks_nothing_is_an_act(heard: str, expected: Act) -> None:
    assert act(heard) is expected


@pytest.mark.parametrize(
    "heard",
    [
        "What is Repartee?",
        "Hello, what is Repartee?",
        "Thanks. And how fast is it?",
        "What can you do about noise?",
        "Can you tell me more about pricing?",
        "How do I end a call in my program?",
        "Is there no limit?",
        "Does it go on when I cough?",
        "",
    ],
)
def test_a_question_is_not_an_act(heard: str) -> None:
    assert act(heard) is None


@pytest.mark.parametrize(
    ("heard", "asked"),
    [
        ("Hello, what is Repartee?", "what is repartee"),
        ("Okay. Thanks! And how fast is it?", "and how fast is it"),
        ("Um, so what does it cost", "what does it cost"),
        ("It is slow. What can I do?", "it is slow what can i do"),
        ("Hello", "hello"),
    ],
)
def test_pleasantries_before_a_question_are_dropped(heard: str, asked: str) -> None:
    assert question(heard) == asked


@pytest.mark.parametrize("asked", ["and how fast is it?", "why?", "what about coughs", "how does that work"])
def test_a_follow_up_leans_on_what_was_said(asked: str) -> None:
    assert is_follow_up(asked)


@pytest.mark.parametrize("asked", ["what is jitter?", "how do I roll back to a version that worked last week?"])
def test_a_whole_question_stands_alone(asked: str) -> None:
    assert not is_follow_up(asked)
