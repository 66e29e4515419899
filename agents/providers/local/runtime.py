"""What all local models share: finding their files in packages, ONNX sessions, and telling failures apart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from agents.errors import ProviderError

T = TypeVar("T")

RATE = 16_000
"""The rate all listening models work at, in Hz."""

_RUNTIME_ERRORS = (
    RuntimeError,
    MemoryError,
    onnx_errors.Fail,
    onnx_errors.InvalidArgument,
    onnx_errors.RuntimeException,
)


class Lazy(Generic[T]):
    """A value made at its first use, once, whichever threads ask for it. A failure is not remembered."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []

    @property
    def ready(self) -> bool:
        return bool(self._made)

    def get(self) -> T:
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]


def onnx_session(path: Path, *, threads: int) -> onnxruntime.InferenceSession:
    """A session on `threads` cores whose threads sleep between runs instead of spinning."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with model_errors(path.stem):
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@contextmanager
def model_errors(provider: str) -> Iterator[None]:
    """Turns what a model's runtime raises into a ProviderError that names its class; its words are for logs."""
    try:
        yield
    except _RUNTIME_ERRORS as error:
        raise ProviderError(f"The {provider} model failed ({type(error).__name__}).", provider=provider) from error
