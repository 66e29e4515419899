"""Whisper on CTranslate2, with a context no longer than the utterance needs.

Whisper was made for 30 s windows, and encoding one costs 3 times what 10 s cost. Shorter contexts work as long
as some silence follows the speech; below about 5 s it starts to loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
import numpy.typing as npt
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor

from agents.audio import Audio
from agents.errors import ProviderError
from agents.providers.local.runtime import RATE, model_errors

TAIL_S = 3.0
LEAST_CONTEXT_S = 10.0
MOST_CONTEXT_S = 30.0
MOST_SPEECH_S = MOST_CONTEXT_S - TAIL_S
"""The longest piece of speech that one decoding takes."""

MAX_PROMPT_TOKENS = 100


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoding. `log_probability` is the mean natural logarithm per token, the end token included;
    `no_speech` the probability of silence. `capped`: it was still going when it reached its length cap.
    """

    text: str
    log_probability: float
    no_speech: float
    capped: bool


class Whisper:
    """Greedy decoding; an utterance of up to 7 s takes about 0.2 s on two cores."""

    def __init__(self, directory: Path, *, threads: int) -> None:
        with model_errors("whisper"):
            self._model = ctranslate2.models.Whisper(
                str(directory), device="cpu", compute_type="int8", intra_threads=threads, inter_threads=1
            )
        self._tokenizer = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
        self._features = FeatureExtractor()

    def knows(self, language: str) -> bool:
        return self._tokenizer.token_to_id(f"<|{language}|>") is not None

    def decode(self, audio: Audio, language: str, prompt: str = "") -> Decoded:
        """What is said in `audio`: 16 kHz, at most MOST_SPEECH_S seconds. `language` is an ISO 639-1 code."""
        if audio.rate != RATE or audio.ms > MOST_SPEECH_S * 1000:
            raise ValueError(f"Whisper takes up to {MOST_SPEECH_S:g} s at {RATE} Hz, got {audio.ms} ms at {audio.rate}")
        cap = 12 + round(8 * audio.ms / 1000)  # twice the tokens of the fastest speech
        with model_errors("whisper"):
            result = self._model.generate(
                ctranslate2.StorageView.from_array(self._log_mel(audio.float32())),
                [self._prefix(language, prompt)],
                beam_size=1,
                no_repeat_ngram_size=5,
                max_length=cap,
                return_scores=True,
                return_no_speech_prob=True,
            )[0]
        tokens = result.sequences_ids[0]
        return Decoded(
            text=self._tokenizer.decode(tokens).strip(),
            log_probability=result.scores[0] * len(tokens) / (len(tokens) + 1),
            no_speech=result.no_speech_prob,
            capped=len(tokens) >= cap,
        )

    def _log_mel(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Features of the speech and the silence after it, shape (1, 80, frames)."""
        context = max(len(samples) + round(TAIL_S * RATE), round(LEAST_CONTEXT_S * RATE))
        padded = np.pad(samples, (0, context - len(samples)))
        return np.ascontiguousarray(self._features(padded, padding=0)[None], np.float32)

    def _prefix(self, language: str, prompt: str) -> list[int]:
        hint = self._tokenizer.encode(" " + prompt.strip(), add_special_tokens=False).ids if prompt.strip() else []
        marks = ("<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>")
        before = [self._id("<|startofprev|>"), *hint[-MAX_PROMPT_TOKENS:]] if hint else []
        return before + [self._id(mark) for mark in marks]

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ProviderError(f"Whisper does not know {token}.", provider="whisper", retryable=False)
        return int(found)
