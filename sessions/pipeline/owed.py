"""The answer that is owed to the user, and the one that they spoke over before they heard it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agents.errors import ProviderError
from sessions.pipeline.messages import CreateResponse


@dataclass(frozen=True, slots=True)
class Due:
    """A response that is owed: for the user's item `item_id`, or None if the client asked for it."""

    command: CreateResponse
    item_id: str | None = None
    failure: ProviderError | None = None


class Owed:
    """At most one answer is due, and at most one is set aside.

    What the user says before they hear an answer takes its place and is answered together with what came before.
    Were there no words in it, it was a noise, and the answer that was set aside is due again.
    """

    def __init__(self) -> None:
        self.due: Due | None = None
        self._aside: Due | None = None

    def take(self) -> Due | None:
        """What is due, if anything is: with it, what was set aside is settled."""
        due = self.withdraw()
        if due is not None:
            self._aside = None
        return due

    def withdraw(self) -> Due | None:
        """What was due and is not now, for what comes between."""
        due, self.due = self.due, None
        return due

    def answer_turn(self, item_id: str) -> None:
        """A turn of the user's is over. An answer that the client asked for stands, and answers it too."""
        if self.due is None or self.due.item_id is not None:
            self.due = Due(CreateResponse(), item_id)

    def set_aside(self, due: Due) -> None:
        """Keep `due` in case that nobody spoke. Of several in a row the first is kept: nothing since had words."""
        if self._aside is None:
            self._aside = due

    def forget_aside(self) -> None:
        """What was set aside will not be due again."""
        self._aside = None

    def restore(self) -> None:
        """There was nothing to answer in what came between: what was set aside is due again, unless something is."""
        if self.due is None:
            self.due, self._aside = self._aside, None

    def had_no_words(self, item_id: str) -> None:
        """The item is not to be answered; if its answer was due, the one set aside is due again."""
        if self._aside is not None and self._aside.item_id == item_id:
            self._aside = None
        if self.due is not None and self.due.item_id == item_id:
            self.due = None
            self.restore()

    def not_transcribed(self, item_id: str, error: ProviderError) -> None:
        """The answer that waits for these words will say that they were not understood."""
        if self.due is not None and self.due.item_id in (None, item_id):
            self.due = replace(self.due, failure=error)
