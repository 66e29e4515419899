"""Proper names that speech recognition misspells: "report e" and "rapper tea" are "Repartee"."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from difflib import SequenceMatcher

from agents.knowledge.text import STOP_WORDS, content_words, sentences, words

_CAPITALISED = re.compile(r"[A-Za-z0-9]*[A-Z][A-Za-z0-9]*")
_LOWER = re.compile(r"\b[a-z]{2,}\b")
_VOWELS = re.compile(r"[aeiouhwy]")
_DOUBLED = re.compile(r"(.)\1+")
_SHORTEST = 4
_LONGEST_SPAN = 4


class Names:
    """The names in a body of text, and how they sound.

    A name is a word of four letters or more that is mostly written with a capital, and not only at the
    beginning of a sentence.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        capitalised: Counter[str] = Counter()
        plain: Counter[str] = Counter()
        for sentence in (sentence for text in texts for sentence in sentences(text)):
            first = sentence.split(maxsplit=1)[0]
            found = _CAPITALISED.findall(sentence)
            capitalised.update(name.lower() for name in found if name not in first or not name.istitle())
            plain.update(_LOWER.findall(sentence))
        names = sorted(name for name, times in capitalised.items() if times > plain[name])
        self._sounds = {name: _sound(name) for name in names if len(name) >= _SHORTEST}

    def correct(self, text: str, known: Iterable[str]) -> str:
        """`text` in lower case, with runs of up to four words that sound like a name replaced by it.

        A run of nothing but `known` words is left alone.
        """
        heard = words(text)
        familiar = {*known, *STOP_WORDS}
        out: list[str] = []
        at = 0
        while at < len(heard):
            name, length = self._longest(heard[at : at + _LONGEST_SPAN], familiar)
            out.append(name or heard[at])
            at += length or 1
        return " ".join(out)

    def _longest(self, heard: list[str], familiar: set[str]) -> tuple[str, int]:
        for length in range(len(heard), 0, -1):
            run = heard[:length]
            if length > 1 and (run[0] in STOP_WORDS or not content_words(run[0])):
                continue
            joined = "".join(run)
            if joined in self._sounds:
                return joined, length
            if familiar.issuperset(run):
                continue
            for name, sound in self._sounds.items():
                if _alike(joined, name, sound):
                    return name, length
        return "", 0


def _sound(word: str) -> str:
    """The consonants, doubled ones once: "repartee" gives "rprt"."""
    return _DOUBLED.sub(r"\1", _VOWELS.sub("", word.lower()))


def _alike(heard: str, name: str, sound: str) -> bool:
    """Spelled nearly alike, or with the consonants of the name and at most one more at the end."""
    if abs(len(heard) - len(name)) > 2:
        return False
    consonants = _sound(heard)
    if len(sound) >= _SHORTEST and consonants.startswith(sound) and len(consonants) <= len(sound) + 1:
        return True
    needed = 0.75 if consonants == sound else 0.85
    spelling = SequenceMatcher(None, heard, name)
    return spelling.quick_ratio() >= needed and spelling.ratio() >= needed
