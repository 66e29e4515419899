"""Word error rate, on words as they are spoken: "10" is "ten", "Mr." is "mister"."""

from __future__ import annotations

import re

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SPELLED = {"mr": "mister", "mrs": "missus", "dr": "doctor"}
_WORD = re.compile(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)*")


def words(text: str) -> list[str]:
    found = _WORD.findall(text.lower().replace("’", "'"))
    return [spoken for word in found for spoken in _number(word).split()]


def _number(word: str) -> str:
    if not word.isdigit() or int(word) > 99:
        return _SPELLED.get(word, word)
    if int(word) < 20:
        return _ONES.split()[int(word)]
    tens, ones = divmod(int(word), 10)
    return f"{_TENS.split()[tens - 2]} {_ONES.split()[ones] if ones else ''}"


def errors(reference: list[str], heard: list[str]) -> int:
    """Words to change, drop or add to make `heard` the `reference`."""
    row = list(range(len(heard) + 1))
    for i, expected in enumerate(reference, start=1):
        previous, row[0] = row[0], i
        for j, word in enumerate(heard, start=1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (expected != word))
    return row[-1]
