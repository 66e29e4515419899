"""Choosing and cutting text for the ear: a few sentences, and few words in each."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from agents.knowledge.text import sentences, words
from agents.knowledge.word_vectors import WordVectors

MAX_SENTENCES = 2
MAX_WORDS = 38
"""About 12 s at 190 words a minute, the embedded voice's natural pace."""

_LEANING = re.compile(
    r"(?:it|its|this|that|these|those|they|their|them|he|she|such|so|then|there|but|also|and|or|otherwise|however|"
    r"nothing of it|both|each|either|neither)\b",
    re.IGNORECASE,
)
_PAUSE = re.compile(r"([,;:] | (?=because |so that |instead of ))")
_FEWEST_WORDS = 4
_OPENING_BONUS = 0.08
_LEANING_PENALTY = 0.3


def excerpt(passage: Sequence[str], question: str, known: WordVectors) -> list[str]:
    """Up to two neighbouring sentences of a passage, the ones that fit the question best.

    Sentences that lean on the one before ("It …") do not open an excerpt if others can.
    """
    windows = [list(passage[at : at + _room(passage[at:])]) for at in range(len(passage))]
    if len(windows) <= 1 or len(windows[0]) == len(passage):
        return windows[0] if windows else []
    vectors = known.embed([question, *(" ".join(window) for window in windows)])
    fit = vectors[1:] @ vectors[0]
    fit -= _LEANING_PENALTY * np.array([bool(_LEANING.match(window[0])) for window in windows])
    fit[0] += _OPENING_BONUS
    return windows[int(fit.argmax())]


def opening(passage: Sequence[str]) -> list[str]:
    """As many first sentences as may be spoken at once."""
    return list(passage[: _room(passage)])


def _room(passage: Sequence[str]) -> int:
    """How many of the first sentences fit; always one."""
    total = 0
    for count, sentence in enumerate(passage[:MAX_SENTENCES]):
        total += len(sentence.split())
        if count and total > MAX_WORDS:
            return count
    return min(len(passage), MAX_SENTENCES)


def smaller_steps(text: str) -> list[str]:
    """The same words in shorter sentences, cut where a speaker would breathe."""
    return [
        f"{step[0].upper()}{step[1:]}{'' if step.endswith(('.', '!', '?')) else '.'}"
        for sentence in sentences(text)
        for step in _steps(sentence)
    ]


def _steps(sentence: str) -> list[str]:
    parts = _PAUSE.split(sentence)
    steps: list[str] = []
    held = ""
    for part, pause in zip(parts[::2], [*parts[1::2], ""], strict=True):
        held += part
        if len(held.split()) >= _FEWEST_WORDS:
            steps.append(held)
            held = ""
        else:
            held += pause
    if held:
        steps.append(f"{steps.pop()}, {held}" if steps else held)
    return steps


def same(text: str) -> str:
    """A form in which two spellings of the same words are equal."""
    return " ".join(words(text))


def listed(items: Sequence[str], last: str = "and") -> str:
    """ "a, b and c"."""
    return f" {last} ".join(filter(None, (", ".join(items[:-1]), items[-1]))) if items else ""
