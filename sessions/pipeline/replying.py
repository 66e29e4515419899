"""One reply: think | sentences | synthesize | pace, in one task that a barge-in cancels.

A reply writes only what is its own: its items (`reply_items.py`), its ledger, its marks and its events. Who
starts and ends it, and what the conversation makes of it, is the live session's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Literal, TypeVar

from agents.audio import Audio
from agents.build import VoiceAgent
from agents.errors import ContextFull, DeadlineExceeded, InvalidOutput, ProviderError, ProviderTimeout
from agents.interfaces import (
    Finish,
    HangUp,
    ReplyRequest,
    Segment,
    Source,
    Speech,
    TextDelta,
    Toolbox,
    ToolCall,
    ToolSpec,
    Usage,
)
from agents.structured import MAX_OUTPUT, OutputSchema
from sessions.pipeline.acknowledging import Acknowledger
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.conversation import Conversation
from sessions.pipeline.filler import LOOK_S, Filler
from sessions.pipeline.gate import Gate
from sessions.pipeline.messages import CallItem, MessageItem, ResponseDone, ResponseStarted
from sessions.pipeline.outbox import Outbox
from sessions.pipeline.pacing import Pacer, recut
from sessions.pipeline.pipes import Pipeline
from sessions.pipeline.plan import Plan
from sessions.pipeline.playback import Ledger, Played
from sessions.pipeline.reply_items import ReplyItems
from sessions.pipeline.text import sentences
from sessions.pipeline.window import tokens_of
from telemetry import names
from telemetry.trace import TurnMarks

T = TypeVar("T")
Status = Literal["completed", "cancelled", "incomplete", "failed"]
BUG = "Something went wrong on the server."
"""All that a client is told of what is our own fault."""


class Reply:
    """Behind a closed `gate` it thinks and speaks, but nothing leaves it: no event, no item, no end.

    `number` counts the session's turns, so that phrases take turns too.
    """

    def __init__(
        self,
        plan: Plan,
        agent: VoiceAgent,
        toolbox: Toolbox,
        *,
        conversation: Conversation,
        outbox: Outbox,
        bounds: Bounds,
        marks: TurnMarks,
        new_id: Callable[[str], str],
        gate: Gate,
        acknowledger: Acknowledger,
        number: int,
    ) -> None:
        self.marks = marks
        self.pacer = Pacer(agent.spec.latency.lead_ms, marks.clock)
        self.ledger = Ledger(speed=plan.voice.speed)
        self.usage = Usage()
        self.hang_up = False
        self.thinking = True
        self.closed = False
        self.status: Status | None = None
        self.reason: str | None = None
        self.error: ProviderError | None = plan.failure
        self._agent = agent
        self._acknowledger = acknowledger
        self._filler = Filler(agent.spec.filler, marks, start=number, busy_s=self._busy_s)
        self._toolbox = self._filler.watch(toolbox)
        self._items = ReplyItems(
            plan,
            ledger=self.ledger,
            conversation=conversation,
            outbox=outbox,
            new_id=new_id,
            audio_ms=bounds.item_audio_ms,
        )
        self._outbox = outbox
        self._bounds = bounds
        self._finish: Finish | None = None
        self._limit: asyncio.Timeout | None = None
        self._held_calls: list[ToolCall] = []
        self._segments: list[str] = []
        self._begun = 0
        self._interjected = 0
        self._answered = False
        self._worded = False
        self.called = False
        self.drafted = 0
        self._gate = gate

    @property
    def plan(self) -> Plan:
        return self._items.plan

    @property
    def id(self) -> str:
        return self.plan.response_id

    @property
    def playing(self) -> bool:
        """Whether, by our estimate, the listener hears it now or will in a moment."""
        return (not self.closed and self.pacer.released_ms > 0) or self.pacer.unplayed_ms() > 0

    @property
    def undecided(self) -> bool:
        """Whether what it will do is still open. Once it has called the client, the next response may be asked for."""
        return self.thinking and not self.called

    @property
    def over(self) -> bool:
        """Nothing more comes of it, and the listener has heard the last of it."""
        return self.closed and self.pacer.unplayed_ms() <= 0

    @property
    def played_ms(self) -> float:
        """Audio that the listener heard: as the ledger knows it, else by our estimate."""
        heard_ms = self.ledger.heard_ms
        return min(self.pacer.heard_ms(), self.ledger.delivered_ms) if heard_ms is None else heard_ms

    @property
    def played(self) -> Played:
        """What was generated, released, delivered and heard of it."""
        return self.ledger.played(self.pacer.heard_ms())

    @property
    def late(self) -> bool:
        """It was not ready by its deadline."""
        return isinstance(self.error, DeadlineExceeded)

    @property
    def silent(self) -> bool:
        """Nothing has come of it."""
        return not self._items.all

    @property
    def traceless(self) -> bool:
        """Nobody has heard or read anything of it, and it has called no tool."""
        known = self.played_ms > 0 if self.plan.modality == "audio" else bool(self.text)
        return not (known or self.calls or "tool[0].start" in self.marks.at)

    @property
    def tools(self) -> Sequence[ToolSpec]:
        return self._toolbox.specs()

    @property
    def text(self) -> str:
        """All that it wrote."""
        return self._items.written

    @property
    def message(self) -> MessageItem | None:
        """What it says, once it has begun to."""
        return self._items.message

    @property
    def calls(self) -> list[CallItem]:
        """The calls of the client's tools."""
        return [item for item in self._items.all if isinstance(item, CallItem)]

    def adopt(self, plan: Plan, turn: TurnMarks) -> None:
        """It is what `plan` asks for, and answers `turn`: announce it, and let out what it has."""
        self._items.plan = replace(plan, response_id=self.id)
        self.marks.join(turn)
        self.start()
        self._gate.open()

    def discard(self) -> None:
        """It is not wanted: whatever it still does in this moment, nothing comes of it."""
        self.closed = True

    def start(self) -> None:
        """Announce the response."""
        plan = self.plan
        self._outbox.put(
            ResponseStarted(self.id, plan.options, plan.modality, plan.voice.voice, plan.max_output_tokens)
        )

    async def run(self) -> None:
        """Say it all. Provider faults end in an apology and are kept in `error`; cancellation passes through."""
        if self.error is None:
            try:
                async with asyncio.timeout(self._patience_s()) as self._limit:
                    await self._speak(self._thoughts(), thinking=self.plan.script is None)
                    self._check_due()
            except* ProviderError as group:
                self.error = first_of(group)
            except* TimeoutError:
                self.error = self._out_of_time()
            _pass_cancel()
        self.thinking = False
        await self._gate.passed()
        if self.error is not None and not self.closed:  # a failure in the moment of a cancel hides the cancel
            del self._segments[self._begun :]  # thought of, but never to be heard
            self.ledger.give_up(self._begun)
            await self._apologise()

    @property
    def _hurried(self) -> bool:
        """There is a deadline still to be kept: once it sounds, or its checked text is out, it is kept."""
        return self.plan.due is not None and not self.ledger.released_ms and not (self.plan.output and self.text)

    def _out_of_time(self) -> ProviderError:
        if self._hurried:
            return DeadlineExceeded("The decision was not ready by its deadline.", provider="reply")
        return ProviderTimeout("The reply took too long.", provider="reply")

    def _patience_s(self) -> float:
        due = self.plan.due
        return self._bounds.reply_s if due is None else min(self._bounds.reply_s, due - self.marks.clock())

    def _check_due(self) -> None:
        """TimeoutError if the deadline is past. A brain that does not wait cannot be stopped at it."""
        if self._hurried and self.plan.due is not None and self.marks.clock() > self.plan.due:
            raise TimeoutError

    async def _apologise(self) -> None:
        text = self._agent.spec.apology if self.plan.apologises else ""
        if not text:
            return
        try:
            await self._speak(_recite(f" {text}" if self._segments or self.text else text))
        except* ProviderError:
            pass  # the voice itself is what failed: the failed response says why
        _pass_cancel()

    async def _speak(self, words: AsyncGenerator[str, None], *, thinking: bool = False) -> None:
        if self.plan.modality == "text":
            async with aclosing(words):
                if self.plan.output is not None:
                    await self._write_checked(words, self.plan.output)
                while (word := await self._next(words)) is not None:
                    await self._gate.passed()
                    await self._outbox.room()
                    self._items.write(word)
            return
        latency, bounds = self._agent.spec.latency, self._bounds
        async with Pipeline() as p:
            thought = p.stage("think", words, bounds.words_ahead)
            lines = p.stage("sentences", self._lines(thought), bounds.segments_ahead)
            voiced = self._agent.tts.synthesize(lines, self.plan.voice, self.marks)
            pieces = recut(voiced, first_ms=latency.first_delta_ms, ms=latency.delta_ms)
            speech = p.stage("synthesize", self._voiced(pieces), bounds.tts_chunks)
            piece = await (self._first(speech) if thinking else self._next(speech))
            while piece is not None:
                await self._gate.passed()
                await self.pacer.release(piece.audio.ms)
                await self._say(piece)
                piece = await self._next(speech)
        await self._gate.passed()
        self.ledger.finish()
        while self._begun < len(self._segments):
            await self._outbox.room()
            self._begin_segments(self._begun + 1)

    async def _write_checked(self, words: AsyncIterator[str], schema: OutputSchema) -> None:
        """The whole text at once, and the calls after it, if the text satisfies the schema."""
        text = ""
        while (word := await self._next(words)) is not None:
            text += word
            if len(text) > MAX_OUTPUT:
                raise InvalidOutput(f"The output has more than {MAX_OUTPUT} characters.")
        if text:
            schema.read(text)
        await self._outbox.room()
        self._check_due()
        if text:
            self._items.write(text)
        for call in self._held_calls:
            self._call(call)

    async def _next(self, stream: AsyncIterator[T]) -> T | None:
        """The next of it, None at its end. The watchdog of last resort: providers have shorter ones of their own."""
        try:
            async with asyncio.timeout(self._bounds.reply_stall_s):
                return await anext(stream, None)
        except TimeoutError:
            raise ProviderTimeout("The reply stopped moving.", provider="reply") from None

    # --- thinking ---

    async def _thoughts(self) -> AsyncGenerator[str, None]:
        if self.plan.script is not None:
            yield self.plan.script
            return
        request, said = self.plan.request, False
        while True:
            try:
                async with aclosing(self._think(request)) as words:
                    async for word in words:
                        said = True
                        yield word
                break
            except ContextFull:
                await self._gate.passed()  # what later replies are shown depends on it
                shorter = None if said or not self.silent else self.plan.shorter()
                if shorter is None:
                    raise
                request = replace(request, messages=shorter)
        self.thinking = False

    async def _think(self, request: ReplyRequest) -> AsyncGenerator[str, None]:
        async with aclosing(self._agent.brain.reply(request, self._toolbox, self.marks)) as thoughts:
            async for thought in thoughts:
                if self.closed:
                    return  # cut off in this very moment: the cancel has not got here yet
                match thought:
                    case TextDelta(text):
                        self._worded = self._worded or bool(text.strip())
                        self.drafted += tokens_of(text)
                        yield text
                    case ToolCall() if self.plan.output is not None:
                        self._held_calls.append(thought)
                    case ToolCall():
                        await self._gate.passed()
                        self._call(thought)
                    case Usage():
                        self.usage += thought
                    case Source():
                        self._items.show(thought)
                    case Finish():
                        self._finish = thought
                    case HangUp():
                        self.hang_up = True

    async def _lines(self, words: AsyncIterator[str]) -> AsyncGenerator[Segment, None]:
        offset = len(self._segments) - self._interjected
        async with (
            aclosing(self._filler.among(words)) as filled,
            aclosing(sentences(filled, self._agent.spec.latency.first_chunk)) as segments,
        ):
            async for segment in segments:
                self._segments.append(segment.text)
                self.ledger.write(segment.text)
                self.marks.stamp(f"seg[{offset + segment.id}].text_ready")
                yield Segment(offset + segment.id, segment.text)

    async def _voiced(self, speech: AsyncGenerator[Speech, None]) -> AsyncGenerator[Speech, None]:
        async with aclosing(speech):
            async for piece in speech:
                self.ledger.voice(piece.segment_id + self._interjected, piece.audio.ms, piece.text_offset)
                yield piece

    def _call(self, call: ToolCall) -> None:
        """Pass a call on at once, long before the words are heard that the model put before it."""
        if self._worded:
            self._items.open_message()
        self.called = True
        self._items.call(call)

    # --- saying ---

    def _begin_segments(self, count: int) -> None:
        """The audio of segment `count - 1` begins: its text, and any that had no audio, goes first."""
        while self._begun < count:
            text = self._segments[self._begun]
            self._begun += 1
            self._items.write(text)

    async def _say(self, piece: Speech) -> None:
        self._begin_segments(piece.segment_id + 1 + self._interjected)
        first, self._answered = not self._answered, True
        if first and self.plan.due is not None and self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._bounds.reply_s)
        await self._items.sound(piece.audio, begins_answer=first)
        self.marks.stamp("first_audio_sent")
        self.marks.move("last_audio_sent")

    async def _first(self, speech: AsyncIterator[Speech]) -> Speech | None:
        """The first of the answer; if that is not there in time, after a phrase that is."""
        if self._acknowledger.silent:
            return await self._next(speech)
        await self._gate.passed()
        try:
            async with asyncio.timeout(self._acknowledger.wait_s(self.marks)):
                return await self._next(speech)
        except TimeoutError:
            await self._acknowledge()
        return await self._next(speech)

    async def _acknowledge(self) -> None:
        """Say the session's next phrase, unless the answer is there after all."""
        clip = None if self.ledger.generated_ms else self._acknowledger.take(self.plan.voice)
        if clip is None:
            return
        self._segments.insert(self._begun, clip.text)
        self._interjected += 1
        self.ledger.interject(clip.text, clip.audio.ms)
        self._begin_segments(self._begun + 1)
        latency = self._agent.spec.latency
        async for piece in recut(_alone(clip.audio), first_ms=latency.first_delta_ms, ms=latency.delta_ms):
            await self.pacer.release(piece.audio.ms)
            await self._items.sound(piece.audio, begins_answer=False)
            self.marks.stamp(names.ACKNOWLEDGED)

    def _busy_s(self) -> float:
        """How long the listener has something to hear; what is not voiced, or not wanted, yet is looked for again."""
        unheard = self._begun < len(self._segments) or not self._gate.is_open
        return LOOK_S if unheard else self.pacer.unplayed_ms() / 1000

    # --- ending ---

    def close(self, status: Status | None = None, reason: str | None = None) -> None:
        """Finish all that is open and send ResponseDone. Only the first call does anything.

        Without a status: "failed" if a provider failed, "incomplete" at a token limit, else "completed".
        """
        if self.closed:
            return
        self.closed = True
        if status is None:
            status, reason = self._outcome()
        self.status, self.reason = status, reason
        self._items.finish_message("completed" if status == "completed" else "incomplete")
        plan = self.plan
        self._outbox.put(
            ResponseDone(
                self.id,
                status,
                tuple(self._items.all),
                self.usage,
                round(self.ledger.released_ms),
                plan.options,
                plan.modality,
                plan.voice.voice,
                plan.max_output_tokens,
                reason,
                str(self.error or BUG) if status == "failed" else None,
            )
        )

    def _outcome(self) -> tuple[Status, str | None]:
        if self.error is not None:
            return "failed", self.error.code
        if self._finish is not None:
            return "incomplete", {"length": "max_output_tokens"}.get(self._finish.reason, self._finish.reason)
        return "completed", None


async def _alone(audio: Audio) -> AsyncGenerator[Speech, None]:
    yield Speech(audio, 0)


async def _recite(text: str) -> AsyncGenerator[str, None]:
    yield text


def _pass_cancel() -> None:
    """Be cancelled, if that was asked for: a task group that fails at the same moment raises its errors instead."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def first_of(group: BaseExceptionGroup[ProviderError]) -> ProviderError:
    error = group.exceptions[0]
    return error if isinstance(error, ProviderError) else first_of(error)
