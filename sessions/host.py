"""SessionHost: what one process shares, and the task group that owns all live sessions and answers in words.

Opened by the ASGI lifespan; under a server that sends none (daphne), by the first connection. On the way
out it lets sessions say that they end, and writes what is still to be written.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from django.conf import settings

from agents.audio import Audio
from agents.build import VoiceAgent
from agents.interfaces import VADStream
from agents.knowledge.embeddings import embedder
from agents.knowledge.word_vectors import word_vectors
from agents.providers.fallback import Breakers
from agents.providers.local.models import LocalModels, LocalOptions
from agents.providers.openai_compatible.client import Clients
from agents.spec import AgentSpec
from sessions.cluster.handles import LocalHandle, SessionControl
from sessions.headroom import Headroom, refuse
from sessions.journal import DatabaseJournal, database_journal
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.listening import Ears
from sessions.pipeline.live_session import LiveSession
from sessions.pipeline.messages import SessionConfig
from sessions.pipeline.phrasebook import Phrasebook
from sessions.pipeline.turns import Identity
from sessions.text_replies import TextReplies

log = logging.getLogger(__name__)

DRAIN_S = 1.0
"""What live sessions get to end by themselves when the process stops; the journal gets as much again."""
ENDED = 256
"""Sessions whose end is remembered until its record is surely there; the journal takes a fraction of a second."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that has ended here, for the moment until its records say so."""

    agent: str
    version: int
    reason: str
    at: datetime


def keep_for_good() -> None:
    """Take what is loaded out of garbage collection: else each full one holds all sessions up for 0.1 s."""
    gc.collect()
    gc.freeze()


def new_id(prefix: str) -> str:
    """A fresh id such as "resp_4f…": 96 random bits."""
    return f"{prefix}_{secrets.token_hex(12)}"


