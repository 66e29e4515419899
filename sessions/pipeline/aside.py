"""Large answers are kept until the agent has spoken.

What goes out of a WebSocket goes whole. An item of fifteen seconds is a megabyte, which takes a second on a line of
8 Mbit/s, and the audio behind it, and a clear, would be late by as much. An answer of `LARGE_MS` takes no longer than
the lead on 2 Mbit/s.
"""

from __future__ import annotations

from sessions.pipeline.messages import ItemRetrieved
from sessions.pipeline.outbox import Outbox

LARGE_MS = 1000
"""Audio in an answer."""
MOST = 4
"""Answers that are kept; one more, and all of them go."""


class Aside:
    """Keeps answers back in their order, from the first large one on. What is sent meanwhile passes them."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._kept: list[ItemRetrieved] = []

    def put(self, answer: ItemRetrieved, *, speaking: bool) -> None:
        """Send an answer; later, if it is large, or behind one that is kept."""
        self._kept.append(answer)
        large = any(kept.audio is not None and kept.audio.ms > LARGE_MS for kept in self._kept)
        if not speaking or not large or len(self._kept) > MOST:
            self.release()

    def settle(self, item_id: str) -> None:
        """Send what was kept, if an answer about this item is among it, before anything else is said of the item."""
        if any(kept.item.id == item_id for kept in self._kept):
            self.release()

    def release(self) -> None:
        """Send what was kept."""
        for answer in self._kept:
            self._outbox.put(answer)
        self._kept.clear()
