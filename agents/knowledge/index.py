"""Search over chunks, in memory: what they mean by sentence embeddings, and the words they share.

Meaning does most of the work; shared words, weighted by their rarity, catch names and jargon that the
embedding does not know. Questions that the documents say they do not answer lower
the scores of those like them. `benchmarks/guide_answers.py` measures the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

from agents.errors import ConfigurationError
from agents.interfaces import Passage
from agents.knowledge.chunking import ChunkData
from agents.knowledge.embeddings import DIMENSIONS, Embedder, Vector, embedder
from agents.knowledge.lexicon import Lexicon
from agents.knowledge.names import Names
from agents.knowledge.word_vectors import WordVectors, word_vectors


@dataclass(frozen=True, slots=True)
class _Weights:
    """What each likeness adds to a score; found on the questions in the shipped documents, each left out in turn.

    `nearest` is the cosine with the passage or, if nearer, a question it answers; `passage` that with the
    passage itself. The others are the share of the question's words in the headings and in the text.
    """

    nearest: float = 0.8
    passage: float = 0.4
    heading_overlap: float = 0.1
    overlap: float = 0.3


_DECOY_WEIGHT = 0.3
_DECOY_LEAST = 0.2
_DECOY_USUAL = 0.37
"""A question whose cosine with the nearest decoy is this keeps its scores, so one threshold serves with and without."""

_WEIGHTS = _Weights()
_TOTAL = sum(astuple(_WEIGHTS))


class VectorIndex:
    """A Retriever over chunks. Immutable once made; shared by every session of an agent.

    A passage's score lies between about -1 and 1 and is comparable between questions: below about 0.4 the
    passage has little to do with the question.
    """

    def __init__(self, chunks: Sequence[ChunkData], model: Embedder, words: WordVectors) -> None:
        self._model = model
        self._decoys = _matrix([chunk for chunk in chunks if not chunk.text])
        chunks = [chunk for chunk in chunks if chunk.text]
        self._passages, self._of = _passages(chunks)
        self._vectors = _matrix(chunks)
        self._own = np.unique(self._of, return_index=True)[1]
        self._body = Lexicon([f"{c.title}. {c.section}. {c.text}" for c in self._passages], words)
        self._headings = Lexicon([chunk.section for chunk in chunks], words)
        self._names = Names(chunk.text for chunk in self._passages)
        self._known = self._body.known | self._headings.known

    @classmethod
    def from_chunks(cls, chunks: Iterable[ChunkData]) -> VectorIndex:
        """An index over `chunks`, in reading order. Takes about 0.1 ms a chunk: build it off the event loop."""
        return cls(tuple(chunks), embedder(), word_vectors())

    @property
    def titles(self) -> tuple[str, ...]:
        """The documents' titles, each once, in order."""
        return tuple(dict.fromkeys(chunk.title for chunk in self._passages))

    async def search(self, text: str, k: int) -> list[Passage]:
        """The `k` passages that fit `text` best, best first. The work, some 5 ms, is done in a thread."""
        return await asyncio.to_thread(self.find, text, k)

    def find(self, text: str, k: int) -> list[Passage]:
        """As `search`, on the calling thread."""
        if not self._passages:
            return []
        scores = self._scores(self._names.correct(text, self._known))
        best = np.argsort(-scores, kind="stable")[:k]
        return [_passage(self._passages[row], float(scores[row])) for row in best]

    def _scores(self, text: str) -> Vector:
        query = self._body.query(text)
        meaning = self._model.embed([text])[0]
        cosines: Vector = np.einsum("pd,d->p", self._vectors, meaning)
        scores = (
            _WEIGHTS.nearest * self._best(cosines)
            + _WEIGHTS.passage * cosines[self._own]
            + _WEIGHTS.heading_overlap * self._best(self._headings.overlap(query))
            + _WEIGHTS.overlap * self._body.overlap(query)
        )
        return np.asarray(scores / _TOTAL - self._penalty(meaning), dtype=np.float32)

    def _penalty(self, meaning: Vector) -> float:
        """How much all scores are lowered; it is below zero, by 0.05 at most, for a question unlike any decoy."""
        if not len(self._decoys):
            return 0.0
        nearest = np.einsum("nd,d->n", self._decoys, meaning).max(initial=_DECOY_LEAST)
        return _DECOY_WEIGHT * float(nearest - _DECOY_USUAL)

    def _best(self, by_chunk: Vector) -> Vector:
        """The highest value among the chunks of each passage."""
        best = np.full(len(self._passages), -1, dtype=np.float32)
        np.maximum.at(best, self._of, by_chunk)
        return best


def _matrix(chunks: Sequence[ChunkData]) -> Vector:
    for chunk in chunks:
        if len(chunk.vector) != DIMENSIONS * 4:
            raise ConfigurationError(f"The document {chunk.title!r} was embedded by another model: save it again.")
    return np.frombuffer(b"".join(c.vector for c in chunks), dtype="<f4").reshape(len(chunks), DIMENSIONS)


def _passages(chunks: Sequence[ChunkData]) -> tuple[list[ChunkData], npt.NDArray[np.intp]]:
    """The distinct passages, each as it came first, and for every chunk the row of its passage."""
    rows: dict[tuple[str, str], int] = {}
    of = [rows.setdefault((chunk.title, chunk.text), len(rows)) for chunk in chunks]
    first = dict(zip(reversed(of), reversed(chunks), strict=True))
    return [first[row] for row in range(len(rows))], np.array(of, dtype=np.intp)


def _passage(chunk: ChunkData, score: float) -> Passage:
    return Passage(text=chunk.text, title=chunk.title, score=score, url=chunk.url, section=chunk.section)
