"""How a connection holds a session, wherever that runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from agents.errors import Overloaded
from sessions.pipeline.live_session import LiveSession
from sessions.pipeline.messages import AppendAudio, ClearAudio, Command, CommitAudio, Event
from telemetry import counters, names


class SessionHandle(Protocol):
    async def send(self, command: Command) -> None:
        """Pass a command on, in order. Overloaded when the session cannot take it; the session lives."""

    def events(self) -> AsyncIterator[Event]:
        """What the client is to be told; ends after SessionEnded."""

    async def close(self, reason: str) -> None:
        """End the session, and wait until its records are on their way."""


class Stalled(Overloaded):
    """Audio is not being processed; the connection is closed so that the client can start again."""


class LocalHandle:
    """A session in this process."""

    def __init__(self, session: LiveSession, task: asyncio.Task[None], *, audio_stall_s: float) -> None:
        self._session = session
        self._task = task
        self._audio_stall_s = audio_stall_s

    async def send(self, command: Command) -> None:
        if isinstance(command, AppendAudio | CommitAudio | ClearAudio):
            try:
                async with asyncio.timeout(self._audio_stall_s):
                    await self._session.hear(command)
            except TimeoutError:
                counters.count(names.OVERLOADED, what="audio_in")
                raise Stalled from None
        else:
            self._session.accept(command)

    def events(self) -> AsyncIterator[Event]:
        return self._session.events()

    async def close(self, reason: str) -> None:
        self._session.abandon(reason)
        await asyncio.wait([self._task])
