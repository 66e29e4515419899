"""Which answer is owed, as the user speaks on and as words turn out to be none."""

from __future__ import annotations

from agents.errors import ProviderError
from sessions.pipeline.messages import CreateResponse
from sessions.pipeline.owed import Due, Owed


def owed(*turns: str) -> Owed:
    """Each turn began before the answer to the one before was heard."""
    book = Owed()
    for turn in turns:
        if book.due is not None:
            book.set_aside(book.due)
        book.answer_turn(turn)
    return book


def test_a_turn_is_answered_once() -> None:
    book = owed("one")
    assert book.take() == Due(CreateResponse(), "one")
    assert book.take() is None


def test_the_last_of_several_turns_is_answered() -> None:
    assert owed("one", "two").take() == Due(CreateResponse(), "two")


def test_what_the_client_asked_for_answers_the_turn_too() -> None:
    book = Owed()
    book.due = asked = Due(CreateResponse())
    book.answer_turn("one")
    assert book.take() is asked


def test_a_noise_gives_back_the_answer_that_it_took() -> None:
    book = owed("one", "noise")
    book.had_no_words("noise")
    assert book.due == Due(CreateResponse(), "one")


def test_of_several_noises_too() -> None:
    book = owed("one", "noise", "cough")
    book.had_no_words("noise")
    assert book.due == Due(CreateResponse(), "cough")
    book.had_no_words("cough")
    assert book.due == Due(CreateResponse(), "one")


def test_what_was_set_aside_and_had_no_words_itself_is_not_owed_again() -> None:
    book = owed("noise", "cough")
    book.had_no_words("noise")
    book.had_no_words("cough")
    assert book.due is None


def test_an_answer_given_settles_what_was_set_aside() -> None:
    book = owed("one", "two")
    assert book.take() is not None
    book.restore()
    assert book.due is None


def test_what_was_set_aside_outlasts_a_time_in_which_nothing_is_due() -> None:
    book = owed("one")
    due = book.withdraw()
    assert due is not None
    book.set_aside(due)
    assert book.take() is None
    book.restore()
    assert book.due == due


def test_what_is_due_is_not_replaced_by_what_was_set_aside() -> None:
    book = owed("one", "two")
    book.restore()
    assert book.due == Due(CreateResponse(), "two")


def test_what_the_client_settles_is_forgotten() -> None:
    book = owed("one", "two")
    book.forget_aside()
    assert book.withdraw() is not None
    book.restore()
    assert book.due is None


def test_words_that_failed_are_said_to_have_by_the_answer_that_waits_for_them() -> None:
    error = ProviderError("no ears", provider="lab")
    book = owed("one")
    book.not_transcribed("another", error)
    assert book.due == Due(CreateResponse(), "one")
    book.not_transcribed("one", error)
    assert book.due == Due(CreateResponse(), "one", failure=error)
    book.due = Due(CreateResponse())
    book.not_transcribed("another", error)
    assert book.due.failure is error
