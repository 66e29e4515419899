"""The ledger of one spoken message: what was generated, released, delivered and heard, to the ms and the word."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal
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

    def cut(self, ms: float) -> None:
        """Nothing of it comes after `ms`."""
        self.end_ms = min(self.end_ms, ms)
        self.points = [point for point in self.points if point[0] <= ms]
        self.whole = False

    @property
    def placed(self) -> bool:
        """Whether the voice said where in the text it was."""
        return len(self.points) > 1 + self.whole


@dataclass(frozen=True, slots=True)
class Played:
    """A message's figures, in ms from the start of its audio and in whole words; each is at most the one before it.

    `heard_by`: by the server's estimate, or by the client's own word. `words_by`: the voice said which words those
    are, or they were placed by their length.
    """

    generated_ms: int
    released_ms: int
    delivered_ms: int
    heard_ms: int
    words_generated: int
    words_released: int
    words_delivered: int
    words_heard: int
    heard_by: Literal["estimated", "reported"]
    words_by: Literal["voice", "estimated"]


class Ledger:
    """Text and audio of a message on one time line, in ms from the start of its audio.

    Text is `write`n by the brain and `voice`d; audio is `release`d by the pacer and `deliver`ed to the client's
    socket, in this order. What was released and never left is taken back. 0 ≤ heard ≤ delivered ≤ released ≤
    generated holds at any moment.

    `heard_ms` is None while all that was delivered is taken as heard, or will be. A barge-in estimates it; the client's
    truncate or playback report replaces that, up or down, until the ledger is settled: the brain has been told by
    then what was heard. After that it may only shrink, at the client's wish.

    Within a segment words are placed by their share of the characters, unless the voice says where it is. How long a
    segment will be whose audio is still to be made is judged by the pace so far; `speed` is the voice's.
    """

    def __init__(self, *, speed: float = 1.0) -> None:
        self.heard_ms: float | None = None
        self.heard_by: Literal["estimated", "reported"] = "estimated"
        self.generated_ms = 0.0
        self.released_ms = 0.0
        self.delivered_ms = 0.0
        self._settled = False
        self._speed = speed
        self._spoken: list[_Spoken] = []
        self._unspoken: list[str] = []

    # --- generated ---

    def write(self, text: str) -> None:
        """The next segment, as the brain wrote it."""
        self._unspoken.append(text)

    def voice(self, segment: int, ms: float, text_offset: int | None = None) -> None:
        """More audio, of the segment with this number. It begins at character `text_offset` of it, if that is known.

        The segments before it are whole, and those among them that had no audio have none.
        """
        while len(self._spoken) <= segment and self._unspoken:
            self.finish()
            at = self.generated_ms
            self._spoken.append(_Spoken(self._unspoken.pop(0), at, at, [(at, 0)]))
        if self._spoken:
            spoken = self._spoken[-1]
            if text_offset is not None and spoken.points[-1][1] < text_offset < len(spoken.text):
                spoken.points.append((self.generated_ms, text_offset))
            spoken.end_ms = self.generated_ms + ms
        self.generated_ms += ms

    def interject(self, text: str, ms: float) -> None:
        """A segment that was made elsewhere comes before all that is still to be voiced. All before it has been."""
        self.finish()
        at = self.generated_ms
        self._spoken.append(_Spoken(text, at, at + ms, [(at, 0)]))
        self.generated_ms += ms
        self.finish()

    def finish(self) -> None:
        """All audio of what was voiced is there."""
        if self._spoken and not self._spoken[-1].whole:
            self._spoken[-1].finish()

    def give_up(self, segments: int) -> None:
        """The voice has failed: what was not released is gone, and all text but the first so many segments."""
        self.generated_ms = self.released_ms
        texts = [*(spoken.text for spoken in self._spoken), *self._unspoken][:segments]
        self._spoken = [spoken for spoken in self._spoken[:segments] if spoken.start_ms < self.released_ms]
        self._unspoken = texts[len(self._spoken) :]
        if self._spoken and self._spoken[-1].end_ms > self.released_ms:
            self._spoken[-1].cut(self.released_ms)

    # --- on its way ---

    def release(self, ms: float) -> None:
        """So much more left the pacer."""
        self.released_ms = min(self.generated_ms, self.released_ms + ms)

    def deliver(self, ms: float) -> None:
        """So much more was written to the client's socket."""
        self.delivered_ms = min(self.released_ms, self.delivered_ms + ms)

    def take_back(self, ms: float) -> None:
        """The last `ms` of what was released never left."""
        self.released_ms = max(self.delivered_ms, self.released_ms - ms)

    # --- heard ---

    def estimate(self, ms: float) -> None:
        """By our own clock, the listener heard so much. The client knows better, if it has said so."""
        if self.heard_ms is None:
            self.heard_ms = min(max(0.0, ms), self.delivered_ms)

    def report(self, ms: float) -> float:
        """The client says that it played so much; the position used, within what was let go.

        What it played has been delivered, even if we do not know it yet.
        """
        ms = min(max(0.0, ms), self.released_ms)
        if self._settled:
            ms = min(ms, self.released_ms if self.heard_ms is None else self.heard_ms)
        self.delivered_ms = max(self.delivered_ms, ms)
        self.heard_ms, self.heard_by = ms, "reported"
        return ms

    def confirm(self) -> None:
        """The client says that it played it to the end."""
        self.heard_by = "reported"

    def settle(self) -> None:
        """The brain is told what was heard: from now on that is what happened."""
        self._settled = True

    # --- in words ---

    @property
    def text(self) -> str:
        """All that was generated."""
        return "".join([*(spoken.text for spoken in self._spoken), *self._unspoken])

    @property
    def heard_text(self) -> str:
        return self.text if self.heard_ms is None else self.text_until(self.heard_ms)

    def text_until(self, ms: float) -> str:
        """The words whose audio lies before `ms`; a word cut in half was not heard."""
        out: list[str] = []
        for spoken in self._spoken:
            if spoken.start_ms >= ms:
                break
            if spoken.whole and spoken.end_ms <= ms:
                out.append(spoken.text)
                continue
            out.append(_whole_words(spoken.text, self._character(spoken, min(ms, spoken.end_ms))))
        return "".join(out).rstrip()

    def played(self, heard_ms: float) -> Played:
        """The figures, with `heard_ms` as the estimate of what was heard so far, if nothing else is known."""
        heard = min(self.delivered_ms, heard_ms if self.heard_ms is None else self.heard_ms)
        return Played(
            generated_ms=round(self.generated_ms),
            released_ms=round(self.released_ms),
            delivered_ms=round(self.delivered_ms),
            heard_ms=round(heard),
            words_generated=len(self.text.split()),
            words_released=self._words_until(self.released_ms),
            words_delivered=self._words_until(self.delivered_ms),
            words_heard=self._words_until(heard),
            heard_by=self.heard_by,
            words_by="voice" if self._placed(heard) else "estimated",
        )

    def _words_until(self, ms: float) -> int:
        return len(self.text_until(ms).split())

    def _placed(self, ms: float) -> bool:
        """Whether the words at `ms` are known: the voice said so, or a whole segment ends there."""
        at = next((spoken for spoken in self._spoken if spoken.start_ms <= ms < spoken.end_ms), None)
        return at is None or at.placed or ms == at.start_ms

    def _character(self, spoken: _Spoken, ms: float) -> int:
        """Where in its text a segment was at `ms`. The end is reached only by audio that is whole."""
        for (from_ms, at), (to_ms, to) in pairwise(spoken.points):
            if from_ms <= ms < to_ms:
                return int(at + (to - at) * (ms - from_ms) / (to_ms - from_ms))
        from_ms, at = spoken.points[-1]
        char_ms = self._pace_ms() * letters(spoken.text) / max(1, len(spoken.text))
        return min(int(at + (ms - from_ms) / char_ms), len(spoken.text) - 1)

    def _pace_ms(self) -> float:
        """Ms a letter: what is usual, corrected by what this voice has said so far."""
        said = [spoken for spoken in self._spoken if spoken.whole and spoken.end_ms > spoken.start_ms]
        spoken_ms = sum(spoken.end_ms - spoken.start_ms for spoken in said)
        count = sum(letters(spoken.text) for spoken in said)
        return (PACE_WEIGHT * PACE_MS / self._speed + spoken_ms) / (PACE_WEIGHT + count)


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
