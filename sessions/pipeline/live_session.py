"""The orchestrator of one conversation: one loop over one inbox, and the only writer of its state.

Commands come from the client through `accept` and `hear`, findings from the listening half, endings from
the replies. Nothing in the loop waits: what takes time runs as a task of the session's group and reports
back through the inbox.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from agents.build import VoiceAgent
from agents.errors import ClientError, Overloaded, ProviderError
from agents.interfaces import (
    CompletionOptions,
    Message,
    ReplyRequest,
    ToolCall,
    ToolSpec,
    Transcript,
    VoiceOptions,
)
from agents.tools.toolbox import ShieldedToolbox
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.conversation import Conversation
from sessions.pipeline.listening import (
    BufferCleared,
    CommitRefused,
    Ears,
    Heard,
    Listening,
    NotTranscribed,
    Partial,
    SpeechDismissed,
    SpeechSuspected,
    Transcribed,
    UserCommitted,
    UserResumed,
    UserStarted,
)
from sessions.pipeline.messages import (
    AppendAudio,
    AudioCleared,
    AudioCommand,
    AudioCommitted,
    CallItem,
    CallOutputItem,
    CancelResponse,
    ClearAudio,
    CloseSession,
    Command,
    CommitAudio,
    Configure,
    Configured,
    Content,
    CreateItem,
    CreateResponse,
    DeleteItem,
    ErrorOccurred,
    Event,
    Item,
    ItemAdded,
    ItemDeleted,
    ItemDone,
    ItemRetrieved,
    ItemTruncated,
    MessageItem,
    ReplyHeld,
    ReportPlayback,
    ResponseOptions,
    RetrieveItem,
    SessionConfig,
    SessionEnded,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptFailed,
    TranscriptPartial,
    TruncateItem,
    TurnClosed,
)
from sessions.pipeline.outbox import Outbox
from sessions.pipeline.records import ItemKind, ItemRecorded, Journal, TurnRecorded
from sessions.pipeline.replying import Plan, Reply
from sessions.pipeline.turns import Turn
from telemetry import counters, names
from telemetry.names import EndReason
from telemetry.trace import Anchor, TurnMarks, close_turn

PLAYBACK_REPORT_MS = 1500
"""How long past its expected end a client that reports playback may take to say that it ended."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a session is called in records and traces."""

    session_id: str
    transport: str


@dataclass(frozen=True, slots=True)
class _Ordered:
    """A command, to be carried out once `commits` commits and clears before it are done."""

    command: Command
    commits: int


@dataclass(frozen=True, slots=True)
class _ReplyEnded:
    reply: Reply


@dataclass(frozen=True, slots=True)
class _TurnOver:
    turn: Turn


@dataclass(frozen=True, slots=True)
class _TimeUp:
    reason: str


_Inward = _Ordered | Heard | _ReplyEnded | _TurnOver | _TimeUp


