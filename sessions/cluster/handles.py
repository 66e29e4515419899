"""How a connection holds a session, and others steer it, wherever it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from agents.errors import Overloaded
from sessions.errors import Conflict
from sessions.pipeline.live_session import LiveSession
from sessions.pipeline.messages import AppendAudio, AudioCommand, ClearAudio, Command, CommitAudio, Event
from sessions.pipeline.snapshot import Snapshot
from telemetry import counters, names

STEER_S = 5.0
"""Seconds that a command of a controller may wait: commands do while the client does not read."""


class SessionHandle(Protocol):
    async def send(self, command: Command) -> None:
        """Pass a command on, in order. Overloaded when the session cannot take it; the session lives."""

    def events(self) -> AsyncIterator[Event]:
        """What the client is to be told; ends after SessionEnded."""

    async def close(self, reason: str) -> None:
        """End the session if it has not ended, and wait until its records are on their way."""


class SessionControl(Protocol):
    """How others than its client see and steer a session, wherever that runs."""

    async def snapshot(self) -> Snapshot:
        """The session as it stands."""

    async def steer(self, command: Command) -> None:
        """Carry a command out; its events go to the client. ClientError says why not, Overloaded to come back."""

    async def end(self, reason: str) -> None:
        """End the session, tell its client, and wait until it has ended."""


class Stalled(Overloaded):
    """Audio is not being processed; the connection is closed so that the client can start again."""


class SessionOver(Conflict):
    """The session has ended."""

    def __init__(self) -> None:
        super().__init__(str(type(self).__doc__), code="session_ended")


class LocalHandle:
    """A session in this process, for its client and for those who steer it."""

    def __init__(self, session: LiveSession, task: asyncio.Task[None], *, audio_stall_s: float) -> None:
        self._session = session
        self._task = task
        self._audio_stall_s = audio_stall_s

    async def send(self, command: Command) -> None:
        if not isinstance(command, AppendAudio | CommitAudio | ClearAudio):
            self._session.accept(command)
        elif self._session.has_room(command):
            await self._session.hear(command)
        else:
            await self._wait_to_hear(command)

    async def _wait_to_hear(self, command: AudioCommand) -> None:
        try:
            async with asyncio.timeout(self._audio_stall_s):
                await self._session.hear(command)
        except TimeoutError:
            counters.count(names.OVERLOADED, what="audio_in")
            raise Stalled from None

    def events(self) -> AsyncIterator[Event]:
        return self._session.events()

    async def close(self, reason: str) -> None:
        if not self._task.done():
            self._session.abandon(reason)
            await asyncio.wait([self._task])

    async def snapshot(self) -> Snapshot:
        return self._session.snapshot()

    async def steer(self, command: Command) -> None:
        answer = self._session.steer(command)
        try:
            await asyncio.wait([answer, self._task], timeout=STEER_S, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                answer.result()
            elif self._task.done():
                raise SessionOver
            else:
                raise Overloaded("The session does not carry out commands: its client may not be reading. Try again.")
        finally:
            answer.cancel()

    async def end(self, reason: str) -> None:
        self.stop(reason)
        await asyncio.wait([self._task])

    def stop(self, reason: str) -> None:
        """End the session and tell its client, without waiting."""
        self._session.end(reason)
