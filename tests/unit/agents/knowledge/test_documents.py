"""The shipped documents are made to be spoken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import agents.knowledge
from agents.knowledge.chunking import chunk
from agents.knowledge.text import sentences

DOCUMENTS = sorted((Path(agents.knowledge.__file__).parent / "documents").glob("*.md"))
LEANING = re.compile(r"(It|They|This|These|That|Those|Then|But|And|Also)\b")


def test_there_are_documents() -> None:
    assert len(DOCUMENTS) >= 12


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_passage_can_be_read_aloud(path: Path) -> None:
    for piece in chunk(path.read_text(encoding="utf-8")):
        assert piece.section
        assert not re.search(r"[`*_#|<>{}\\]|https?:|\d{4,}", piece.text), piece.text
        assert len(piece.text.split()) <= 50
        assert all(len(sentence.split()) <= 25 for sentence in sentences(piece.text)), piece.text


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_section_begins_with_a_sentence_that_stands_alone(path: Path) -> None:
    opened: set[str] = set()
    for piece in chunk(path.read_text(encoding="utf-8")):
        if piece.section not in opened:
            assert not LEANING.match(piece.text), piece.text
        opened.add(piece.section)
