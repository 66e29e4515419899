"""Static word embeddings: which words are related, at 0.02 ms a text.

The weights are those inside the `wordllama` wheel (MIT, 256 dimensions). Its own `load()` asks a model
hub, so the two files are read directly. Alone these are too weak to find answers: they know words, not
sentences.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from agents.knowledge.embeddings import Vector, unit
from agents.packages import packaged

DIMENSIONS = 256
_LOADING = threading.Lock()


class WordVectors:
    """Turns words or short texts into vectors. Immutable once made, so any number of threads may share it."""

    def __init__(self, tokens: Vector, tokenizer: Tokenizer) -> None:
        self._tokens = tokens
        self._tokenizer = tokenizer

    def embed(self, texts: Sequence[str]) -> Vector:
        """Unit vectors, shape (n, 256): the mean of the token vectors; an empty text gives zeros."""
        out = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, encoded in enumerate(self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)):
            if encoded.ids:
                out[row] = self._tokens[encoded.ids].mean(axis=0)
        return unit(out)


def word_vectors() -> WordVectors:
    """The process's one table, loaded at the first call (about 0.1 s, 33 MB)."""
    with _LOADING:
        return _load()


@cache
def _load() -> WordVectors:
    weights = load_file(packaged("wordllama", "weights/l2_supercat_256.safetensors"))["embedding.weight"]
    vocabulary = packaged("wordllama", "tokenizers/l2_supercat_tokenizer_config.json")
    tokenizer = Tokenizer.from_file(str(vocabulary))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return WordVectors(np.ascontiguousarray(weights.astype(np.float32)), tokenizer)
