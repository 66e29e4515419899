"""The audio of a session on its way to the ear, with the commits and clears that keep their place among it."""

from __future__ import annotations

import asyncio
from collections import deque

from sessions.pipeline.messages import AppendAudio, AudioCommand

CHUNK_COST = 128
"""Bytes that a queued piece counts for beside its audio, so that tiny pieces are bounded too."""


class AudioPipe:
    """Audio and its commits in arrival order, bounded by bytes. Writers wait; nothing is dropped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._items: deque[tuple[AudioCommand, float, int]] = deque(maxlen=limit // CHUNK_COST + 64)
        self._ready = asyncio.Event()
        self._room = asyncio.Event()

    def has_room(self, command: AudioCommand) -> bool:
        """Whether `put` would not wait."""
        return not self._bytes or self._bytes + _cost(command) <= self._limit

    async def put(self, command: AudioCommand, at: float) -> None:
        while not self.has_room(command):
            self._room.clear()
            await self._room.wait()
        cost = _cost(command)
        self._bytes += cost
        self._items.append((command, at, cost))
        self._ready.set()

    async def get(self) -> tuple[AudioCommand, float]:
        while not self._items:
            self._ready.clear()
            await self._ready.wait()
        return self._pop()

    def more_audio(self, rate: int) -> tuple[AppendAudio, float] | None:
        """What is next, if that is audio of this rate and there already."""
        if not self._items:
            return None
        command, at, _ = self._items[0]
        if not isinstance(command, AppendAudio) or command.audio.rate != rate:
            return None
        self._pop()
        return command, at

    def _pop(self) -> tuple[AudioCommand, float]:
        command, at, cost = self._items.popleft()
        self._bytes -= cost
        self._room.set()
        return command, at


def _cost(command: AudioCommand) -> int:
    return CHUNK_COST + (len(command.audio.pcm) if isinstance(command, AppendAudio) else 0)
