"""From a stream of words to pieces worth speaking: the first clauses as soon as they end, then whole sentences."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Literal

from agents.interfaces import Segment
from sessions.pipeline.playback import letters

MAX_CHARS = 240
"""A run without punctuation is cut at a space here: about 15 s of speech."""
CLAUSES_FOR = 20
"""Letters that are spoken clause by clause: 1.2 s of speech, in which the rest of a sentence is written and voiced."""

_CLOSERS = """["'”’)\\]」』）》]*"""
_TITLE = r"Mr|Mrs|Ms|Dr|Prof|Capt|Col|Gen|Gov|Lt|Rev|Sen|Sgt|St|Mt|vs|etc|e\.g|i\.e|approx|dept|Inc|Ltd|Co|www"
_ABBREVIATION = re.compile(rf"(?:\b(?:{_TITLE})|\b[A-Z](?:\.[A-Z])*)\.$", re.IGNORECASE)
_NUMBERED = re.compile(r"\b(?:No|Nos|Fig|Vol|pp)\.$", re.IGNORECASE)
"""An abbreviation before a number, and else the end of a sentence."""
_NUMBER = re.compile(r"\s*(?:\d|$)")
_SENTENCE = re.compile(rf"[.!?…]+{_CLOSERS}(?=\s)|[!?…]+{_CLOSERS}$|[。！？｡؟।]+{_CLOSERS}|\n+")
_CLAUSE = re.compile(r"(?<=[^\s\d.])[,;:](?=\s|$)|(?<!\d)[，；：、،؛]|\s[–—-](?=\s)|—")
_WORD_AND_STOP = re.compile(r"[^\W\d_]{3}\.$")
_PAIRS = (("“", "”"), ("(", ")"), ("[", "]"))


def _is_sentence_end(text: str, match: re.Match[str]) -> bool:
    stop = match.start() + 1
    if not match.group().startswith(".") or _ABBREVIATION.search(text, 0, stop):
        return not match.group().startswith(".")
    return not (_NUMBERED.search(text, 0, stop) and _NUMBER.match(text, match.end()))


def _ends_here(text: str) -> bool:
    """Whether the full stop that `text` ends with is one, with nothing after it to tell.

    It follows a whole word, so "3." may become "3.5", "U." "U.S." and "Dr." a name; and no quote or bracket is
    open that it might close.
    """
    if not _WORD_AND_STOP.search(text) or _ABBREVIATION.search(text) or _NUMBERED.search(text):
        return False
    return text.count('"') % 2 == 0 and all(text.count(left) == text.count(right) for left, right in _PAIRS)


def cut(text: str, *, clause: bool) -> int:
    """Where the first speakable piece of `text` ends; 0 if it is not complete yet.

    `clause` is for those that are waited for: it also accepts a comma, colon or dash after a word, so that
    "Sure," can be spoken while the rest is being thought of, and a full stop without what follows it.
    """
    start = len(text) - len(text.lstrip())
    ends = [match.end() for match in _SENTENCE.finditer(text, start) if _is_sentence_end(text, match)][:1]
    if clause:
        ends += [match.end() for match in _CLAUSE.finditer(text, start)][:1]
        ends += [len(text)] if _ends_here(text) else []
    if ends:
        return min(ends)
    if len(text) > MAX_CHARS:
        return max(text.rfind(" ", 0, MAX_CHARS), 0) or MAX_CHARS
    return 0


async def sentences(
    words: AsyncIterator[str], first: Literal["clause", "sentence"] = "clause"
) -> AsyncGenerator[Segment, None]:
    """Segments as soon as each is complete. Joined, their texts are the words, white space included."""
    held = ""
    count = given = 0
    async for word in words:
        held += word
        while end := cut(held, clause=first == "clause" and given < CLAUSES_FOR):
            yield Segment(count, held[:end])
            given += letters(held[:end].strip())
            held, count = held[end:], count + 1
    if held.strip():
        yield Segment(count, held)
