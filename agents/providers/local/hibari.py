"""Text to speech with hibari: English, 24 kHz, a sentence in a few hundredths of a second."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import numpy as np
import numpy.typing as npt
from hibari import Hibari
from hibari.voices import DEFAULT

from agents.audio import Audio
from agents.interfaces import Segment, Speech, VoiceOptions
from agents.providers.local.pool import Lane
from agents.providers.local.runtime import Lazy, model_errors
from agents.providers.local.speakable import speakable
from telemetry.trace import TurnMarks

RATE = 24_000
PIECE_MS = 100.0

SILENT = 10 ** (-55 / 20)
"""Samples below this are the model's silence, which lies under -60 dBFS."""
AUDIBLE = 10 ** (-50 / 20)

LEAD_MS = 20.0
"""Kept of the 0.3 s of silence that the model puts before every sentence; the rest would be latency."""
CLAUSE_PAUSE_MS = 120.0
SENTENCE_PAUSE_MS = 320.0
"""The most that is kept of the 0.4 s of silence after it."""


def load(threads: int) -> Hibari:
    """The voice in the package, with the dictionary already read."""
    with model_errors("hibari"):
        voice = Hibari(DEFAULT, threads=threads)
        voice.phonemize("Ready.")
    return voice


class HibariTTS:
    """Sessions share the model; a cancelled reply costs at most the sentence that is being made.

    A voice that is not installed, such as one of another provider's, is spoken by the default one.
    """

    def __init__(self, model: Lazy[Hibari], lane: Lane, *, timeout_s: float) -> None:
        self._model = model
        self._lane = lane
        self._timeout_s = timeout_s

    async def synthesize(
        self, text: AsyncIterator[Segment], voice: VoiceOptions, marks: TurnMarks
    ) -> AsyncGenerator[Speech, None]:
        """Speech of the segments in order; nothing for a segment with nothing to say."""
        marks.fact("tts_model", "hibari")
        marks.fact("tts_voice", DEFAULT)
        async for segment in text:
            sentences = self._sentences(segment.text, voice.speed)
            offset: int | None = 0
            while (audio := await self._lane.run(next, sentences, None, timeout_s=self._timeout_s)) is not None:
                marks.stamp(f"seg[{segment.id}].tts_first_byte")
                for piece in audio.split(PIECE_MS):
                    if _peak(piece) > AUDIBLE:
                        marks.stamp(f"seg[{segment.id}].tts_first_audible")
                    yield Speech(piece, segment.id, offset)
                    offset = None
            marks.stamp(f"seg[{segment.id}].tts_end")

    def _sentences(self, text: str, speed: float) -> Iterator[Audio]:
        """The audio of one sentence after the other; the work is done as they are asked for."""
        words = speakable(text)
        if not words:
            return
        with model_errors("hibari"):
            model = self._model.get()
            for phonemes in model.phonemize(words):
                sound = model.from_phonemes(phonemes, speed, seed=0)
                if len(sound):
                    yield Audio.from_float(trimmed(sound, _pause_ms(phonemes) / speed), RATE)


def trimmed(sound: npt.NDArray[np.float32], pause_ms: float) -> npt.NDArray[np.float32]:
    """`sound` with LEAD_MS before the first sample that can be heard and at most `pause_ms` after the last."""
    heard = np.flatnonzero(np.abs(sound) > SILENT)
    if not len(heard):
        return sound[:0]
    start = max(0, int(heard[0]) - round(LEAD_MS * RATE / 1000))
    return sound[start : int(heard[-1]) + 1 + round(pause_ms * RATE / 1000)]


def _pause_ms(phonemes: str) -> float:
    return SENTENCE_PAUSE_MS if phonemes.rstrip("”)").endswith((".", "!", "?", "…")) else CLAUSE_PAUSE_MS


def _peak(audio: Audio) -> float:
    return float(np.abs(audio.float32()).max(initial=0.0))
