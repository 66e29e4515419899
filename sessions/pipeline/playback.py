"""The ledger of one spoken message: what was generated, what was let go, what was heard."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from unicodedata import east_asian_width

PACE_MS = 60.0
"""A letter of unhurried English, pauses and all."""
WIDE = 4
"""How many of these a Chinese, Japanese or Korean character takes."""
PACE_WEIGHT = 60
"""Letters of a voice's own that weigh as much as PACE_MS does."""


@dataclass(slots=True)
class _Spoken:
    """`points` are (ms, character) pairs that are known, the beginning first and, once it is whole, the end."""

    text: str
    start_ms: float
    end_ms: float
    points: list[tuple[float, int]] = field(default_factory=list)
    whole: bool = False

    def finish(self) -> None:
        self.whole = True
        self.points.append((self.end_ms, len(self.text)))


class Ledger:
    """Text and audio of a message on one time line, in ms from the start of its audio.

    `heard_ms` is None while all that was released is taken as heard; a barge-in, a client's truncate or
    its playback report sets it, and history follows. Within a segment words are placed by their share of
    the characters, unless the voice says where it is. How long a segment will be whose audio is still on
    its way is judged by the pace so far; `speed` is the voice's.
    """

    def __init__(self, *, speed: float = 1.0) -> None:
        self.heard_ms: float | None = None
        self.audio_ms = 0.0
        self._speed = speed
        self._segments: list[_Spoken] = []

    def begin(self, text: str) -> None:
        """The audio that follows speaks `text`; what was spoken before is whole."""
        self.finish()
        self._segments.append(_Spoken(text, self.audio_ms, self.audio_ms, [(self.audio_ms, 0)]))

    def add(self, ms: float, text_offset: int | None = None) -> None:
        """More audio. It begins at character `text_offset` of its segment, if that is known."""
        if self._segments:
            segment = self._segments[-1]
            if text_offset is not None and segment.points[-1][1] < text_offset < len(segment.text):
                segment.points.append((self.audio_ms, text_offset))
            segment.end_ms = self.audio_ms + ms
        self.audio_ms += ms

    def finish(self) -> None:
        """All audio of what was begun is there."""
        if self._segments and not self._segments[-1].whole:
            self._segments[-1].finish()

    def take_back(self, ms: float) -> None:
        """The last `ms` never left."""
        self.audio_ms = max(0.0, self.audio_ms - ms)

    @property
    def text(self) -> str:
        """All that was begun."""
        return "".join(segment.text for segment in self._segments)

    @property
    def heard_text(self) -> str:
        return self.text if self.heard_ms is None else self.text_until(self.heard_ms)

    def text_until(self, ms: float) -> str:
        """The words whose audio lies before `ms`; a word cut in half was not heard."""
        out: list[str] = []
        for segment in self._segments:
            if segment.start_ms >= ms:
                break
            if segment.whole and segment.end_ms <= ms:
                out.append(segment.text)
                continue
            out.append(_whole_words(segment.text, self._character(segment, min(ms, segment.end_ms))))
        return "".join(out).rstrip()

    def _character(self, segment: _Spoken, ms: float) -> int:
        """Where in its text a segment was at `ms`. The end is reached only by audio that is whole."""
        for (from_ms, at), (to_ms, to) in pairwise(segment.points):
            if from_ms <= ms < to_ms:
                return int(at + (to - at) * (ms - from_ms) / (to_ms - from_ms))
        from_ms, at = segment.points[-1]
        char_ms = self._pace_ms() * letters(segment.text) / max(1, len(segment.text))
        return min(int(at + (ms - from_ms) / char_ms), len(segment.text) - 1)

    def _pace_ms(self) -> float:
        """Ms a letter: what is usual, corrected by what this voice has said so far."""
        said = [segment for segment in self._segments if segment.whole and segment.end_ms > segment.start_ms]
        spoken_ms = sum(segment.end_ms - segment.start_ms for segment in said)
        spoken = sum(letters(segment.text) for segment in said)
        return (PACE_WEIGHT * PACE_MS / self._speed + spoken_ms) / (PACE_WEIGHT + spoken)


def _is_wide(char: str) -> bool:
    return east_asian_width(char) in ("W", "F")


def letters(text: str) -> int:
    """The length of `text` as it is spoken."""
    return max(1, len(text) + (WIDE - 1) * sum(map(_is_wide, text)))


def _whole_words(text: str, chars: int) -> str:
    """Up to `chars`, without a word cut in half; a wide character is a word of its own."""
    while 0 < chars < len(text) and not (text[chars].isspace() or _is_wide(text[chars]) or _is_wide(text[chars - 1])):
        chars -= 1
    return text[:chars]
