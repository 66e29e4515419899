from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.pipeline.wording import BACKCHANNELS, is_backchannel, unfinished, wordless

MORE_TO_COME = {
    "en": [
        "I would like to book a table and",
        "I'd like to, um",
        "Because",
        "My fellow Americans,",
        "The thing is…",
        "My number is 079",
        "My number is zero seven nine",
        "It's 0 7 9 1",
        "It's 0791 23",
        "It is spelled B R A",
        "B-R-A-D",
        "My e-mail is anna at",
        "My e-mail is anna@example",
        "anna.berg at example dot",
        "The page is www.example",
        "Send it to the",
        "It’s",
    ],
    "de": ["Ich möchte einen Tisch und", "Meine Nummer ist null sieben neun", "anna punkt berg at"],
    "fr": ["Je voudrais une table pour", "zéro six deux", "C'est euh"],
    "xx": ["0 6 1 2", "a b c", "something,"],
}
ALL_SAID = {
    "en": [
        "",
        "What time is it?",
        "What is this for?",
        "I was born in 1984.",
        "I have two.",
        "Chapter 5",
        "My number is 0791 234 5678.",
        "zero seven nine one two three four five six seven eight",
        "My e-mail is anna@example.org",
        "My e-mail is anna@example.org.",
        "The page is www.example.org.",
        "It was my plan B.",
        "Stop, please.",
        "...?",
    ],
    "de": ["Wie spät ist es?", "Ich habe zwei.", "Danke."],
    "xx": ["and", "und", "7"],
}
LISTENING = {
    "en": [
        "Mhm.",
        "mm-hmm",
        "Mm-hm",
        "Uh-huh.",
        "Yeah.",
        "Yeah, yeah.",
        "Okay.",
        "OK",
        "Right.",
        "I see.",
        "Hmm.",
        "Oh, okay.",
    ],
    "de": ["Mhm", "Ja, ja.", "Genau.", "Ach so!"],
    "fr": ["Oui.", "D’accord.", "Ouais, ouais"],
    "ja": ["mhm"],
}
SPEAKING = {
    "en": [
        "Stop.",
        "Yeah, but wait.",
        "No.",
        "Okay, what about tomorrow?",
        "Right now?",
        "",
        "Yeah yeah yeah yeah yeah",
        "reyes",
    ],
    "de": ["Nein.", "Ja, aber", "Warte mal"],
}


def cases(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(text, language) for language, texts in table.items() for text in texts]


@pytest.mark.parametrize(("text", "language"), cases(MORE_TO_COME))
def test_more_is_to_come(text: str, language: str) -> None:
    assert unfinished(text, language)


@pytest.mark.parametrize(("text", "language"), cases(ALL_SAID))
def test_all_may_be_said(text: str, language: str) -> None:
    assert not unfinished(text, language)


@pytest.mark.parametrize(("text", "language"), cases(LISTENING))
def test_a_listener(text: str, language: str) -> None:
    assert is_backchannel(text, language)


@pytest.mark.parametrize(("text", "language"), cases(SPEAKING))
def test_a_speaker(text: str, language: str) -> None:
    assert not is_backchannel(text, language)


@pytest.mark.parametrize("text", ["", " ", "...", "[coughs]", "(coughing)", "*sighs*", "♪ ♪"])
def test_a_transcript_without_a_word(text: str) -> None:
    assert wordless(text)
    assert not is_backchannel(text, "en")


@pytest.mark.parametrize("text", ["No", "[coughs] Stop", "7"])
def test_a_transcript_with_a_word(text: str) -> None:
    assert not wordless(text)


@given(st.text(), st.sampled_from(["en", "de", "zz", ""]))
def test_any_text_has_an_answer(text: str, language: str) -> None:
    unfinished(text, language)
    assert not (wordless(text) and is_backchannel(text, language))


@pytest.mark.parametrize("language", BACKCHANNELS)
def test_a_language_with_its_region_is_that_language(language: str) -> None:
    assert is_backchannel("mhm", f"{language}-XX")