class LiveSession:
    """A conversation running. `accept` and `hear` feed it, `events` is what the client is to be told."""

    _group: asyncio.TaskGroup

    def __init__(
        self,
        agent: VoiceAgent,
        ears: Ears,
        config: SessionConfig,
        *,
        identity: Identity,
        bounds: Bounds,
        journal: Journal,
        clock: Callable[[], float],
        new_id: Callable[[str], str],
    ) -> None:
        self._agent = agent
        self._identity = identity
        self._bounds = bounds
        self._journal = journal
        self._clock = clock
        self._new_id = new_id
        self._config = config
        self._anchor = Anchor.now(clock)
        self._outbox = Outbox(bounds.events_out, bounds.audio_events_out)
        self._conversation = Conversation(
            max_items=bounds.conversation_items, audio_items=bounds.item_audio_items, audio_ms=bounds.item_audio_ms
        )
        self._listening = Listening(
            ears,
            config.turn_detection,
            bounds,
            post=self._post,
            clock=clock,
            new_item_id=self._new_item_id,
            agent_speaking=lambda: self._reply is not None and self._reply.playing,
        )
        self._inbox: asyncio.Queue[_Inward] = asyncio.Queue(2 * bounds.inbox_messages)
        self._commits_sent = 0
        self._commits_done = 0
        self._deferred: deque[_Ordered] = deque(maxlen=bounds.inbox_messages)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._reply: Reply | None = None
        self._side: dict[str, Reply] = {}
        self._turn: Turn | None = None
        self._turns = 0
        self._spoken: dict[str, Turn] = {}
        self._transcripts: dict[str, Transcript | ProviderError] = {}
        self._awaited: set[str] = set()
        self._due: CreateResponse | None = None
        self._recorded: dict[str, int] = {}
        self._records = 0
        self._last_heard_at = clock()
        self._ending: str | None = None
        self._timers: list[asyncio.TimerHandle] = []

    # --- the outside ---------------------------------------------------------------------------------

    def accept(self, command: Command) -> None:
        """Queue a command that is not audio. Raises Overloaded when the inbox is full; the session lives."""
        if self._inbox.qsize() + len(self._deferred) >= self._bounds.inbox_messages:
            counters.count(names.OVERLOADED, what="inbox")
            raise Overloaded("Too many messages at once; wait for answers before sending more.")
        self._last_heard_at = self._clock()
        self._inbox.put_nowait(_Ordered(command, self._commits_sent))

    async def hear(self, command: AudioCommand) -> None:
        """Queue audio, a commit or a clear, in arrival order; waits while too much is unheard."""
        self._last_heard_at = self._clock()
        if isinstance(command, CommitAudio | ClearAudio):
            self._commits_sent += 1
        await self._listening.put(command)

    def end(self, reason: str) -> None:
        """End the session; the client is told."""
        self._post(_TimeUp(reason))

    def abandon(self, reason: str) -> None:
        """End the session of a client that has gone: nothing more is told to it."""
        self._outbox.abandon()
        self.end(reason)

    def events(self) -> AsyncIterator[Event]:
        """Everything the client is to be told, once, in order; SessionEnded is the last."""
        return aiter(self._outbox)

    async def run(self) -> None:
        """Hold the conversation until it ends. A bug inside leaves as an ExceptionGroup."""
        self._later(self._bounds.session_s, _TimeUp("expired"))
        self._later(self._bounds.idle_s, _TimeUp("idle"))
        try:
            await self._live()
        except asyncio.CancelledError:
            self._ending = "shutdown"
            raise
        finally:
            for timer in self._timers:
                timer.cancel()
            self._finish(self._ending or "failed")

    async def _live(self) -> None:
        try:
            async with asyncio.TaskGroup() as self._group:
                self._group.create_task(self._listening.run(), name="listening")
                await self._converse()
                raise _Ended
        except* _Ended:
            pass

    def _post(self, message: _Inward) -> None:
        self._inbox.put_nowait(message)

    def _later(self, seconds: float, message: _Inward) -> None:
        """Post `message` in `seconds`, unless the session has ended by then."""
        self._timers = [timer for timer in self._timers if timer.when() > asyncio.get_running_loop().time()]
        self._timers.append(asyncio.get_running_loop().call_later(seconds, self._post, message))

    def _finish(self, reason: str) -> None:
        for reply in [*self._side.values(), *([self._reply] if self._reply else [])]:
            reply.close("cancelled", "client_cancelled")
        if self._turn is not None:
            self._close_turn(self._turn, "session_closed" if self._turn.reply is None else None)
        self._outbox.put(SessionEnded(reason))

    # --- the loop ------------------------------------------------------------------------------------

    async def _converse(self) -> None:
        while self._ending is None:
            message = await self._inbox.get()
            match message:
                case _Ordered():
                    self._deferred.append(message)
                case _ReplyEnded(reply):
                    self._on_reply_ended(reply)
                case _TurnOver(turn):
                    self._close_turn(turn)
                case _TimeUp(reason):
                    self._on_time_up(reason)
                case _:
                    self._on_heard(message)
            while self._deferred and self._deferred[0].commits <= self._commits_done:
                await self._outbox.room()
                self._carry_out(self._deferred.popleft().command)

    def _carry_out(self, command: Command) -> None:
        event_id = getattr(command, "event_id", None)
        try:
            self._do(command)
        except ClientError as error:
            self._outbox.put(ErrorOccurred(str(error), error.code, error.param, event_id))

    def _do(self, command: Command) -> None:
        match command:
            case Configure(config):
                self._configure(config)
            case CreateItem():
                self._create_item(command)
            case DeleteItem(item_id):
                self._conversation.delete(item_id)
                self._outbox.put(ItemDeleted(item_id))
            case RetrieveItem(item_id):
                item = self._conversation.get(item_id)
                self._outbox.put(ItemRetrieved(item, self._conversation.audio_of(item_id)))
            case TruncateItem():
                self._truncate(command)
            case CreateResponse():
                self._create_response(command)
            case CancelResponse():
                self._cancel_response(command)
            case ReportPlayback():
                self._on_playback(command)
            case CloseSession(reason):
                self._ending = reason
            case AppendAudio() | CommitAudio() | ClearAudio():
                raise AssertionError("audio goes through hear()")

    def _on_heard(self, heard: Heard) -> None:
        match heard:
            case SpeechSuspected():
                self._hold()
            case SpeechDismissed():
                self._release()
            case UserStarted():
                self._on_user_started(heard)
            case UserResumed(utterance):
                self._transcripts.pop(utterance.item_id, None)
            case UserCommitted():
                self._on_user_committed(heard)
            case CommitRefused(error, event_id, asked):
                self._commits_done += asked
                self._outbox.put(ErrorOccurred(str(error), error.code, error.param, event_id))
            case BufferCleared():
                self._commits_done += 1
                self._release()
                self._outbox.put(AudioCleared())
            case Partial(item_id, text):
                self._outbox.put(TranscriptPartial(item_id, text))
            case Transcribed(utterance, transcript):
                self._on_transcript(utterance.item_id, transcript)
            case NotTranscribed(utterance, error):
                self._on_transcript(utterance.item_id, error)

    # --- configuration and items ---------------------------------------------------------------------

    def _configure(self, config: SessionConfig) -> None:
        self._config = config
        self._listening.configure(config.turn_detection)
        self._release()
        self._outbox.put(Configured(config))

    def _create_item(self, command: CreateItem) -> None:
        previous = self._conversation.add(command.item, command.previous_id)
        self._outbox.put(ItemAdded(command.item, previous))
        self._outbox.put(ItemDone(command.item, previous))
        self._record(command.item)

    def _truncate(self, command: TruncateItem) -> None:
        used_ms = self._conversation.truncate(command.item_id, command.audio_end_ms)
        self._outbox.put(ItemTruncated(command.item_id, used_ms))
        self._record(self._conversation.get(command.item_id), heard_ms=used_ms)

    # --- hearing the user ----------------------------------------------------------------------------

    def _hold(self) -> None:
        """Step one of a barge-in: release nothing more until it is known whether this is speech."""
        reply, turn = self._reply, self._turn
        if reply is None or not reply.playing or not self._config.turn_detection.interrupt_response:
            return
        reply.pacer.hold()
        if turn is not None:
            turn.marks.move("bi_detected")
        self._outbox.put(ReplyHeld(reply.id, True))

    def _release(self) -> None:
        reply = self._reply
        if reply is not None and reply.pacer.held:
            reply.pacer.resume()
            self._outbox.put(ReplyHeld(reply.id, False))

    def _on_user_started(self, started: UserStarted) -> None:
        utterance = started.utterance
        self._outbox.put(SpeechStarted(utterance.item_id, started.start_ms))
        reply = self._reply
        if self._config.turn_detection.interrupt_response:
            self._due = None
            if reply is not None and (not reply.closed or reply.playing):
                self._interrupt(reply, utterance.marks.at["user_speech_start"])
        else:
            self._release()
        self._new_turn(utterance.marks, item_id=utterance.item_id)

    def _interrupt(self, reply: Reply, onset: float) -> None:
        """Step two: everything unheard is gone, and history ends where the listener was."""
        turn = self._turn if self._turn is not None and self._turn.reply is reply else None
        if turn is not None:
            turn.marks.move("bi_speech_start", onset)
            turn.marks.stamp("bi_detected")
            turn.marks.stamp("bi_decided")
        counters.count(names.INTERRUPTIONS, outcome="true")
        self._cut(reply, "turn_detected")
        if turn is not None:
            turn.marks.stamp("bi_flushed")
            self._close_turn(turn)

    def _cut(self, reply: Reply, reason: str) -> None:
        """Stop a reply for good and cut its item to what was heard by our estimate."""
        task = self._tasks.pop(reply.id, None)
        if task is not None:
            task.cancel()
        unsent_ms = self._outbox.discard_audio(reply.id)
        heard_ms = min(reply.pacer.heard_ms(), reply.ledger.audio_ms - unsent_ms)
        if reply.ledger.heard_ms is None and reply.message is not None:
            reply.ledger.heard_ms = max(0.0, heard_ms)
        was_open = not reply.closed
        reply.close("cancelled", reason)
        if reply.message is None or not reply.plan.options.in_conversation:
            return
        if not was_open and reply.message.id in self._conversation:
            self._conversation.truncate(reply.message.id, int(reply.ledger.heard_ms or 0))
        self._record_reply(reply)

    def _on_user_committed(self, committed: UserCommitted) -> None:
        utterance = committed.utterance
        self._commits_done += committed.stopped_ms is None
        turn = self._spoken_turn(committed)
        turn.user_end_sample = committed.user_end_sample
        previous = self._conversation.last_id
        item = MessageItem(utterance.item_id, "user", (Content("audio"),))
        if committed.stopped_ms is not None:
            self._outbox.put(SpeechStopped(item.id, committed.stopped_ms))
        self._outbox.put(AudioCommitted(item.id, previous))
        self._conversation.add(item)
        self._conversation.keep_audio(item.id, utterance.audio())
        self._outbox.put(ItemAdded(item, previous))
        self._outbox.put(ItemDone(item, previous))
        self._awaited.add(item.id)
        if committed.stopped_ms is not None and self._config.turn_detection.create_response:
            self._due = CreateResponse()
        self._release()
        heard = self._transcripts.pop(item.id, None)
        if heard is not None:
            self._on_transcript(item.id, heard)

    def _spoken_turn(self, committed: UserCommitted) -> Turn:
        if self._turn is None or self._turn.item_id != committed.utterance.item_id:
            return self._new_turn(committed.utterance.marks, item_id=committed.utterance.item_id)
        return self._turn

    def _on_transcript(self, item_id: str, heard: Transcript | ProviderError) -> None:
        """The words are in. Before the turn is committed they only wait."""
        if item_id not in self._awaited:
            self._transcripts[item_id] = heard
            if len(self._transcripts) > 4:
                self._transcripts.pop(next(iter(self._transcripts)))
            return
        self._awaited.discard(item_id)
        if isinstance(heard, ProviderError):
            self._on_not_heard(item_id, heard)
        else:
            self._on_words(item_id, heard)
        self._answer_if_due()

    def _on_words(self, item_id: str, heard: Transcript) -> None:
        text = heard.text.strip()
        item = MessageItem(item_id, "user", (Content("audio", transcript=text),))
        self._conversation.update(item)
        audio = self._conversation.audio_of(item_id)
        if self._config.transcription:
            self._outbox.put(TranscriptCompleted(item_id, text, audio.ms / 1000 if audio else 0.0))
        if text:
            self._record(item, audio_ms=round(audio.ms) if audio else None)
            return
        counters.count(names.TRANSCRIPTS_REJECTED, reason=heard.rejected or "empty")
        self._due = None
        if self._turn is not None and self._turn.item_id == item_id:
            self._turn = None  # nobody spoke: there was no turn

    def _on_not_heard(self, item_id: str, error: ProviderError) -> None:
        if self._config.transcription:
            self._outbox.put(TranscriptFailed(item_id, str(error)))
        if self._due is not None:
            due, self._due = self._due, None
            self._start_reply(due, failure=error)

    # --- replies -------------------------------------------------------------------------------------

    def _create_response(self, command: CreateResponse) -> None:
        if self._config.transcription_only:
            raise ClientError("A transcription session makes no responses.", code="invalid_value", param="type")
        if not command.options.in_conversation:
            self._start_side(command)
            return
        busy = self._reply is not None and not self._reply.closed
        if self._due is not None or (busy and self._reply is not None and self._reply.thinking):
            raise ClientError(
                "Conversation already has an active response in progress. Wait until the response is finished before "
                "creating a new one.",
                code="conversation_already_has_active_response",
            )
        self._due = command
        self._answer_if_due()

    def _answer_if_due(self) -> None:
        """Start the reply that is owed, once every word is in and the one before has been said."""
        if self._due is None or self._awaited or (self._reply is not None and not self._reply.closed):
            return
        due, self._due = self._due, None
        self._start_reply(due)

    def _start_reply(self, command: CreateResponse, failure: ProviderError | None = None) -> None:
        turn = self._turn_to_answer()
        turn.marks.stamp("turn_committed")
        reply = self._make_reply(command.options, turn.marks, failure=failure, turn=turn)
        turn.reply = self._reply = reply
        self._run(reply)

    def _start_side(self, command: CreateResponse) -> None:
        if len(self._side) >= self._bounds.side_responses:
            raise ClientError(
                f"At most {self._bounds.side_responses} out-of-band responses may run at once.",
                code="rate_limit_exceeded",
            )
        marks = TurnMarks(self._clock)
        marks.stamp("turn_open")
        reply = self._make_reply(command.options, marks)
        self._side[reply.id] = reply
        self._run(reply)

    def _make_reply(
        self,
        options: ResponseOptions,
        marks: TurnMarks,
        *,
        failure: ProviderError | None = None,
        turn: Turn | None = None,
    ) -> Reply:
        config, spec = self._config, self._agent.spec
        greets = (
            spec.greeting
            and turn is not None
            and not len(self._conversation)
            and options == replace(ResponseOptions(), metadata=options.metadata, modality=options.modality)
        )
        limit = options.max_output_tokens or config.max_output_tokens
        plan = Plan(
            response_id=self._new_id("resp"),
            options=options,
            modality=options.modality or config.modality,
            voice=VoiceOptions(options.voice or config.voice or spec.tts.voice, config.speed),
            request=ReplyRequest(
                self._conversation.messages(self._context(options)),
                config.instructions if options.instructions is None else options.instructions,
                CompletionOptions(options.tool_choice or config.tool_choice, limit, spec.llm.temperature),
            ),
            max_output_tokens=limit,
            script=spec.greeting if greets else None,
            failure=failure,
            turn_id=None if turn is None else f"{self._identity.session_id}.{turn.index}",
            user_end_sample=None if turn is None else turn.user_end_sample,
        )
        tools: tuple[ToolSpec, ...] = config.tools if options.tools is None else options.tools
        return Reply(
            plan,
            self._agent,
            ShieldedToolbox(self._agent.toolbox(tools), self._group, self._on_tool_ended),
            conversation=self._conversation,
            outbox=self._outbox,
            bounds=self._bounds,
            marks=marks,
            new_item_id=self._new_item_id,
        )

    def _on_tool_ended(self, call: ToolCall, output: str) -> None:
        """What a tool of the agent's own did belongs to the history, even if the reply was interrupted."""
        self._conversation.remember(Message("assistant", "", calls=(call,)), Message("tool", output, call_id=call.id))

    def _context(self, options: ResponseOptions) -> list[Item] | None:
        """The items a response is to see instead of the conversation, if it says so."""
        if options.input is None:
            return None
        return [
            self._conversation.get(item, code="item_reference_not_found") if isinstance(item, str) else item
            for item in options.input
        ]

    def _run(self, reply: Reply) -> None:
        reply.start()
        self._tasks[reply.id] = self._group.create_task(self._say(reply), name=reply.id)

    async def _say(self, reply: Reply) -> None:
        await reply.run()
        self._post(_ReplyEnded(reply))

    def _on_reply_ended(self, reply: Reply) -> None:
        self._tasks.pop(reply.id, None)
        self._side.pop(reply.id, None)
        if reply.closed:
            return
        reply.close()
        if reply is not self._reply:
            return
        self._record_reply(reply)
        left_s = reply.pacer.unplayed_ms() / 1000
        if self._turn is not None and self._turn.reply is reply:
            self._expect_turn_end(self._turn, left_s)
        if reply.hang_up:
            self._later(left_s + 0.2, _TimeUp("hang_up"))
        self._answer_if_due()

    def _cancel_response(self, command: CancelResponse) -> None:
        reply = self._side.get(command.response_id or "") or self._reply
        if reply is None or reply.closed or command.response_id not in (None, reply.id):
            if self._due is not None and command.response_id is None:
                self._due = None
                return
            raise ClientError(
                "Cancellation failed: no active response found", code="response_cancel_not_active", param="response_id"
            )
        self._side.pop(reply.id, None)
        self._cut(reply, "client_cancelled")
        if self._turn is not None and self._turn.reply is reply:
            self._close_turn(self._turn)

    # --- turns ---------------------------------------------------------------------------------------

    def _new_turn(self, marks: TurnMarks, *, item_id: str | None = None) -> Turn:
        if self._turn is not None:
            self._close_turn(self._turn)
        marks.stamp("turn_open")
        spoke = item_id is not None
        asked = any(isinstance(item, MessageItem) and item.role == "user" for item in self._conversation)
        self._turn = Turn(
            index=self._turns,
            marks=marks,
            kind="plain" if spoke else "text" if asked else "agent_initiated",
            initiator="user" if spoke or asked else "agent",
            item_id=item_id,
        )
        self._turns += 1
        return self._turn

    def _turn_to_answer(self) -> Turn:
        """The user's spoken turn if it is still without an answer, else a new one."""
        if self._turn is not None and self._turn.reply is None:
            return self._turn
        return self._new_turn(TurnMarks(self._clock))

    def _expect_turn_end(self, turn: Turn, left_s: float) -> None:
        """Close the turn when it has been heard: at the client's report, or when it should have ended."""
        grace_s = PLAYBACK_REPORT_MS / 1000 if turn.reports else 0.0
        self._later(left_s + grace_s, _TurnOver(turn))

    def _close_turn(self, turn: Turn, end_reason: EndReason | None = None) -> None:
        if turn is not self._turn:
            return
        self._turn = None
        reply = turn.reply
        if reply is None and end_reason is None:
            return  # the user went on, or said nothing: the next turn tells it
        if reply is not None:
            turn.marks.fact("output_tokens", reply.usage.output_tokens)
            turn.marks.fact("input_tokens", reply.usage.input_tokens)
            turn.marks.fact("audio_ms", round(reply.ledger.audio_ms))
            turn.marks.fact("underrun_ms", round(reply.pacer.underrun_ms, 1))
        trace = close_turn(
            turn.marks,
            anchor=self._anchor,
            session_id=self._identity.session_id,
            index=turn.index,
            agent=self._agent.spec.slug,
            agent_version=self._agent.spec.version,
            transport=self._identity.transport,
            kind="tool" if turn.kind == "plain" and "tool[0].start" in turn.marks.at else turn.kind,
            initiator=turn.initiator,
            end_reason=end_reason or turn.end_reason(),
        )
        self._journal.write(TurnRecorded(trace))
        self._outbox.put(TurnClosed(trace.to_dict()))

    def _on_playback(self, report: ReportPlayback) -> None:
        turn, reply = self._turn, self._reply
        if reply is None or reply.id != report.response_id:
            return
        if reply.message is not None and reply.message.id in self._conversation and report.state == "stopped":
            self._conversation.truncate(reply.message.id, report.played_ms)
            self._record_reply(reply)
        if turn is None or turn.reply is not reply:
            return
        turn.reports = True
        if report.state == "started":
            turn.marks.stamp("client_playback_started")
            if report.voice_to_voice_ms is not None:
                turn.marks.fact("client_voice_to_voice_ms", round(report.voice_to_voice_ms, 1))
        elif report.state in ("stopped", "ended"):
            turn.marks.stamp(f"client_playback_{report.state}")
            if reply.closed:
                self._close_turn(turn)

    # --- time and records ----------------------------------------------------------------------------

    def _on_time_up(self, reason: str) -> None:
        quiet_s = self._clock() - self._last_heard_at
        if reason == "idle" and quiet_s < self._bounds.idle_s:
            self._later(self._bounds.idle_s - quiet_s, _TimeUp("idle"))
            return
        if reason == "hang_up" and (self._listening.in_turn or self._reply is None or not self._reply.hang_up):
            return  # the user spoke again before the call ended
        self._ending = reason

    def _record_reply(self, reply: Reply) -> None:
        message = reply.message
        if message is None or message.id not in self._conversation:
            return
        heard = reply.ledger.heard_ms
        self._record(
            message,
            heard_ms=None if heard is None else round(heard),
            audio_ms=round(reply.ledger.audio_ms),
            heard_chars=None if heard is None else len(reply.ledger.heard_text),
        )

    def _record(
        self, item: Item, *, heard_ms: int | None = None, audio_ms: int | None = None, heard_chars: int | None = None
    ) -> None:
        kind, role, text = _described(item)
        if item.id not in self._recorded:
            self._recorded[item.id] = self._records
            self._records += 1
            if len(self._recorded) > 2 * self._bounds.conversation_items:
                del self._recorded[next(iter(self._recorded))]
        index = self._recorded[item.id]
        self._journal.write(
            ItemRecorded(
                session_id=self._identity.session_id,
                index=index,
                item_id=item.id,
                turn_index=self._turn.index if self._turn else max(0, self._turns - 1),
                kind=kind,
                role=role,
                text=text,
                at=datetime.now(UTC),
                heard_ms=heard_ms,
                audio_ms=audio_ms,
                interrupted=heard_ms is not None,
                heard_chars=heard_chars,
            )
        )

    def _new_item_id(self) -> str:
        return self._new_id("item")


class _Ended(Exception):
    """Leaves the session's task group, and with it ends every task in it."""


def _described(item: Item) -> tuple[ItemKind, str, str]:
    """(kind, role, text) for the records."""
    match item:
        case CallItem():
            return "function_call", "assistant", f"{item.name}({item.arguments})"
        case CallOutputItem():
            return "function_call_output", "tool", item.output
        case MessageItem():
            return "message", item.role, " ".join(part.text or part.transcript or "" for part in item.content).strip()
