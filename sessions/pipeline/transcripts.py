"""Words of the user's turns, which may be in before their turn is certain, or long after."""

from __future__ import annotations

from sessions.pipeline.findings import NotTranscribed, Transcribed

EARLY = 4
"""Transcripts kept for turns that are not committed yet. There is one such turn at a time."""


class Transcripts:
    """Which committed items still wait for their words, and the words of items still to be committed."""

    def __init__(self) -> None:
        self._awaited: set[str] = set()
        self._early: dict[str, Transcribed | NotTranscribed] = {}

    @property
    def awaited(self) -> bool:
        """Whether a committed item is still without its words."""
        return bool(self._awaited)

    def expect(self, item_id: str) -> Transcribed | NotTranscribed | None:
        """The item is committed: its words, if they are in already."""
        self._awaited.add(item_id)
        return self._early.pop(item_id, None)

    def arrived(self, heard: Transcribed | NotTranscribed) -> bool:
        """Whether these words were awaited. If not, they are kept until their item is."""
        item_id = heard.utterance.item_id
        if item_id in self._awaited:
            self._awaited.discard(item_id)
            return True
        self._early[item_id] = heard
        if len(self._early) > EARLY:
            del self._early[next(iter(self._early))]
        return False

    def forget(self, item_id: str) -> None:
        """The speaker went on: the words so far are not all of them."""
        self._early.pop(item_id, None)
