from __future__ import annotations

import pytest

from agents.knowledge.names import Names

TEXTS = [
    "You can talk to Repartee. The agents of Repartee use vLLM, Ollama and Redis.",
    "Reports are written for each turn, and we report the party that spoke.",
]
KNOWN = {"reports", "report", "written", "turn", "party", "spoke", "talk", "agents", "use", "writes"}


@pytest.mark.parametrize(
    "heard",
    ["repertoire", "report e", "rapper tea", "reparty", "Repartie", "re partee", "repartee"],
)
def test_a_name_is_known_by_its_sound(heard: str) -> None:
    assert Names(TEXTS).correct(f"What is {heard}?", KNOWN) == "what is repartee"


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("can I use V L L M", "can i use vllm"),
        ("does it run o lama", "does it run ollama"),
        ("do I need redis", "do i need redis"),
    ],
)
def test_letters_and_split_names_are_joined(heard: str, meant: str) -> None:
    assert Names(TEXTS).correct(heard, KNOWN) == meant


@pytest.mark.parametrize("heard", ["who writes the report", "the roads of rome", "what about the party"])
def test_ordinary_words_stay(heard: str) -> None:
    assert Names(TEXTS).correct(heard, KNOWN) == heard


def test_a_word_that_is_mostly_written_small_is_no_name() -> None:
    assert Names(["See the Latency. The latency matters. Low latency is good."]).correct("latencie", ()) == "latencie"
