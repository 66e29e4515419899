"""Events on their way to one client, in order, with room kept for what matters."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Self

from sessions.pipeline.messages import AudioOut, Event, SessionEnded
from telemetry import counters, names

Delivered = Callable[[float], None]


class Outbox:
    """One ordered stream. Audio, streamed text and answers to commands wait for room; other events never do.

    A client that lets more than `events` pile up is a slow client: `overflowed` is set, everything is
    dropped and the stream ends. Audio of a response can be discarded, and is the only thing that ever is.

    Whoever reads it asks for the next event when the one before has been written: audio is delivered then.
    """

    def __init__(self, events: int, audio_events: int) -> None:
        self._limit = events
        self._audio_limit = audio_events
        self._events: deque[Event] = deque(maxlen=events + 1)
        self._receipts: deque[tuple[AudioOut, Delivered]] = deque()
        self._being_written: Callable[[], None] | None = None
        self._audio = 0
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._drained = asyncio.Event()
        self.overflowed = False
        self.closed = False

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Event) -> None:
        """Queue an event; after the last one (SessionEnded) nothing more is taken."""
        if self.closed:
            return
        if len(self._events) >= self._limit:
            self.overflowed = True
            counters.count(names.SLOW_CLIENTS)
            self._events.clear()
            self._receipts.clear()
            event = SessionEnded("slow_client")
        self._events.append(event)
        self.closed = isinstance(event, SessionEnded)
        self._ready.set()
        if self.closed:
            self._room.set()
            self._drained.set()

    def abandon(self) -> None:
        """Nobody reads any more: drop everything, take nothing, let nobody wait."""
        self.closed = True
        self._events.clear()
        self._receipts.clear()
        self._ready.set()
        self._room.set()
        self._drained.set()

    @property
    def has_room(self) -> bool:
        """No more than half is used."""
        return len(self._events) <= self._limit // 2 or self.closed

    async def room(self) -> None:
        """Wait for it: before text without end, or answering what a client may ask without end."""
        while not self.has_room:
            self._drained.clear()
            await self._drained.wait()

    async def put_audio(self, event: AudioOut, delivered: Delivered) -> None:
        """Queue audio once there is room for it; `delivered` is told how many ms of it, when it has been written."""
        while self._audio >= self._audio_limit and not self.closed:
            self._room.clear()
            await self._room.wait()
        if not self.closed:
            self._audio += 1
            self._receipts.append((event, delivered))
        self.put(event)

    def discard_audio(self, response_id: str) -> float:
        """Take back audio of `response_id` not yet sent; how many ms that were."""
        kept = [e for e in self._events if not (isinstance(e, AudioOut) and e.response_id == response_id)]
        dropped = sum(e.audio.ms for e in self._events if isinstance(e, AudioOut) and e.response_id == response_id)
        self._events = deque(kept, maxlen=self._limit + 1)
        self._receipts = deque(receipt for receipt in self._receipts if receipt[0].response_id != response_id)
        self._count_audio()
        return dropped

    def _count_audio(self) -> None:
        self._audio = sum(isinstance(event, AudioOut) for event in self._events)
        if self._audio < self._audio_limit:
            self._room.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._being_written is not None:
            self._being_written()
            self._being_written = None
        while not self._events:
            if self.closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        event = self._events.popleft()
        if isinstance(event, AudioOut):
            self._audio -= 1
            self._room.set()
            _, delivered = self._receipts.popleft()
            self._being_written = partial(delivered, event.audio.ms)
        if self.has_room:
            self._drained.set()
        return event
