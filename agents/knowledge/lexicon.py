"""The words of a set of texts, and how well they match those of a question."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.knowledge.embeddings import Vector
from agents.knowledge.text import content_words, stem
from agents.knowledge.word_vectors import WordVectors

_RELATED = 0.4
"""Words whose cosine is below this count as unrelated."""


@dataclass(frozen=True, slots=True)
class Query:
    """The content words of a question, how rare each is in the texts, and their vectors."""

    words: list[str]
    weights: Vector
    vectors: Vector


class Lexicon:
    """The distinct words of some texts with their vectors, and which text holds which."""

    def __init__(self, texts: Sequence[str], model: WordVectors) -> None:
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
        self._words = np.array([row[word] for words in held for word in words], dtype=np.intp)
        self._filled = np.array([bool(words) for words in held], dtype=np.bool_)
        self._starts = np.cumsum([0, *(len(words) for words in held if words)], dtype=np.intp)[:-1]
        self.known = frozenset(vocabulary)

    def rarity(self, root: str) -> float:
        """The inverse document frequency, as BM25 has it."""
        holding = self._in[root]
        return math.log(1 + (self._texts - holding + 0.5) / (holding + 0.5))

    def query(self, text: str) -> Query:
        found = list(dict.fromkeys(content_words(text)))
        weights = np.array([self.rarity(stem(word)) for word in found], dtype=np.float32)
        return Query(found, weights, self._model.embed(found))

    def overlap(self, query: Query) -> Vector:
        """How much of the question each text covers, 0 to 1: rare words weigh more, related words count in part."""
        out = np.zeros(self._texts, dtype=np.float32)
        if query.words and self._starts.size:
            best = np.maximum.reduceat(self._similar(query)[:, self._words], self._starts, axis=1)
            out[self._filled] = np.einsum("q,qt->t", query.weights, best) / query.weights.sum()
        return out

    def _similar(self, query: Query) -> Vector:
        """Likeness of each question word to each word held, shape (question, vocabulary)."""
        cosines: Vector = np.einsum("qd,vd->qv", query.vectors, self._vectors)  # BLAS threads would spin on after it
        cosines[cosines < _RELATED] = 0
        for at, word in enumerate(query.words):
            cosines[at, self._rows.get(stem(word), [])] = 1
        return cosines
