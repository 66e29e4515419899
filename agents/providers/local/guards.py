"""Whisper writes something for every sound. These rules tell what was said from what it made up.

Measured on recorded speech, clean and with noise over it, and on fans, keyboards, music and coughs: speech kept a
no-speech probability below 0.45, and noise that got past the voice detector's threshold showed one of the signs
below. The figures are in docs/reference/embedded-models.md.
"""

from __future__ import annotations

import re
import zlib

from agents.interfaces import Transcript
from agents.providers.local.whisper_model import Decoded

SURELY_WRONG = -1.0
"""Whisper's own limit for the mean log probability of a decoding that failed."""

NO_SPEECH = 0.5
UNSURE = -0.3
"""A no-speech probability above the one counts when the log probability is below the other."""

INVENTED_NO_SPEECH = 0.3
INVENTED_UNSURE = -0.6
"""The stricter limits for what Whisper likes to say about noise."""

MOST_COMPRESSION = 2.4
"""Whisper's own limit: text that zlib shrinks more than this repeats itself."""

INVENTIONS = frozenset(
    {
        "you",
        "thank you",
        "thank you very much",
        "thanks",
        "thanks for watching",
        "thank you for watching",
        "please subscribe",
        "bye",
        "bye bye",
        "i",
        "oh",
        "so",
        "the",
        "music",
        "applause",
        "silence",
        "blank audio",
    }
)

_WORDS = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def judge(decoded: Decoded) -> Transcript:
    """The final transcript: the text, or none and the reason."""
    reason = _reason(decoded)
    return Transcript("" if reason else decoded.text, final=True, rejected=reason)


def _reason(decoded: Decoded) -> str | None:
    words = _WORDS.findall(decoded.text.lower())
    if not words:
        return "no_speech"
    if decoded.log_probability < SURELY_WRONG:
        return "no_speech"
    if decoded.no_speech > NO_SPEECH and decoded.log_probability < UNSURE:
        return "no_speech"
    if " ".join(words) in INVENTIONS and _doubtful(decoded):
        return "no_speech"
    if _compression(decoded.text) > MOST_COMPRESSION or (decoded.capped and decoded.log_probability < UNSURE):
        return "repetition"
    return None


def _doubtful(decoded: Decoded) -> bool:
    return decoded.no_speech > INVENTED_NO_SPEECH or decoded.log_probability < INVENTED_UNSURE


def _compression(text: str) -> float:
    data = text.encode()
    return len(data) / len(zlib.compress(data))
