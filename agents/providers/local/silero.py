"""Speech detection with Silero VAD v6, 32 ms at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnxruntime

from agents.audio import Audio
from agents.packages import packaged
from agents.providers.local.runtime import RATE, Lazy, model_errors, onnx_session

WINDOW = 512
"""Samples that each probability is about: 32 ms."""

CONTEXT = 64
"""Samples before the window that the model sees too."""

MAX_BATCH = 1_024
"""Windows in one run of the model: 33 s of audio, 2.4 MB."""


def load() -> onnxruntime.InferenceSession:
    return onnx_session(packaged("faster_whisper", "assets", "silero_vad_v6.onnx"), threads=1)


class SileroVAD:
    def __init__(self, session: Lazy[onnxruntime.InferenceSession]) -> None:
        self._session = session

    def open(self) -> SileroStream:
        return SileroStream(self._session)


class SileroStream:
    """One stream's state: the LSTM's, and the samples that do not fill a window yet."""

    def __init__(self, session: Lazy[onnxruntime.InferenceSession]) -> None:
        self._session = session
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)
        self._unread = np.zeros(CONTEXT, np.float32)
        self._end = 0

    def push(self, audio: Audio) -> list[tuple[int, float]]:
        """(end_sample, probability) of each whole window now complete; many windows cost one run."""
        if audio.rate != RATE:
            raise ValueError(f"Silero needs {RATE} Hz, got {audio.rate}")
        samples = np.concatenate((self._unread, audio.float32()))
        count = (len(samples) - CONTEXT) // WINDOW
        self._unread = samples[count * WINDOW :].copy()
        found: list[tuple[int, float]] = []
        for first in range(0, count, MAX_BATCH):
            last = min(count, first + MAX_BATCH)
            for probability in self._run(samples[first * WINDOW : last * WINDOW + CONTEXT]):
                self._end += WINDOW
                found.append((self._end, float(probability)))
        return found

    def _run(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities, shape (n,), of `samples`: n windows, with the context before the first."""
        windows = np.lib.stride_tricks.sliding_window_view(samples, CONTEXT + WINDOW)[::WINDOW]
        with model_errors("silero"):
            feed = {"input": np.ascontiguousarray(windows), "h": self._h, "c": self._c}
            probabilities, self._h, self._c = self._session.get().run(None, feed)
        return np.asarray(probabilities, np.float32).ravel()
