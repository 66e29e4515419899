"""Markdown in, short passages out, each of which makes sense when it is read aloud alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agents.knowledge.text import sentences, speakable

MIN_WORDS = 8
MAX_WORDS = 90

_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
_FENCE = re.compile(r"^\s*(```|~~~)")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+(.*)$")
_ASKED = re.compile(r"<!--\s*asked:\s*(.*?)\s*-->", re.IGNORECASE)
_NOT = re.compile(r"<!--\s*not:\s*(.*?)\s*-->", re.IGNORECASE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_RULE = re.compile(r"^[\s|:*_-]*$")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage and the headings it stands under, joined by commas; "" before the first heading.

    `asked` are questions it answers, from the comments before it.
    """

    text: str
    section: str
    asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChunkData:
    """A chunk as it is stored. `vector` is 384 little-endian float32, from `agents.knowledge.embeddings`.

    The same text may be there several times under one title: first under its own section, then with
    questions it answers in place of the section, which are only other ways to find it.

    A chunk without text is a decoy: its section is a question that sounds alike and is not answered here.
    """

    text: str
    section: str
    title: str
    url: str
    vector: bytes


def chunk(markdown: str) -> list[Chunk]:
    """Passages of 8 to 90 words, never across a heading.

    A paragraph is a passage. One that is too short to stand alone, or that ends in a colon, is joined with
    the next, and a list with what stands before it; one that is too long is cut between sentences. Fenced
    code is left out: nobody can listen to it. A comment `<!-- asked: How …? -->` says that the paragraph
    after it answers that question.
    """
    return [
        Chunk(piece, section, passage.asked)
        for section, paragraphs in _sections(markdown)
        for passage in _joined(paragraphs)
        for piece in _cut(passage.text)
    ]


def decoys(markdown: str) -> list[str]:
    """The questions that a document says it does not answer: `<!-- not: How …?; Who …? -->`, anywhere outside code."""
    listed = _NOT.findall("\n".join(_uncoded(markdown)))
    questions = (" ".join(question.split()) for questions in listed for question in questions.split(";"))
    return list(dict.fromkeys(filter(None, questions)))


@dataclass(slots=True)
class _Paragraph:
    text: str = ""
    asked: tuple[str, ...] = ()
    is_item: bool = False

    @property
    def stands_alone(self) -> bool:
        return len(self.text.split()) >= MIN_WORDS and not self.text.endswith(":")


def _sections(markdown: str) -> Iterator[tuple[str, list[_Paragraph]]]:
    """(headings, paragraphs) of each stretch between headings. The first heading of level 1 is the title's."""
    headings: list[tuple[int, str]] = []
    paragraphs: list[_Paragraph] = []
    lines: list[str] = []
    asked: list[str] = []
    for line in [*_without_code(markdown), "# "]:
        heading = _HEADING.match(line)
        if (heading or not line.strip() or _ITEM.match(line)) and lines:
            paragraphs.append(_Paragraph(_paragraph(lines), tuple(asked), bool(_ITEM.match(lines[0]))))
            lines, asked = [], []
        if heading:
            yield ", ".join(text for level, text in headings if level > 1), paragraphs
            level = len(heading[1])
            headings = [*((at, text) for at, text in headings if at < level), (level, speakable(heading[2]))]
            paragraphs, asked = [], []
        elif question := _ASKED.match(line):
            asked.append(question[1])
        elif not _RULE.match(line):
            lines.append(line)


def _without_code(markdown: str) -> Iterator[str]:
    """The lines that are read; other comments than questions go the way of code."""
    return _uncoded(_COMMENT.sub(lambda comment: comment[0] if _ASKED.fullmatch(comment[0]) else "", markdown))


def _uncoded(markdown: str) -> Iterator[str]:
    fence = ""
    for line in markdown.splitlines():
        if mark := _FENCE.match(line):
            fence = "" if fence == mark[1] else fence or mark[1]
            yield ""
        elif not fence:
            yield line


def _paragraph(lines: list[str]) -> str:
    """The lines as one; a list item or a table row becomes a sentence of its own."""
    item = _ITEM.match(lines[0])
    if not item and not lines[0].lstrip().startswith("|"):
        return speakable(" ".join(lines))
    rows = [" ".join([item[1], *lines[1:]])] if item else [", ".join(_cells(line)) for line in lines]
    return " ".join(text if text.endswith((".", "!", "?")) else f"{text}." for text in map(speakable, rows))


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def _joined(paragraphs: list[_Paragraph]) -> Iterator[_Paragraph]:
    held = _Paragraph()
    for paragraph in paragraphs:
        if held.stands_alone and not paragraph.is_item:
            yield held
            held = _Paragraph()
        held = _Paragraph(f"{held.text} {paragraph.text}".strip(), held.asked + paragraph.asked)
    if held.text:
        yield held


def _cut(passage: str) -> Iterator[str]:
    held: list[str] = []
    for sentence in sentences(passage):
        if held and sum(len(part.split()) for part in [*held, sentence]) > MAX_WORDS:
            yield " ".join(held)
            held = []
        held.append(sentence)
    if held:
        yield " ".join(held)
