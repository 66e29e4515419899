"""What reaches the orchestrator of a conversation: one queue, and commands kept in their place among the audio."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from agents.errors import Overloaded
from sessions.pipeline.messages import Command
from telemetry import counters, names

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Ordered:
    """A command, to be carried out once `commits` commits and clears before it are done.

    `answer` is there if somebody else than the client sent it, and waits to hear how it went.
    """

    command: Command
    commits: int
    answer: asyncio.Future[None] | None = None


class Inbox(Generic[M]):
    """Commands and messages of type M. A command waits for the commits and clears that the client sent before it.

    At most `most` commands wait. What the session itself posts is bounded by what it does, and never refused.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._queue: asyncio.Queue[M | Ordered] = asyncio.Queue(2 * most)
        self._deferred: deque[Ordered] = deque(maxlen=most)
        self._commits_sent = 0
        self._commits_done = 0

    def post(self, message: M) -> None:
        self._queue.put_nowait(message)

    def accept(self, command: Command) -> None:
        """Queue a client's command. Overloaded when too many wait."""
        self._put(command, None)

    def steer(self, command: Command) -> asyncio.Future[None]:
        """Queue a command of somebody else, who hears by the answer how it went. Overloaded as for `accept`."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(command, answer)
        return answer

    def _put(self, command: Command, answer: asyncio.Future[None] | None) -> None:
        if self._queue.qsize() + len(self._deferred) >= self._most:
            counters.count(names.OVERLOADED, what="inbox")
            raise Overloaded("Too many messages at once; wait for answers before sending more.")
        self._queue.put_nowait(Ordered(command, self._commits_sent, answer))

    def commit_sent(self) -> None:
        """A commit or a clear is on its way through the audio: later commands wait for it."""
        self._commits_sent += 1

    def commit_done(self) -> None:
        self._commits_done += 1

    async def get(self) -> M | None:
        """The next message; None if it was a command, which then waits for its turn in `due`."""
        message = await self._queue.get()
        if isinstance(message, Ordered):
            self._deferred.append(message)
            return None
        return message

    @property
    def has_due(self) -> bool:
        """Whether a command may be carried out now."""
        return bool(self._deferred) and self._deferred[0].commits <= self._commits_done

    def take_due(self) -> Ordered:
        return self._deferred.popleft()
