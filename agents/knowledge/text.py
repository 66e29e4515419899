"""Plain-text tools shared by chunking, search and the brains: sentences, words, and Markdown as it is spoken."""

from __future__ import annotations

import re

_ABBREVIATIONS = ("e.g.", "i.e.", "etc.", "vs.", "Mr.", "Mrs.", "Ms.", "Dr.", "No.", "approx.", "St.")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"(\*\*|__|\*|`|~~)(?=\S)(.+?)(?<=\S)\1")
_SUFFIXES = ("ingly", "edly", "ations", "ation", "ings", "ing", "ies", "ied", "ers", "er", "ed", "es", "s")
_SHORTEST_STEM = 3

_STOP_WORDS = """
    a able about actually again already also always am an and any anybody anyone anything are as at basically be
    because been being bit but by can could curious did do does doing don't even ever every everybody everyone
    everything exactly explain few for from get gets getting give go going got guess had has have here honestly
    how i i'd i'll i'm i've if in into is it it's its just kind know let let's like literally look lot may maybe
    me mean might more much must my nobody of oh ok okay on one opinion or our ours out perhaps please possible
    probably quite rather really right roughly say should simply so some somebody someone something sometimes
    sort still such suppose tell than that that's the their them then there there's these they thing things this
    those to too uh um up us want was way ways we well were what what's when where which while who who's whole
    whose why will with wonder wondering would yeah yes you you're your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def sentences(text: str) -> list[str]:
    """The sentences of `text` in order. An abbreviation's full stop does not end one."""
    found: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        if text[: end.start()].endswith(_ABBREVIATIONS):
            continue
        found.append(text[start : end.end()].strip())
        start = end.end()
    return [*found, tail] if (tail := text[start:].strip()) else found


def words(text: str) -> list[str]:
    """Words in lower case, without punctuation; apostrophes inside a word stay."""
    return [word.lower() for word in _WORD.findall(text.replace("\u2019", "'"))]


def content_words(text: str) -> list[str]:
    """The words that carry meaning, possessives removed."""
    return [word.removesuffix("'s") for word in words(text) if word not in STOP_WORDS]


def stem(word: str) -> str:
    """A crude English stem: enough to match "interrupting" with "interrupts"."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM and not word.endswith("ss"):
            word = word[: -len(suffix)] + ("y" if suffix in ("ies", "ied") else "")
            break
    if len(word) > _SHORTEST_STEM and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    return word[:-1] if len(word) > _SHORTEST_STEM and word.endswith("e") else word


def speakable(markdown: str) -> str:
    """One line of Markdown as plain words: marks of emphasis, code and links are dropped."""
    text = _LINK.sub(r"\1", markdown)
    while (plain := _EMPHASIS.sub(r"\2", text)) != text:
        text = plain
    return " ".join(text.split())
