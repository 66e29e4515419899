from __future__ import annotations

from agents.brain.spoken import excerpt, listed, opening, smaller_steps
from agents.knowledge.text import sentences
from agents.knowledge.word_vectors import word_vectors

PASSAGE = sentences(
    "The library opens at nine. Members may borrow ten books. They pay a fine of one euro for every late day. "
    "Dogs have to wait outside. The reading room closes at six in winter."
)


def test_the_sentences_that_fit_the_question_are_chosen() -> None:
    assert excerpt(PASSAGE, "Can I bring my dog?", word_vectors())[0] == "Dogs have to wait outside."


def test_a_sentence_that_leans_on_the_one_before_does_not_come_first() -> None:
    chosen = excerpt(PASSAGE, "What is the fine for a late book?", word_vectors())
    assert chosen == PASSAGE[1:3]


def test_a_short_passage_is_spoken_whole() -> None:
    assert excerpt(PASSAGE[:2], "winter", word_vectors()) == PASSAGE[:2]


def test_no_more_than_fits_in_about_twelve_seconds() -> None:
    long = ["This sentence has twenty words " + "and " * 14 + "ends."] * 3
    assert opening(long) == long[:1]
    assert opening(["word " * 80]) == ["word " * 80]


def test_smaller_steps_say_the_same_words() -> None:
    text = "Audio is sent at the speed of playing, with a short lead, so it stops. Yes, it does. Is it fast?"
    assert smaller_steps(text) == [
        "Audio is sent at the speed of playing.",
        "With a short lead, so it stops.",
        "Yes, it does.",
        "Is it fast?",
    ]


def test_a_list_is_spoken_with_its_last_word() -> None:
    assert [listed(["a", "b", "c"]), listed(["a", "b"], "or"), listed(["a"]), listed([])] == [
        "a, b and c",
        "a or b",
        "a",
        "",
    ]
