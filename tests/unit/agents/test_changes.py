from __future__ import annotations

import msgspec
import pytest

from agents import changes
from agents.changes import Change
from agents.spec import AgentSpec, LLMSpec, TurnDetection
from agents.spec_texts import SECTIONS, TEXTS


def test_a_complete_spec_writes_its_defaults_out() -> None:
    written = changes.complete(AgentSpec(slug="a"))
    assert written["turn_detection"]["silence_duration_ms"] == 500
    assert msgspec.convert(written, AgentSpec) == AgentSpec(slug="a")


def test_a_sparse_spec_says_only_what_differs() -> None:
    spec = AgentSpec(slug="a", turn_detection=TurnDetection(silence_duration_ms=300))
    assert changes.sparse(spec) == {"slug": "a", "turn_detection": {"silence_duration_ms": 300}}


def test_a_diff_names_each_field_and_neither_slug_nor_version() -> None:
    before = AgentSpec(slug="a", version=1, brain="llm")
    after = AgentSpec(slug="b", version=2, brain="answers", llm=LLMSpec(temperature=0.5))
    assert changes.diff(before, after) == [
        Change("brain", "llm", "answers"),
        Change("llm.temperature", None, 0.5),
    ]


def test_a_diff_of_equals_is_empty() -> None:
    assert changes.same(AgentSpec(slug="a", version=1), AgentSpec(slug="a", version=7))


@pytest.mark.parametrize(
    ("before", "after"), [("You are terse.", "You are very terse."), ("", "new"), ("old", ""), ("a\nb", "a\n\nc")]
)
def test_a_text_diff_holds_both_texts(before: str, after: str) -> None:
    pieces = changes.text_diff(before, after)
    assert "".join(piece.text for piece in pieces if piece.kind != "added") == before
    assert "".join(piece.text for piece in pieces if piece.kind != "removed") == after


def test_a_text_diff_marks_the_words_that_came() -> None:
    added = [
        piece.text for piece in changes.text_diff("You are terse.", "You are very terse.") if piece.kind == "added"
    ]
    assert "".join(added).strip() == "very"


def test_every_field_of_the_spec_has_a_label_and_a_place() -> None:
    fields = {path for path, _ in changes.flatten(changes.complete(AgentSpec(slug="a")))}
    assert set(TEXTS) == fields - set(changes.IDENTITY)
    assert sum(len(section.fields) for section in SECTIONS) == len(TEXTS)
