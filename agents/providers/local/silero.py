"""Speech detection with Silero VAD v6, 32 ms at a time."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
import onnxruntime

from agents.audio import BYTES_PER_SAMPLE, Audio
from agents.packages import packaged
from agents.providers.local.noise_gate import NoiseGate
from agents.providers.local.runtime import RATE, Lazy, model_errors, onnx_session

WINDOW = 512
"""Samples that each probability is about: 32 ms."""
CONTEXT = 64
"""Samples before the window that the model sees too."""
LEAD = 4
"""Windows before the one that opens the noise gate that are run with it, so that the model comes to it prepared."""

Samples = npt.NDArray[np.float32]


def load() -> onnxruntime.InferenceSession:
    return onnx_session(packaged("faster_whisper", "assets", "silero_vad_v6.onnx"), threads=1)


class SileroVAD:
    def __init__(self, session: Lazy[onnxruntime.InferenceSession]) -> None:
        self._session = session

    def open(self) -> SileroStream:
        return SileroStream(self._session, NoiseGate())


class SileroStream:
    """One stream's state: the LSTM's, the samples before what it will see next, and the noise of the room.

    Windows that do not rise over the noise are not run: their probability is 0. The LSTM's state waits meanwhile.
    """

    def __init__(self, session: Lazy[onnxruntime.InferenceSession], gate: NoiseGate) -> None:
        self._session = session
        self._gate = gate
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros(CONTEXT, np.float32)
        self._passed: deque[Samples] = deque()
        self._unread = bytearray()
        self._end = 0

    def push(self, audio: Audio) -> list[tuple[int, float]]:
        """(end_sample, probability) of each whole window now complete; many windows cost few runs."""
        if audio.rate != RATE:
            raise ValueError(f"Silero needs {RATE} Hz, got {audio.rate}")
        self._unread += audio.pcm
        size = len(self._unread) // (WINDOW * BYTES_PER_SAMPLE) * WINDOW * BYTES_PER_SAMPLE
        if not size:
            return []
        whole = Audio(bytes(self._unread[:size]), RATE)
        del self._unread[:size]
        found: list[tuple[int, float]] = []
        for probability in self._judge(whole.float32().reshape(-1, WINDOW)):
            self._end += WINDOW
            found.append((self._end, probability))
        return found

    def _judge(self, windows: Samples) -> list[float]:
        """Probabilities of `windows`, shape (n, 512)."""
        found: list[float] = []
        while len(found) < len(windows):
            window = windows[len(found)]
            if not self._gate.open_for and not self._gate.rises(window):
                self._pass(window)
                found.append(0.0)
                continue
            some = windows[len(found) : len(found) + self._gate.open_for]
            for window, probability in zip(some, self._run(some), strict=True):
                self._gate.judged(window, probability)
                found.append(probability)
        return found

    def _pass(self, window: Samples) -> None:
        self._passed.append(window)
        if len(self._passed) > LEAD:
            self._context = self._passed.popleft()[-CONTEXT:]

    def _run(self, windows: Samples) -> list[float]:
        """What the model says of `windows`, once it has seen those that were passed over before them."""
        whole = np.vstack((*self._passed, windows))
        seen = np.empty((len(whole), CONTEXT + WINDOW), np.float32)
        seen[0, :CONTEXT], seen[1:, :CONTEXT], seen[:, CONTEXT:] = self._context, whole[:-1, -CONTEXT:], whole
        with model_errors("silero"):
            feed = {"input": seen, "h": self._h, "c": self._c}
            probabilities, self._h, self._c = self._session.get().run(None, feed)
        self._context = whole[-1, -CONTEXT:]
        self._passed.clear()
        return [float(probability) for probability in np.ravel(probabilities)[-len(windows) :]]
