"""Static word embeddings: 256 numbers for a text in about 0.1 ms, no network, no GPU.

The weights are those inside the installed `wordllama` wheel. Its own `load()` asks a model hub, so the two
files are read directly. A text's vector is the mean of its tokens' vectors.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import cast

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load
from tokenizers import Tokenizer

from agents.errors import ConfigurationError

Vector = npt.NDArray[np.float32]

DIMENSIONS = 256
_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_LOADING = threading.Lock()


class Embedder:
    """Turns texts into vectors. Immutable once made, so any number of threads may share it."""

    def __init__(self, tokens: Vector, tokenizer: Tokenizer) -> None:
        self._tokens = tokens
        self._tokenizer = tokenizer

    def mean(self, texts: Sequence[str]) -> Vector:
        """The mean token vector of each text, shape (n, 256). Its length says how telling the words are."""
        out = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, encoded in enumerate(self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)):
            if encoded.ids:
                out[row] = self._tokens[encoded.ids].mean(axis=0)
        return out

    def embed(self, texts: Sequence[str]) -> Vector:
        """Unit vectors, shape (n, 256); an empty text gives zeros."""
        return unit(self.mean(texts))


def unit(vectors: Vector) -> Vector:
    """The rows scaled to length 1; rows of zeros stay zeros."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return cast("Vector", vectors / np.where(norms == 0, 1, norms))


def embedder() -> Embedder:
    """The process's one embedder, loaded at the first call (about 0.1 s, 33 MB)."""
    with _LOADING:
        return _load()


@cache
def _load() -> Embedder:
    try:
        package = files("wordllama")
    except ModuleNotFoundError as error:
        raise ConfigurationError("The package wordllama is missing: install requirements-models.txt.") from error
    weights = load(package.joinpath(_WEIGHTS).read_bytes())["embedding.weight"].astype(np.float32)
    tokenizer = Tokenizer.from_str(package.joinpath(_TOKENIZER).read_text(encoding="utf-8"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return Embedder(np.ascontiguousarray(weights), tokenizer)
