"""Answers in words: each is made in a task of the session host, read by whoever follows it, and kept for a while."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, aclosing, suppress
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import Any

from agents.build import VoiceAgent
from agents.errors import ContextFull, Overloaded, ProviderError, ProviderTimeout
from agents.interfaces import BrainOutput, Finish, Message, TextDelta, ToolCall, Usage
from sessions.errors import UnknownResponse
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.reply_items import MAX_CALL_ID
from sessions.pipeline.replying import BUG
from sessions.pipeline.turns import Turn
from sessions.protocols.text_answers import Fault, Outcome, TextWriter
from sessions.protocols.text_requests import TextRequest
from sessions.text_records import TextSession
from telemetry import counters, names

log = logging.getLogger(__name__)

KEEP_ALIVE = b": keep-alive\n\n"
FRAMES_AT_ONCE = 64
"""Frames joined into one write for a reader who is behind."""
OURS = Fault(500, "internal_error", BUG)
SHUTDOWN = Fault(503, "server_shutting_down", "The server is shutting down; try again shortly.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOrder:
    """What to answer, in which dialect, and for whom. `stored`: it can be read again by its id, after its end too.

    `asked_bytes` is how long the request was.
    """

    reply_id: str
    owner: str
    request: TextRequest
    writer: TextWriter
    session: TextSession
    stored: bool = False
    asked_bytes: int = 0


class TextReply:
    """One answer. Its frames are a log that only grows, so that any number of readers can follow it at their own pace.

    Nobody holds the brain back: what a slow reader has not taken waits in the log, which is bounded in bytes. An
    answer that reaches the bound ends as incomplete.
    """

    def __init__(self, order: TextOrder, bounds: Bounds) -> None:
        self.id = order.reply_id
        self.owner = order.owner
        self.stored = order.stored
        self.session = order.session
        self.outcome: Outcome | None = None
        self._request = order.request
        self._asked_bytes = order.asked_bytes
        self._writer = order.writer
        self._bounds = bounds
        self._log: list[bytes] = []
        self._bytes = 0
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._text: list[str] = []
        self._calls: list[ToolCall] = []
        self._usage: Usage | None = None
        self._finish: Finish | None = None
        self._stopped: Outcome | None = None
        self._working = False

    # --- for whoever reads it --------------------------------------------------------------------

    @property
    def begun(self) -> bool:
        """Whether anything of the answer itself is out."""
        return bool(self._text or self._calls)

    @property
    def said(self) -> Message:
        return Message("assistant", "".join(self._text), calls=tuple(self._calls))

    @property
    def conversation(self) -> tuple[Message, ...]:
        """What was said up to and with this answer."""
        said = self.said
        ending = (said,) if said.text or said.calls else ()
        return (*self._request.history, *self._request.messages, *ending)

    @property
    def size(self) -> int:
        """Bytes of memory, counting what other answers of the conversation hold too."""
        texts = (sys.getsizeof(message.text) for message in self.conversation)
        calls = (sys.getsizeof(call.arguments) for message in self.conversation for call in message.calls)
        return self._asked_bytes + self._bytes + sum(texts) + sum(calls)

    @property
    def items(self) -> list[dict[str, Any]]:
        """What it put out, as far as that can be referred to."""
        output: list[dict[str, Any]] = self.shown().get("output", [])
        return output

    def shown(self) -> dict[str, Any]:
        return self._writer.shown()

    async def wait(self, *, begun: bool = False, within_s: float | None = None) -> None:
        """Until it has ended or, with `begun`, has something to show; at most `within_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.outcome is None and not (begun and self.begun):
                    await self._news.wait()

    async def follow(self, after: int = -1) -> AsyncGenerator[bytes, None]:
        """The frames after number `after`, as they come, to the end; comments while nothing comes."""
        at = after + 1
        while True:
            news = self._news
            if frames := self._log[at : at + FRAMES_AT_ONCE]:
                at += len(frames)
                yield b"".join(frames)
            elif self.outcome is not None:
                return
            elif not await _set_within(news, self._bounds.keepalive_s):
                yield KEEP_ALIVE

    def is_read(self, after: int) -> bool:
        """Whether nothing comes any more after frame number `after`."""
        return self.outcome is not None and after >= len(self._log) - 1

    def cancel(self, fault: Fault | None = None) -> None:
        """Stop the work, if it still runs: the answer fails with `fault`, or counts as cancelled. `wait` for it."""
        if self._stopped is None:
            self._stopped = Outcome("cancelled" if fault is None else "failed", fault=fault)
            if self._working and self._task is not None:
                self._task.cancel()

    # --- making it -------------------------------------------------------------------------------

    def start(self, group: asyncio.TaskGroup, agent: VoiceAgent, held: AsyncExitStack) -> asyncio.Task[None]:
        """In a context of its own: what belongs to the request that began it may be gone before it ends.

        `held` is let go at the end.
        """
        self._publish(self._writer.open())
        run = self._run(agent, self.session.begin(), held)
        self._task = group.create_task(run, name=self.id, context=Context())
        return self._task

    async def _run(self, agent: VoiceAgent, turn: Turn, held: AsyncExitStack) -> None:
        """Make the answer, and end it whatever happens: a bug ends this answer and nothing else."""
        async with held:
            self.outcome = await self._made(agent, turn)
            try:
                self.session.end(turn, self._request.messages, self.said, self.outcome)
                self._publish(self._writer.close(self.outcome))
            except Exception:
                log.exception("text reply could not be ended", extra={"reply": self.id})
                self._publish([])

    async def _made(self, agent: VoiceAgent, turn: Turn) -> Outcome:
        if self._stopped is not None:
            return self._cut_short()
        self._working = True
        try:
            async with asyncio.timeout(self._bounds.reply_s):
                await self._think(agent, turn)
        except asyncio.CancelledError:
            return self._cut_short()
        except (ProviderError, TimeoutError) as error:
            fault = _fault_of(error)
            log.warning("text reply failed", extra={"reply": self.id, "reason": fault.code, "error": str(error)})
            return Outcome("failed", fault=fault, usage=self._usage)
        except Exception:
            log.exception("text reply failed", extra={"reply": self.id})
            return Outcome("failed", fault=OURS, usage=self._usage)
        finally:
            self._working = False
        if self._finish is not None:
            reason = "max_output_tokens" if self._finish.reason == "length" else self._finish.reason
            return Outcome("incomplete", reason, usage=self._usage)
        return Outcome("completed", usage=self._usage)

    def _cut_short(self) -> Outcome:
        return self._stopped or Outcome("cancelled")

    async def _think(self, agent: VoiceAgent, turn: Turn) -> None:
        toolbox = agent.toolbox(self._request.tools)
        async with aclosing(agent.brain.reply(self._request.for_brain(agent.spec), toolbox, turn.marks)) as thoughts:
            while (thought := await self._next(thoughts)) is not None:
                self._take(thought)
                if self._bytes > self._bounds.text_reply_bytes:
                    self._finish = Finish("length")
                    return

    async def _next(self, thoughts: AsyncGenerator[BrainOutput, None]) -> BrainOutput | None:
        try:
            async with asyncio.timeout(self._bounds.reply_stall_s):
                return await anext(thoughts, None)
        except TimeoutError:
            raise ProviderTimeout("The reply stopped moving.", provider="reply") from None

    def _take(self, thought: BrainOutput) -> None:
        match thought:
            case TextDelta(text) if text:
                self._text.append(text)
                self._publish(self._writer.text(text))
            case ToolCall() if not (self._request.one_call and self._calls):
                call = self._named(thought)
                self._calls.append(call)
                self._publish(self._writer.call(call))
            case Usage():
                self._usage = thought if self._usage is None else self._usage + thought
            case Finish():
                self._finish = thought

    def _named(self, call: ToolCall) -> ToolCall:
        """With an id that is new in the conversation, and that every client can use."""
        known = {earlier.id for message in self.conversation for earlier in message.calls}
        usable = 0 < len(call.id) <= MAX_CALL_ID and call.id not in known
        return call if usable else replace(call, id=self.session.new_id("call"))

    def _publish(self, frames: list[bytes]) -> None:
        self._log += frames
        self._bytes += sum(map(len, frames))
        news, self._news = self._news, asyncio.Event()
        news.set()


class TextReplies:
    """The answers of one process: those at work, and those that ended and are kept.

    Full of work, it refuses.
    """

    def __init__(self, group: asyncio.TaskGroup, bounds: Bounds) -> None:
        self._group = group
        self._bounds = bounds
        self._working: dict[str, TextReply] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self._kept = _Kept(bounds)

    def __len__(self) -> int:
        return len(self._working)

    def require_room(self) -> None:
        """Overloaded when too many answers are being made."""
        if len(self._working) >= self._bounds.text_replies:
            counters.count(names.OVERLOADED, what="text_replies")
            raise Overloaded("This server is answering as many requests as it can. Try again in a few seconds.")

    def start(self, order: TextOrder, agent: VoiceAgent, held: AsyncExitStack) -> TextReply:
        """Begin an answer, which takes over what `held` holds. Overloaded leaves it where it is."""
        self.require_room()
        reply = self._working[order.reply_id] = TextReply(order, self._bounds)
        task = reply.start(self._group, agent, held.pop_all())
        self.tasks.add(task)
        task.add_done_callback(lambda task: self._ended(reply, task))
        return reply

    def get(self, reply_id: str, owner: str) -> TextReply:
        """An answer that can be read by its id. UnknownResponse also for one of somebody else's."""
        reply = self._kept.get(reply_id, owner) or self._working.get(reply_id)
        if reply is None or reply.owner != owner or not reply.stored:
            raise UnknownResponse(reply_id)
        return reply

    def items(self, owner: str) -> dict[str, dict[str, Any]]:
        """The items, by id, of the answers that have ended and can be read by their id."""
        ended = (reply for reply in self._working.values() if reply.outcome is not None)
        mine = [reply for reply in (*self._kept.of(owner), *ended) if reply.owner == owner and reply.stored]
        return {item["id"]: item for reply in mine for item in reply.items}

    def forget(self, reply: TextReply) -> None:
        """It can no longer be read by its id; the work on it ends."""
        reply.stored = False
        reply.cancel()
        self._kept.drop(reply)

    def end(self) -> None:
        """Stop all work, because the process ends; wait for `tasks`."""
        for reply in self._working.values():
            reply.cancel(SHUTDOWN)

    def _ended(self, reply: TextReply, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        del self._working[reply.id]
        if reply.stored:
            self._kept.add(reply)


@dataclass(slots=True)
class _Shelf:
    """What is kept for one owner, the oldest first."""

    replies: dict[str, TextReply] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    bytes: int = 0


class _Kept:
    """Answers that ended and can still be read or gone on from, each for a time.

    Beyond a number or their bytes the oldest goes of the owner who holds the most: who stores much loses their own,
    and nobody else's.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._shelves: dict[str, _Shelf] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def get(self, reply_id: str, owner: str) -> TextReply | None:
        shelf = self._shelves.get(owner)
        return shelf.replies.get(reply_id) if shelf else None

    def of(self, owner: str) -> Iterable[TextReply]:
        shelf = self._shelves.get(owner)
        return shelf.replies.values() if shelf else ()

    def add(self, reply: TextReply) -> None:
        shelf = self._shelves.setdefault(reply.owner, _Shelf())
        shelf.replies[reply.id] = reply
        shelf.sizes[reply.id] = reply.size
        shelf.bytes += shelf.sizes[reply.id]
        self._timers[reply.id] = asyncio.get_running_loop().call_later(self._bounds.text_stored_s, self.drop, reply)
        self._make_room()

    def drop(self, reply: TextReply) -> None:
        """Forget it, if it is kept."""
        timer = self._timers.pop(reply.id, None)
        if timer is None:
            return
        timer.cancel()
        shelf = self._shelves[reply.owner]
        del shelf.replies[reply.id]
        shelf.bytes -= shelf.sizes.pop(reply.id)
        if not shelf.replies:
            del self._shelves[reply.owner]

    def _make_room(self) -> None:
        shelves = self._shelves.values()
        while len(self._timers) > self._bounds.text_stored:
            self._drop_oldest(max(shelves, key=lambda shelf: len(shelf.replies)))
        while sum(shelf.bytes for shelf in shelves) > self._bounds.text_stored_bytes:
            self._drop_oldest(max(shelves, key=lambda shelf: shelf.bytes))

    def _drop_oldest(self, shelf: _Shelf) -> None:
        self.drop(next(iter(shelf.replies.values())))


async def _set_within(event: asyncio.Event, limit_s: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            return await event.wait()
    return False


def _fault_of(error: ProviderError | TimeoutError) -> Fault:
    match error:
        case ContextFull():
            return Fault(400, error.code, str(error))
        case ProviderTimeout():
            return Fault(504, "provider_timeout", str(error))
        case ProviderError():
            return Fault(502, "provider_error", str(error))
    return Fault(504, "provider_timeout", "The reply took too long.")