class SessionHost:
    """Opens sessions and ends them; `replies` are its answers in words. `models`, `clients` and `journal` are shared.

    `trace_key` makes the ids of their traces; every process has the same.
    """

    def __init__(
        self, models: LocalModels, clients: Clients, journal: DatabaseJournal, bounds: Bounds, trace_key: bytes
    ) -> None:
        self.models = models
        self.clients = clients
        self.breakers = Breakers()
        self.journal = journal
        self.bounds = bounds
        self.headroom = Headroom(bounds, models.pool)
        self.trace_key = trace_key
        self._group = asyncio.TaskGroup()
        self.replies = TextReplies(self._group, bounds)
        self._sessions: dict[str, LocalHandle] = {}
        self._phrasebook = Phrasebook()
        self._ended: OrderedDict[str, Ended] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._knows = False

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def ready(self) -> dict[str, bool]:
        """Which models are loaded."""
        return {**self.models.ready, "knowledge": self._knows}

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self.journal.start()
        self._watching = self._group.create_task(self._warm_and_watch(), name="headroom")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._drain()
            await self._group.__aexit__(kind, error, trace)
        finally:
            await self.journal.aclose(DRAIN_S)
            await self.clients.aclose()
            self.models.close()

    def open(self, agent: VoiceAgent, config: SessionConfig, *, session_id: str, transport: str) -> LocalHandle:
        """Start a session; it runs until it ends or its handle is closed. ServerFull when there is no room."""
        self.require_room()
        self.headroom.door.admit()
        session = LiveSession(
            agent,
            Ears(agent.vad, agent.stt, agent.end_of_turn, self._detect, agent.asks_early, agent.spec.stt.language),
            config,
            identity=Identity(session_id, transport, self.trace_key),
            bounds=self.bounds,
            journal=self.journal,
            clock=time.monotonic,
            new_id=new_id,
            phrasebook=self._phrasebook,
        )
        task = self._group.create_task(self._hold(session_id, session, agent.spec), name=session_id)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        handle = LocalHandle(session, task, audio_stall_s=self.bounds.audio_in_stall_s)
        self._sessions[session_id] = handle
        return handle

    def require_room(self) -> None:
        """`ServerFull` if no session can be opened just now: for refusing one before anything is done for it."""
        reason = self.why_full()
        if reason is not None:
            refuse(reason)

    def why_full(self) -> str | None:
        """Which bound no session can be opened for just now, as it is counted; None if one can.

        The first may always come in: it slows nobody down.
        """
        if len(self._sessions) >= self.bounds.sessions:
            return "sessions"
        return self.headroom.door.refusal() if self._sessions else None

    def control(self, session_id: str) -> SessionControl | None:
        """What steers a session; None if it is not in this process. Remote ones will be found here too."""
        return self._sessions.get(session_id)

    def ended(self, session_id: str) -> Ended | None:
        """How a session ended that did so here, and not long ago."""
        return self._ended.get(session_id)

    async def _hold(self, session_id: str, session: LiveSession, spec: AgentSpec) -> None:
        """Run one session. Its bugs are logged here, and end it and nothing else."""
        try:
            await session.run()
        except Exception:
            log.exception("session failed", extra={"session": session_id})
        finally:
            del self._sessions[session_id]
            self._ended[session_id] = Ended(spec.slug, spec.version, session.ended_by or "failed", datetime.now(UTC))
            if len(self._ended) > ENDED:
                self._ended.popitem(last=False)

    async def _detect(self, stream: VADStream, audio: Audio) -> list[tuple[int, float]]:
        """On the event loop: the model takes 50 µs for a window, and a thread would cost the loop more than that."""
        await self.models.vad_loaded()
        return stream.push(audio)

    async def _warm_and_watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            self.headroom.loading = True
            group.create_task(self.headroom.watch())
            await self._warm()
            self.headroom.loading = False

    async def _warm(self) -> None:
        try:
            await self.models.warm()
            await asyncio.to_thread(embedder)
            await asyncio.to_thread(word_vectors)
            keep_for_good()
            self._knows = True
        except Exception:
            log.exception("models could not be loaded")

    async def _drain(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        for handle in list(self._sessions.values()):
            handle.stop("shutdown")
        self.replies.end()
        if ending := self._tasks | self.replies.tasks:
            await asyncio.wait(ending, timeout=DRAIN_S)
        for task in self._tasks:
            task.cancel()


class _Process:
    """What this process has open. Under a server that sends no lifespan, `owner` keeps the host open."""

    host: SessionHost | None = None
    opened: asyncio.Future[SessionHost] | None = None
    owner: asyncio.Task[None] | None = None


def _make() -> SessionHost:
    options = LocalOptions(**settings.REPARTEE_LOCAL_OPTIONS)
    return SessionHost(
        LocalModels(settings.REPARTEE_DATA / "models", options),
        Clients(),
        database_journal(),
        settings.REPARTEE_BOUNDS,
        settings.REPARTEE_TRACE_KEY,
    )


@asynccontextmanager
async def lifespan() -> AsyncIterator[SessionHost]:
    """The process's host, for as long as the block lasts."""
    async with _make() as host:
        _Process.host = host
        try:
            yield host
        finally:
            _Process.host = None


async def current() -> SessionHost:
    """The process's host. Opens it if no lifespan did; it then lasts as long as the event loop."""
    if _Process.host is not None:
        return _Process.host
    if _Process.opened is None:
        loop = asyncio.get_running_loop()
        _Process.opened = loop.create_future()
        _Process.owner = loop.create_task(_keep_open(_Process.opened), name="session-host")
    return await asyncio.shield(_Process.opened)


async def _keep_open(opened: asyncio.Future[SessionHost]) -> None:
    async with lifespan() as host:
        opened.set_result(host)
        await asyncio.get_running_loop().create_future()


def opened() -> SessionHost | None:
    """The process's host, if it has one yet."""
    return _Process.host


def has_room() -> bool:
    """Whether a session could be opened just now."""
    return _Process.host is not None and _Process.host.why_full() is None


def readiness() -> dict[str, bool]:
    """Which parts are ready for callers; the server is ready when all are."""
    if _Process.host is None:
        return {"host": False}
    return {"host": True, **_Process.host.ready}
