"""From a stream of words to pieces worth speaking: the first clause at once, then whole sentences."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Literal

from agents.interfaces import Segment

MAX_CHARS = 240
"""A run without punctuation is cut at a space here: about 15 s of speech."""

_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|approx|Inc|Ltd|No|Fig)|\b[A-Z](?:\.[A-Z])*)\.$", re.IGNORECASE
)
_SENTENCE = re.compile(r"""[.!?…]+["'”’)\]]*(?=\s)|[!?…]+["'”’)\]]*$|\n+""")
_CLAUSE = re.compile(r"""(?<=[^\W\d])[,;:](?=\s|$)|\s[–—-](?=\s)|—""")


def _is_sentence_end(text: str, match: re.Match[str]) -> bool:
    return not (match.group().startswith(".") and _ABBREVIATION.search(text, 0, match.start() + 1))


def cut(text: str, *, clause: bool) -> int:
    """Where the first speakable piece of `text` ends; 0 if it is not complete yet.

    `clause` also accepts a comma, colon or dash after a word, so that "Sure," can be spoken while the
    rest is being thought of.
    """
    ends = [match.end() for match in _SENTENCE.finditer(text) if _is_sentence_end(text, match)][:1]
    if clause:
        ends += [match.end() for match in _CLAUSE.finditer(text)][:1]
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
    count = 0
    async for word in words:
        held += word
        while end := cut(held, clause=first == "clause" and count == 0):
            if not held[:end].strip():
                break
            yield Segment(count, held[:end])
            held, count = held[end:], count + 1
    if held.strip():
        yield Segment(count, held)
