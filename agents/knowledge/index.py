"""Search over chunks, in memory: meaning by static embeddings, and words by a weighted overlap.

Static embeddings alone are weak on short questions, and matching words alone misses paraphrases, so a
passage's score is a weighted mean of both. `benchmarks/guide_answers.py` measures the whole.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agents.errors import ConfigurationError
from agents.interfaces import Passage
from agents.knowledge.chunking import ChunkData
from agents.knowledge.embeddings import DIMENSIONS, Embedder, Vector, embedder
from agents.knowledge.names import Names
from agents.knowledge.text import content_words, stem

INLINE_CHUNKS = 1_000
"""Up to this many chunks a search takes under 1 ms and runs on the event loop; beyond, in a thread."""

_LENGTH_ALLOWANCE = 0.16
"""Added to a score for each e-fold of content words: nothing covers all the words of a chatty question."""

_RELATED = 0.4
"""Words whose cosine is below this count as unrelated."""


@dataclass(frozen=True, slots=True)
class _Weights:
    """What each likeness adds to a score; found by hand on the tuning questions of the tests."""

    whole: float = 0.5
    keywords: float = 0.4
    heading_meaning: float = 0.7
    heading_likeness: float = 0.5
    heading_overlap: float = 0.6
    text: float = 0.3
    overlap: float = 0.6
    opens: float = 0.2

    @property
    def total(self) -> float:
        """What a perfect likeness in everything adds up to."""
        by_heading = self.heading_meaning + self.heading_likeness + self.heading_overlap
        return self.whole + self.keywords + by_heading + self.text + self.overlap + self.opens


_WEIGHTS = _Weights()


class VectorIndex:
    """A Retriever over chunks. Immutable once made; shared by every session of an agent.

    A passage's score lies between 0 and 1 and is comparable between questions: below about 0.6 the passage
    has little to do with the question.
    """

    def __init__(self, chunks: Sequence[ChunkData], model: Embedder) -> None:
        self._model = model
        self._passages, self._of = _passages(chunks)
        self._whole = _matrix(chunks)
        self._text = model.embed([chunk.text for chunk in self._passages])
        self._heading = model.embed([chunk.section for chunk in chunks])
        self._opens = _opening(self._passages)
        self._body = _Lexicon([f"{c.title}. {c.section}. {c.text}" for c in self._passages], model)
        self._headings = _Lexicon([chunk.section for chunk in chunks], model)
        self._names = Names(chunk.text for chunk in self._passages)

    @classmethod
    def from_chunks(cls, chunks: Iterable[ChunkData]) -> VectorIndex:
        """An index over `chunks`, in reading order. Takes about 0.2 ms a chunk: build it off the event loop."""
        return cls(tuple(chunks), embedder())

    @property
    def titles(self) -> tuple[str, ...]:
        """The documents' titles, each once, in order."""
        return tuple(dict.fromkeys(chunk.title for chunk in self._passages))

    async def search(self, text: str, k: int) -> list[Passage]:
        """The `k` passages that fit `text` best, best first."""
        if len(self._of) <= INLINE_CHUNKS:
            return self.find(text, k)
        return await asyncio.to_thread(self.find, text, k)

    def find(self, text: str, k: int) -> list[Passage]:
        """As `search`, on the calling thread."""
        if not self._passages:
            return []
        scores = self._scores(self._names.correct(text, self._body.known | self._headings.known))
        best = np.argsort(-scores, kind="stable")[:k]
        return [_passage(self._passages[row], float(scores[row])) for row in best]

    def _scores(self, text: str) -> Vector:
        weights = _WEIGHTS
        query = self._body.query(text)
        vectors = self._model.embed([text, " ".join(query.words)])
        found = (
            weights.whole * np.maximum(self._whole @ vectors[0], 0)
            + weights.keywords * np.maximum(self._whole @ vectors[1], 0)
            + weights.heading_meaning * np.maximum(self._heading @ vectors[0], 0)
            + weights.heading_likeness * self._headings.likeness(query)
            + weights.heading_overlap * self._headings.overlap(query)
        )
        best = np.zeros(len(self._passages), dtype=np.float32)
        np.maximum.at(best, self._of, found)
        best += weights.text * np.maximum(self._text @ vectors[0], 0)
        best += weights.overlap * self._body.overlap(query)
        best += weights.opens * self._opens
        allowance = _LENGTH_ALLOWANCE * math.log(max(1, len(query.words)))
        return np.asarray(np.minimum(best / weights.total + allowance, 1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _Query:
    """The content words of a question, how rare each is in the documents, and their vectors."""

    words: list[str]
    weights: Vector
    vectors: Vector


class _Lexicon:
    """The distinct words of some texts with their vectors, and which text holds which."""

    def __init__(self, texts: Sequence[str], model: Embedder) -> None:
        held = [sorted(set(content_words(text))) for text in texts]
        vocabulary = sorted({word for words in held for word in words})
        row = {word: at for at, word in enumerate(vocabulary)}
        self._model = model
        self._texts = len(texts)
        self._in = Counter(root for words in held for root in {stem(word) for word in words})
        self._rows: dict[str, list[int]] = {}
        for word in vocabulary:
            self._rows.setdefault(stem(word), []).append(row[word])
        self._vectors = model.embed(vocabulary)
        self._rarities = np.array([self.rarity(stem(word)) for word in vocabulary], dtype=np.float32)
        self._words = np.array([row[word] for words in held for word in words], dtype=np.intp)
        self._filled = np.array([bool(words) for words in held], dtype=np.bool_)
        self._starts = np.cumsum([0, *(len(words) for words in held if words)], dtype=np.intp)[:-1]
        self.known = frozenset(vocabulary)

    def rarity(self, root: str) -> float:
        """The inverse document frequency, as BM25 has it."""
        holding = self._in[root]
        return math.log(1 + (self._texts - holding + 0.5) / (holding + 0.5))

    def query(self, text: str) -> _Query:
        found = list(dict.fromkeys(content_words(text)))
        weights = np.array([self.rarity(stem(word)) for word in found], dtype=np.float32)
        return _Query(found, weights, self._model.embed(found))

    def overlap(self, query: _Query) -> Vector:
        """How much of the question each text covers, 0 to 1: rare words weigh more, related words count in part."""
        out = np.zeros(self._texts, dtype=np.float32)
        if query.words and self._starts.size:
            best = np.maximum.reduceat(self._similar(query)[:, self._words], self._starts, axis=1)
            out[self._filled] = query.weights @ best / query.weights.sum()
        return out

    def likeness(self, query: _Query) -> Vector:
        """The harmonic mean of how much each text covers the question, and the question the text."""
        out = np.zeros(self._texts, dtype=np.float32)
        if not query.words or not self._starts.size:
            return out
        similar = self._similar(query)[:, self._words]
        rarities = self._rarities[self._words]
        covered = query.weights @ np.maximum.reduceat(similar, self._starts, axis=1) / query.weights.sum()
        needed = np.add.reduceat(similar.max(axis=0) * rarities, self._starts)
        needed /= np.add.reduceat(rarities, self._starts)
        out[self._filled] = 2 * covered * needed / np.maximum(covered + needed, 1e-6)
        return out

    def _similar(self, query: _Query) -> Vector:
        """Likeness of each question word to each word held, shape (question, vocabulary)."""
        cosines = query.vectors @ self._vectors.T
        cosines[cosines < _RELATED] = 0
        for at, word in enumerate(query.words):
            cosines[at, self._rows.get(stem(word), [])] = 1
        return cosines


def _matrix(chunks: Sequence[ChunkData]) -> Vector:
    for chunk in chunks:
        if len(chunk.vector) != DIMENSIONS * 4:
            raise ConfigurationError(f"The document {chunk.title!r} was embedded by another model: ingest it again.")
    return np.frombuffer(b"".join(c.vector for c in chunks), dtype="<f4").reshape(len(chunks), DIMENSIONS)


def _opening(chunks: Sequence[ChunkData]) -> npt.NDArray[np.bool_]:
    """Which chunks are the first of their section."""
    places = [(chunk.title, chunk.section) for chunk in chunks]
    return np.array([place != before for place, before in zip(places, [None, *places], strict=False)], dtype=np.bool_)


def _passages(chunks: Sequence[ChunkData]) -> tuple[list[ChunkData], npt.NDArray[np.intp]]:
    """The distinct passages, each as it came first, and for every chunk the row of its passage."""
    rows: dict[tuple[str, str], int] = {}
    of = [rows.setdefault((chunk.title, chunk.text), len(rows)) for chunk in chunks]
    first = dict(zip(reversed(of), reversed(chunks), strict=True))
    return [first[row] for row in range(len(rows))], np.array(of, dtype=np.intp)


def _passage(chunk: ChunkData, score: float) -> Passage:
    return Passage(text=chunk.text, title=chunk.title, score=score, url=chunk.url, section=chunk.section)
