"""Text as it should be read aloud, where hibari's own normalisation does not know better.

hibari reads numbers, money, units, dates, titles and acronyms well. It stumbles over addresses, Latin
abbreviations and mark-up, and makes up a syllable when nothing is there to say.
"""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\ufeff]")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+", re.MULTILINE)
_EMAIL = re.compile(r"\b([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)\b")
_URL = re.compile(r"\b(?:https?://|www\.)[^\s<>\"']*[^\s<>\"'.,;:!?)\]]")
_DOMAIN = re.compile(r"\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|edu|gov|io|dev|ai|app)\b", re.IGNORECASE)
_UNDERSCORE = re.compile(r"(?<=\w)_(?=\w)")
_LATIN = (
    (re.compile(r"\be\.g\.,?", re.IGNORECASE), "for example,"),
    (re.compile(r"\bi\.e\.,?", re.IGNORECASE), "that is,"),
)
_SAYABLE = re.compile(r"[^\W_]")


def speakable(text: str) -> str:
    """`text` ready for the voice; "" if there is nothing to say in it."""
    text = _LINK.sub(r"\1", _CONTROL.sub(" ", text))
    text = _HEADING.sub("", text)
    text = _EMAIL.sub(lambda match: f"{_dots(match[1])} at {_dots(match[2])}", text)
    text = _URL.sub(lambda match: _address(match[0]), text)
    text = _DOMAIN.sub(lambda match: _dots(match[0]), text)
    for pattern, words in _LATIN:
        text = pattern.sub(words, text)
    text = _UNDERSCORE.sub(" ", text)
    return text if _SAYABLE.search(text) else ""


def _address(url: str) -> str:
    """Host and path; nobody wants to hear a query string."""
    plain = re.split(r"[?#]", re.sub(r"^(?:https?://)?(?:www\.)?", "", url), maxsplit=1)[0]
    host, *path = plain.strip("/").split("/")
    return " slash ".join([_dots(host), *path])


def _dots(name: str) -> str:
    return name.replace(".", " dot ")
