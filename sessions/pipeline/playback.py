"""The ledger of one spoken message: what was generated, what was let go, what was heard."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Spoken:
    text: str
    start_ms: float
    end_ms: float


class Ledger:
    """Text and audio of a message on one time line, in ms from the start of its audio.

    `heard_ms` is None while all that was released is taken as heard; a barge-in, a client's truncate or
    its playback report sets it, and history follows. Within a segment words are placed by their share of
    the characters, unless the voice says where it is.
    """

    def __init__(self) -> None:
        self.heard_ms: float | None = None
        self.audio_ms = 0.0
        self._segments: list[_Spoken] = []

    def begin(self, text: str) -> None:
        """The audio that follows speaks `text`."""
        self._segments.append(_Spoken(text, self.audio_ms, self.audio_ms))

    def add(self, ms: float) -> None:
        self.audio_ms += ms
        if self._segments:
            self._segments[-1].end_ms = self.audio_ms

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
            if segment.end_ms <= ms:
                out.append(segment.text)
                continue
            share = (ms - segment.start_ms) / (segment.end_ms - segment.start_ms)
            out.append(_whole_words(segment.text, int(share * len(segment.text))))
        return "".join(out).rstrip()


def _whole_words(text: str, chars: int) -> str:
    while 0 < chars < len(text) and not text[chars].isspace():
        chars -= 1
    return text[:chars]
