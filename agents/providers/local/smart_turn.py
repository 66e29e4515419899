"""Has the speaker finished? smart-turn v3.2 judges from the sound of the last 8 seconds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnxruntime
from faster_whisper.feature_extractor import FeatureExtractor

from agents.audio import Audio
from agents.packages import packaged
from agents.providers.local.pool import Lane
from agents.providers.local.runtime import RATE, Lazy, model_errors, onnx_session

SECONDS = 8
"""The model looks at this much audio: its end, or with silence before it."""

SAMPLES = SECONDS * RATE
FRAMES = 800
FFT, HOP = 400, 160
"""Samples of one spectrum, and from one to the next."""
HANN = np.hanning(FFT + 1)[:-1].astype(np.float32)

_mel = FeatureExtractor(chunk_length=SECONDS).mel_filters
_mel_of_one = _mel @ np.abs(np.fft.rfft(HANN)) ** 2
"""Of a signal that is 1 throughout."""


def load(threads: int) -> onnxruntime.InferenceSession:
    file = packaged("pipecat", "audio", "turn", "smart_turn", "data", "smart-turn-v3.2-cpu.onnx")
    return onnx_session(file, threads=threads)


def log_mel(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Whisper's log-mel features, shape (80, 800), of the last 8 s at zero mean and unit variance.

    Most utterances are short, and the silence put before them has the same spectrum everywhere.
    """
    recent = samples[-SAMPLES:]
    missing = SAMPLES - len(recent)
    padded = np.pad(recent, (missing, 0))
    scaled = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
    silent = max(0, (missing - FFT // 2) // HOP)
    heard = np.pad(scaled, FFT // 2, mode="reflect")[silent * HOP :]
    windows = np.lib.stride_tricks.sliding_window_view(heard, FFT)[::HOP][: FRAMES - silent]
    mel = np.empty((len(_mel), FRAMES), np.float32)
    mel[:, :silent] = (scaled[0] ** 2 * _mel_of_one)[:, None]
    mel[:, silent:] = _mel @ (np.abs(np.fft.rfft(windows * HANN)) ** 2).T
    log = np.log10(np.maximum(mel, 1e-10))
    return np.asarray((np.maximum(log, log.max() - 8) + 4) / 4, np.float32)


def score(session: onnxruntime.InferenceSession, audio: Audio) -> float:
    """The probability that the turn is complete. Takes some 25 ms of one core."""
    if audio.rate != RATE:
        raise ValueError(f"smart-turn needs {RATE} Hz, got {audio.rate}")
    recent = audio.slice(max(0, audio.samples - SAMPLES))
    with model_errors("smart-turn"):
        (logits,) = session.run(None, {"input_features": log_mel(recent.float32())[None]})
    return float(np.asarray(logits).item())


class SmartTurn:
    def __init__(self, session: Lazy[onnxruntime.InferenceSession], lane: Lane, *, timeout_s: float) -> None:
        self._session = session
        self._lane = lane
        self._timeout_s = timeout_s

    async def probability(self, audio: Audio) -> float:
        """How sure it is, 0 to 1, that the speaker has finished. `audio` is the utterance so far, 16 kHz."""
        return await self._lane.run(self._score, audio, timeout_s=self._timeout_s)

    def _score(self, audio: Audio) -> float:
        return score(self._session.get(), audio)
