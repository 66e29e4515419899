"""The conversation's items as a client changes them, and as what the user said becomes one."""

from __future__ import annotations

from agents.audio import Audio
from sessions.pipeline.aside import Aside
from sessions.pipeline.conversation import Conversation
from sessions.pipeline.messages import (
    AudioCommitted,
    Content,
    Item,
    ItemAdded,
    ItemDeleted,
    ItemDone,
    ItemRetrieved,
    ItemTruncated,
    MessageItem,
)
from sessions.pipeline.outbox import Outbox
from sessions.pipeline.turn_book import TurnBook


class Items:
    """Changes the conversation, tells the client, and has what changed recorded. ClientError as of Conversation."""

    def __init__(self, conversation: Conversation, outbox: Outbox, turns: TurnBook) -> None:
        self._conversation = conversation
        self._outbox = outbox
        self._turns = turns
        self._aside = Aside(outbox)

    def create(self, item: Item, previous_id: str | None = None) -> None:
        self._tell_of(item, self._conversation.add(item, previous_id))
        self._turns.record(item)

    def commit(self, item_id: str, *, transcript: str | None = None, audio: Audio | None = None) -> None:
        """What the user said becomes an item; it is recorded when its words are known."""
        item = MessageItem(item_id, "user", (Content("audio", transcript=transcript),))
        previous = self._conversation.add(item)
        if audio is not None:
            self._conversation.keep_audio(item_id, audio)
        self._outbox.put(AudioCommitted(item_id, previous))
        self._tell_of(item, previous)

    def delete(self, item_id: str) -> None:
        self._conversation.delete(item_id)
        self._aside.settle(item_id)
        self._outbox.put(ItemDeleted(item_id))

    def retrieve(self, item_id: str, *, speaking: bool) -> None:
        """Send the item with its audio; a large answer only once the agent has spoken."""
        found = ItemRetrieved(self._conversation.get(item_id), self._conversation.audio_of(item_id))
        self._aside.put(found, speaking=speaking)

    def release(self) -> None:
        """Send the answers that are kept."""
        self._aside.release()

    def truncate(self, item_id: str, audio_end_ms: int) -> None:
        used_ms = self._conversation.truncate(item_id, audio_end_ms)
        self._outbox.put(ItemTruncated(item_id, used_ms))
        self._turns.record(self._conversation.get(item_id), heard_ms=used_ms)

    def _tell_of(self, item: Item, previous_id: str | None) -> None:
        self._outbox.put(ItemAdded(item, previous_id))
        self._outbox.put(ItemDone(item, previous_id))
