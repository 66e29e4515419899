from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.knowledge.chunking import MAX_WORDS, chunk, decoys

PARAGRAPH = "This paragraph has more than eight words in it, surely."


def test_each_paragraph_is_a_passage_under_its_headings() -> None:
    found = chunk(f"# Title\n\n{PARAGRAPH}\n\n## One\n### Deep\n{PARAGRAPH}\n## Two\n{PARAGRAPH}")
    assert [(piece.section, piece.text) for piece in found] == [
        ("", PARAGRAPH),
        ("One, Deep", PARAGRAPH),
        ("Two", PARAGRAPH),
    ]


def test_a_short_paragraph_joins_the_next_but_not_across_a_heading() -> None:
    assert [piece.text for piece in chunk(f"Note well.\n\n{PARAGRAPH}")] == [f"Note well. {PARAGRAPH}"]
    assert [piece.text for piece in chunk(f"## A\nNote well.\n## B\n{PARAGRAPH}")] == ["Note well.", PARAGRAPH]


def test_a_list_joins_its_introduction_and_each_item_is_a_sentence() -> None:
    (found,) = chunk("You will need these things before you begin:\n\n- flour and water\n- **salt**, a little\n  more")
    assert found.text == "You will need these things before you begin: flour and water. salt, a little more."


def test_code_is_left_out_even_with_headings_in_it() -> None:
    (found,) = chunk(f"## Run\n```sh\n# not a heading\nmake run\n```\n{PARAGRAPH}\n")
    assert (found.section, found.text) == ("Run", PARAGRAPH)


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    found = chunk(" ".join([PARAGRAPH] * 20))
    assert len(found) > 1
    assert all(len(piece.text.split()) <= MAX_WORDS and piece.text.endswith("surely.") for piece in found)


def test_questions_belong_to_the_paragraph_after_them_and_are_not_spoken() -> None:
    questions = "<!-- asked: How long? -->\n<!-- Asked: Why so? -->"
    text = f"## One\n{questions}\n{PARAGRAPH}\n<!-- a note\nof two lines -->\n\n{PARAGRAPH}"
    assert [(piece.text, piece.asked) for piece in chunk(text)] == [
        (PARAGRAPH, ("How long?", "Why so?")),
        (PARAGRAPH, ()),
    ]


def test_questions_that_are_not_answered_are_listed_and_belong_to_no_passage() -> None:
    fenced = "```\n<!-- not: In code? -->\n```"
    text = f"## One\n<!-- not: How far?; Who\nsang it? -->\n{PARAGRAPH}\n{fenced}\n<!-- NOT: How far?;; -->"
    assert decoys(text) == ["How far?", "Who sang it?"]
    assert [(piece.text, piece.asked) for piece in chunk(text)] == [(PARAGRAPH, ())]


def test_a_table_is_read_row_by_row() -> None:
    (found,) = chunk("| city | people in millions |\n|---|---|\n| Paris | about two |\n| Rome | nearly three |")
    assert found.text == "city, people in millions. Paris, about two. Rome, nearly three."


@given(st.text(alphabet="ab .\n#`-<!>|*", max_size=300))
def test_any_text_is_cut_without_error_and_nothing_is_empty(text: str) -> None:
    assert all(piece.text.strip() for piece in chunk(text))
