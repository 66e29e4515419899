"""Spoken arithmetic: "what is twelve times seven" becomes "12*7"."""

from __future__ import annotations

import re
from decimal import Decimal

_SMALL = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2
    )
}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_NUMBER_WORDS = {*_SMALL, *_TENS, *_SCALES, "hundred", "and", "a", "point"}

# Longest first. Each is tried as a run of whole words.
_OPERATORS = (
    ("to the power of", "**"),
    ("the square root of", "sqrt"),
    ("square root of", "sqrt"),
    ("multiplied by", "*"),
    ("divided by", "/"),
    ("percent of", "/100*"),
    ("% of", "/100*"),
    ("a quarter of", "0.25*"),
    ("half of", "0.5*"),
    ("take away", "-"),
    ("squared", "**2"),
    ("cubed", "**3"),
    ("times", "*"),
    ("plus", "+"),
    ("minus", "-"),
    ("over", "/"),
    ("modulo", "%"),
    ("\u00d7", "*"),
    ("\u00f7", "/"),
    ("\u2212", "-"),
    ("x", "*"),
    ("*", "*"),
    ("+", "+"),
    ("-", "-"),
    ("/", "/"),
)
_LEAD = re.compile(
    r"^(?:(?:and|okay|ok|so|please|hey|hi|hello|um|uh|now|then|can you|could you|tell me|do you know|give me|"
    r"what's|whats|what is|what are|what does|how much is|how much are|how much|calculate|compute|work out|add up|"
    r"the result of)[, ]+)+"
)
_TRAIL = re.compile(r"[\s?.!,]*(?:\b(?:equal|equals|make|makes|please|be)\b[\s?.!,]*)*$|\s*=\s*$")
_TOKEN = re.compile(r"\d[\d,]*(?:\.\d+)?|[a-z]+|[%*+/\u00d7\u00f7\u2212-]")


def spoken_sum(text: str) -> str | None:
    """The expression that an utterance asks for; None if it is anything but a sum."""
    lower = text.lower().strip()
    asked = _TRAIL.sub("", _LEAD.sub("", lower))
    tokens = _TOKEN.findall(asked)
    if _TOKEN.sub("", asked).strip(" ,?.!"):
        return None
    out: list[str] = []
    at = operators = 0
    while at < len(tokens):
        operator, used = _operator(tokens, at)
        if used:
            operators += 1
        else:
            operator, used = _number(tokens, at)
            if not used:
                return None
        out.append(operator)
        at += used
    expression = _bracket_roots(out)
    return expression if operators and expression[-1] in "0123456789)" else None


def _operator(tokens: list[str], at: int) -> tuple[str, int]:
    for spoken, written in _OPERATORS:
        run = spoken.split()
        if tokens[at : at + len(run)] == run:
            return written, len(run)
    return "", 0


def _number(tokens: list[str], at: int) -> tuple[str, int]:
    """A number in digits or words, as digits, and how many tokens it took."""
    if tokens[at][0].isdigit():
        value = Decimal(tokens[at].replace(",", ""))
        used = 1
        while at + used < len(tokens) and tokens[at + used] in _SCALES:
            value *= _SCALES[tokens[at + used]]
            used += 1
        return f"{value:f}", used
    run = 0
    while at + run < len(tokens) and tokens[at + run] in _NUMBER_WORDS:
        run += 1
    words = tokens[at : at + run]
    if not any(word in _SMALL or word in _TENS or word in _SCALES or word == "hundred" for word in words):
        return "", 0
    whole, _, fraction = " ".join(words).partition("point")
    digits = "".join(str(_SMALL[word]) for word in fraction.split() if word in _SMALL)
    return f"{_whole(whole.split())}{f'.{digits}' if digits else ''}", run


def _whole(words: list[str]) -> int:
    total = group = 0
    for word in words:
        if word in _SCALES:
            total, group = total + max(group, 1) * _SCALES[word], 0
        elif word == "hundred":
            group = max(group, 1) * 100
        else:
            group += _SMALL.get(word, 0) + _TENS.get(word, 0)
    return total + group


def _bracket_roots(parts: list[str]) -> str:
    """A root reaches over the number that follows it."""
    out: list[str] = []
    for part in parts:
        out.append(f"({part})" if out and out[-1].endswith("sqrt") and part[0].isdigit() else part)
    return "".join(out)
