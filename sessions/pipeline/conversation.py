"""The items of one conversation, in order, and what a brain gets to see of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import replace

from agents.audio import Audio
from agents.errors import ClientError
from agents.interfaces import Message, ToolCall
from sessions.pipeline.messages import CallItem, CallOutputItem, Content, Item, MessageItem
from sessions.pipeline.pairing import Told, paired
from sessions.pipeline.playback import Ledger

MAX_ASIDES = 32
"""Messages for the brain alone that one item may carry."""


class Conversation:
    """Ordered items with their audio and ledgers. Past `max_items`, or `max_chars` of words, the oldest leave.

    Audio is kept for the last `audio_items` items that have any, `audio_ms` of each at most.
    """

    def __init__(self, *, max_items: int, max_chars: int, audio_items: int, audio_ms: int) -> None:
        self._items: dict[str, Item] = {}
        self._order: list[str] = []
        self._ledgers: dict[str, Ledger] = {}
        self._audio: dict[str, Audio] = {}
        self._asides: dict[str, tuple[Message, ...]] = {}
        self._first: str | None = None
        self._chars = 0
        self._max_items = max_items
        self._max_chars = max_chars
        self._audio_items = audio_items
        self._audio_ms = audio_ms

    def with_item(self, item: Item) -> Conversation:
        """As it would be with `item` at its end. This one stays as it is."""
        other = copy(self)
        vars(other).update({name: copy(held) for name, held in vars(self).items() if isinstance(held, dict | list)})
        other.add(item)
        return other

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def __iter__(self) -> Iterator[Item]:
        return (self._items[item_id] for item_id in self._order)

    def has_call(self, call_id: str) -> bool:
        return any(isinstance(item, CallItem) and item.call_id == call_id for item in self)

    def get(self, item_id: str, *, code: str = "item_retrieve_invalid_item_id", param: str = "item_id") -> Item:
        """The item, or a ClientError of this `code` that blames `param`."""
        try:
            return self._items[item_id]
        except KeyError:
            raise ClientError(f"Item with item_id not found: {item_id}", code=code, param=param) from None

    def add(self, item: Item, previous_id: str | None = None) -> str | None:
        """Insert after `previous_id` (None: at the end, "root": first); the id now before it, or None."""
        if item.id in self._items:
            raise ClientError(
                f"An item with id {item.id} already exists.", code="item_create_duplicate_item_id", param="item.id"
            )
        index = self._index_after(previous_id)
        self._order.insert(index, item.id)
        self._items[item.id] = item
        self._chars += _chars(item)
        while len(self._order) > self._max_items or (self._chars > self._max_chars and len(self._order) > 1):
            self.delete(next(one for one in self._order if one != item.id))
        return self.previous(item.id)

    def previous(self, item_id: str) -> str | None:
        index = self._order.index(item_id) if item_id in self._items else 0
        return self._order[index - 1] if index else None

    @property
    def last_id(self) -> str | None:
        return self._order[-1] if self._order else None

    def update(self, item: Item) -> None:
        """Replace an item by its newer self; nothing happens if it has been deleted."""
        if item.id in self._items:
            self._chars += _chars(item) - _chars(self._items[item.id])
            self._items[item.id] = item

    def delete(self, item_id: str) -> None:
        self.get(item_id, code="item_delete_invalid_item_id")
        index = self._order.index(item_id)
        if item_id == self._first:
            self._first = next(iter(self._order[index + 1 :]), None)
        del self._order[index]
        self._chars -= _chars(self._items.pop(item_id)) + sum(map(_chars_told, self._asides.pop(item_id, ())))
        self._ledgers.pop(item_id, None)
        self._audio.pop(item_id, None)

    def remember(self, *messages: Message) -> None:
        """Messages for the brain alone, placed after what is now the last item: the client never sees them."""
        if self._order:
            before = self._asides.get(self._order[-1], ())
            after = self._asides[self._order[-1]] = (*before, *messages)[-MAX_ASIDES:]
            self._chars += sum(map(_chars_told, after)) - sum(map(_chars_told, before))

    def keep_audio(self, item_id: str, audio: Audio) -> None:
        """Keep what an item sounds like, of a spoken reply all of it; nothing happens if it has been deleted."""
        if item_id not in self._items:
            return
        self._audio.pop(item_id, None)
        self._audio[item_id] = audio.slice(0, self._audio_ms * audio.rate // 1000)
        while len(self._audio) > self._audio_items:
            del self._audio[next(iter(self._audio))]

    def audio_of(self, item_id: str) -> Audio | None:
        """What an item sounds like, as far as it was heard."""
        audio, ledger = self._audio.get(item_id), self._ledgers.get(item_id)
        if audio is None or ledger is None or ledger.heard_ms is None:
            return audio
        return audio.slice(0, int(ledger.heard_ms * audio.rate / 1000))

    def keep_ledger(self, item_id: str, ledger: Ledger) -> None:
        self._ledgers[item_id] = ledger

    def truncate(self, item_id: str, audio_end_ms: int) -> int:
        """Cut a spoken reply to what the client says was heard; the position used, clamped to its audio.

        The last word counts, even if it is more than the one before, as our own estimate may be too short, until the
        brain has been told.
        """
        item = self.get(item_id, code="item_truncate_invalid_item_id")
        ledger = self._ledgers.get(item_id)
        if ledger is None or not isinstance(item, MessageItem):
            raise ClientError(
                "Only audio replies can be truncated.", code="item_truncate_invalid_item", param="item_id"
            )
        used_ms = ledger.report(audio_end_ms)
        self.cut_to_heard(item_id)
        return int(used_ms)

    def cut_to_heard(self, item_id: str) -> None:
        """The words of a spoken reply are those that its ledger says were heard; nothing happens if it is deleted."""
        item, ledger = self._items.get(item_id), self._ledgers.get(item_id)
        if ledger is not None and isinstance(item, MessageItem):
            self.update(replace(item, content=(Content("audio", transcript=ledger.heard_text),)))

    def settle(self) -> None:
        """A brain is told all this as having happened: no ledger grows any more."""
        for ledger in self._ledgers.values():
            ledger.settle()

    def show_from(self, item_id: str) -> None:
        """What comes before `item_id` is no longer told to the brain."""
        self._first = item_id

    def told(self, items: Iterable[Item] | None = None) -> list[Told]:
        """What the brain is told, each message with its item's id; items without words are left out."""
        told: list[Told] = []
        for item in self if items is None else items:
            message = _message(item)
            asides = self._asides.get(item.id, ()) if items is None else ()
            told += [(item.id, said) for said in ((message,) if message else ()) + asides]
        told = paired(told)
        if items is not None or self._first is None:
            return told
        hidden = set(self._order[: self._order.index(self._first)])
        return [(item_id, message) for item_id, message in told if item_id not in hidden]

    def _index_after(self, previous_id: str | None) -> int:
        if previous_id is None:
            return len(self._order)
        if previous_id == "root":
            return 0
        self.get(previous_id, code="item_create_invalid_previous_item_id", param="previous_item_id")
        return self._order.index(previous_id) + 1


def _chars(item: Item) -> int:
    match item:
        case MessageItem():
            return sum(len(part.text) + len(part.transcript or "") for part in item.content)
        case CallItem():
            return len(item.arguments)
        case CallOutputItem():
            return len(item.output)


def _chars_told(message: Message) -> int:
    return len(message.text) + sum(len(call.arguments) for call in message.calls)


def _message(item: Item) -> Message | None:
    match item:
        case CallItem():
            return Message("assistant", "", calls=(ToolCall(item.call_id, item.name, item.arguments),))
        case CallOutputItem():
            return Message("tool", item.output, call_id=item.call_id)
        case MessageItem():
            text = " ".join(filter(None, (part.text or part.transcript or "" for part in item.content))).strip()
            return Message(item.role, text) if text else None
