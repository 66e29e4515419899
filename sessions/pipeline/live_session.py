"""The orchestrator of one conversation: one loop over one inbox, and the only writer of its state.

Commands come from the client through `accept` and `hear`, findings from the listening half, endings from
the replies. Nothing in the loop waits: what takes time runs as a task of the session's group and reports
back through the inbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from agents.build import VoiceAgent
from agents.errors import ClientError, ProviderError
from agents.interfaces import Transcript
from sessions.pipeline.acknowledging import Acknowledger
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.conversation import Conversation
from sessions.pipeline.deciding import Deciding, Decision
from sessions.pipeline.feed import Taken
from sessions.pipeline.findings import (
    BufferCleared,
    CommitRefused,
    Heard,
    NotTranscribed,
    Partial,
    SpeechDismissed,
    SpeechSuspected,
    Transcribed,
    UserCommitted,
    UserResumed,
    UserStarted,
)
from sessions.pipeline.floor import Floor
from sessions.pipeline.inbox import Inbox, Ordered
from sessions.pipeline.inward import (
    HoldOver,
    Inward,
    News,
    ReplyEnded,
    RoomAgain,
    Silence,
    TimeUp,
    TurnOver,
)
from sessions.pipeline.items import Items
from sessions.pipeline.listening import Ears, Listening
from sessions.pipeline.messages import (
    Answer,
    Answered,
    AppendAudio,
    AudioCleared,
    AudioCommand,
    CancelResponse,
    ClearAudio,
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
    IdleTimedOut,
    Inject,
    MessageItem,
    PushEvent,
    ReportPlayback,
    ResponseOptions,
    RetrieveItem,
    SessionConfig,
    SessionEnded,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptDelta,
    TranscriptFailed,
    TranscriptPartial,
    TruncateItem,
)
from sessions.pipeline.outbox import Outbox
from sessions.pipeline.owed import Due, Owed
from sessions.pipeline.phrasebook import Phrasebook
from sessions.pipeline.planning import spoken_by
from sessions.pipeline.recorder import Recorder
from sessions.pipeline.records import Journal
from sessions.pipeline.replies import Replies
from sessions.pipeline.replying import BUG, Reply, first_of
from sessions.pipeline.snapshot import Activity, Snapshot
from sessions.pipeline.speculation import Speculation, changes_the_answer
from sessions.pipeline.timers import Timers
from sessions.pipeline.transcripts import Transcripts
from sessions.pipeline.turn_book import TurnBook
from sessions.pipeline.turn_taking import MIN_SPEECH_MS
from sessions.pipeline.turns import Identity, Turn
from sessions.pipeline.utterance import Utterance
from sessions.pipeline.warmth import Warmth
from telemetry import counters, names
from telemetry.trace import TurnMarks

PLAYBACK_REPORT_MS = 1500
"""How long past its expected end a client that reports playback may take to say that it ended."""


class LiveSession:
    """A conversation running. `accept` and `hear` feed it, `events` is what the client is to be told.

    `ended_by` is the reason, once it has ended.
    """

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
        phrasebook: Phrasebook | None = None,
    ) -> None:
        self._agent = agent
        self._bounds = bounds
        self._clock = clock
        self._new_id = new_id
        self._config = config
        self._outbox = Outbox(bounds.events_out, bounds.audio_events_out)
        self._conversation = Conversation(
            max_items=bounds.conversation_items,
            max_chars=bounds.conversation_chars,
            audio_items=bounds.item_audio_items,
            audio_ms=bounds.item_audio_ms,
        )
        self._warmth = Warmth(agent.prepare)
        self._acknowledger = Acknowledger(agent.spec, agent.tts, phrasebook or Phrasebook())
        self._inbox: Inbox[Inward] = Inbox(bounds.inbox_messages)
        self._timers = Timers(self._inbox.post)
        self._listening = Listening(
            ears,
            config.turn_detection,
            bounds,
            post=self._inbox.post,
            clock=clock,
            new_item_id=self._new_item_id,
            unhurried=lambda: self._config.transcription_only,
            agent_speaking=lambda: self._replies.playing,
            hints=config.hints,
        )
        self._recorder = Recorder(journal, agent.spec, identity, clock=clock, items=2 * bounds.conversation_items)
        self._turns = TurnBook(
            self._recorder,
            self._conversation,
            self._outbox,
            worth_keeping=lambda turn: turn.kind != "event" or self._deciding.records(turn),
        )
        self._items = Items(self._conversation, self._outbox, self._turns)
        self._replies = Replies(
            agent,
            bounds,
            session_id=identity.session_id,
            conversation=self._conversation,
            outbox=self._outbox,
            turns=self._turns,
            acknowledger=self._acknowledger,
            new_id=new_id,
            ended=lambda reply: self._inbox.post(ReplyEnded(reply)),
        )
        self._floor = Floor(
            self._replies, self._turns, self._outbox, later=lambda seconds: self._timers.later(seconds, HoldOver())
        )
        self._speaking: str | None = None
        self._transcripts = Transcripts()
        self._owed = Owed()
        self._last_heard_at = clock()
        self._ending: str | None = None
        self.ended_by: str | None = None
        self._fault = BUG
        self._deciding = Deciding(agent.spec, bounds, clock)
        self._wake: asyncio.TimerHandle | None = None
        self._waiting_for_room: asyncio.Task[None] | None = None
        self._speculation = Speculation(agent.spec, clock)

    # --- the outside ---------------------------------------------------------------------------------

    def accept(self, command: Command) -> None:
        """Queue a command that is not audio. Raises Overloaded when the inbox is full; the session lives.

        A pushed event goes to the feed at once, since it may replace the one before it.
        """
        if isinstance(command, PushEvent):
            self._last_heard_at = self._clock()
            if self._deciding.push(command):
                self._inbox.post(News())
            return
        self._inbox.accept(command)
        self._last_heard_at = self._clock()

    def steer(self, command: Command) -> asyncio.Future[None]:
        """Queue a command of somebody else than the client, which is told all that comes of it.

        The answer is done once the command is, with the ClientError if it could not be; cancelling it takes the
        command back. It stays open if the session ends before. Overloaded as for `accept`.
        """
        return self._inbox.steer(command)

    def has_room(self, command: AudioCommand) -> bool:
        """Whether `hear` would not wait."""
        return self._listening.has_room(command)

    async def hear(self, command: AudioCommand) -> None:
        """Queue audio, a commit or a clear, in arrival order; waits while too much is unheard."""
        self._last_heard_at = self._clock()
        if isinstance(command, CommitAudio | ClearAudio):
            self._inbox.commit_sent()
        await self._listening.put(command)

    def end(self, reason: str) -> None:
        """End the session; the client is told."""
        self._inbox.post(TimeUp(reason))

    def abandon(self, reason: str) -> None:
        """End the session of a client that has gone: nothing more is told to it."""
        self._outbox.abandon()
        self.end(reason)

    def snapshot(self) -> Snapshot:
        """The session as it stands."""
        reply = self._replies.current
        activity: Activity = "waiting"
        if self._speaking is not None:
            activity = "hearing"
        elif reply is not None and reply.playing:
            activity = "speaking"
        elif self._owed.due is not None or (reply is not None and not reply.closed):
            activity = "thinking"
        return Snapshot(self._agent.spec, self._config, tuple(self._conversation), activity, self._turns.count)

    def events(self) -> AsyncIterator[Event]:
        """Everything the client is to be told, once, in order; SessionEnded is the last."""
        return aiter(self._outbox)

    async def run(self) -> None:
        """Hold the conversation until it ends. A bug inside leaves as an ExceptionGroup, and so does a broken VAD."""
        self._timers.later(self._bounds.session_s, TimeUp("expired"))
        self._timers.later(self._bounds.idle_s, TimeUp("idle"))
        try:
            await self._live()
        except asyncio.CancelledError:
            self._ending = "shutdown"
            raise
        except ExceptionGroup as group:
            broken, _ = group.split(ProviderError)
            self._fault = str(first_of(broken)) if broken else BUG
            raise
        finally:
            self._timers.cancel()
            self._finish(self._ending or "failed")

    async def _live(self) -> None:
        try:
            async with asyncio.TaskGroup() as self._group:
                self._replies.open(self._group)
                self._group.create_task(self._listening.run(), name="listening")
                self._warmth.renew(self._group)
                self._acknowledger.prepare(self._group, spoken_by(self._agent.spec, self._config))
                await self._converse()
                raise _Ended
        except* _Ended:
            pass

    def _finish(self, reason: str) -> None:
        self._discard_attempt()
        unfinished = self._replies.unfinished
        for reply in unfinished:
            self._replies.cut(reply, *(("failed", None) if reason == "failed" else ("cancelled", "client_cancelled")))
        answering, asked = self._turns.answering, self._turns.asked
        cut_short = answering is not None and answering.reply in unfinished and reason != "failed"
        self._turns.close(answering, "session_closed" if cut_short else None)
        if asked is not None:
            self._turns.write(asked, "session_closed")
        self._deciding.ended()
        if reason == "failed":
            self._outbox.put(ErrorOccurred(self._fault, "server_error", kind="server_error"))
        self.ended_by = reason
        self._recorder.closed(reason)
        self._items.release()
        self._outbox.put(SessionEnded(reason))

    # --- the loop ------------------------------------------------------------------------------------

    async def _converse(self) -> None:
        while self._ending is None:
            message = await self._inbox.get()
            match message:
                case None | RoomAgain():
                    pass
                case News():
                    self._deciding.awake()
                case ReplyEnded(reply):
                    self._on_reply_ended(reply)
                case TurnOver(turn):
                    self._turns.close(turn)
                case TimeUp(reason):
                    self._on_time_up(reason)
                case HoldOver():
                    self._floor.release()
                case Silence(reply):
                    self._on_silence(reply)
                case _:
                    self._on_heard(message)
            self._carry_out_deferred()
            self._decide()
            if not self._replies.speaking:
                self._items.release()

    def _carry_out_deferred(self) -> None:
        """Commands whose commits are done, for as long as there is room for their answers."""
        while self._inbox.has_due and self._ending is None:
            if not self._outbox.has_room:
                self._wait_for_room()
                return
            self._carry_out(self._inbox.take_due())

    def _wait_for_room(self) -> None:
        if self._waiting_for_room is None or self._waiting_for_room.done():
            self._waiting_for_room = self._group.create_task(self._tell_of_room(), name="room")

    async def _tell_of_room(self) -> None:
        await self._outbox.room()
        self._inbox.post(RoomAgain())

    def _carry_out(self, ordered: Ordered) -> None:
        command, answer = ordered.command, ordered.answer
        if answer is not None and answer.done():
            return  # it was taken back
        if changes_the_answer(command):
            self._discard_attempt()
        try:
            self._do(command)
        except ClientError as error:
            if answer is None:
                self._refuse(error, getattr(command, "event_id", None))
            else:
                answer.set_exception(error)
        else:
            if answer is not None:
                answer.set_result(None)

    def _refuse(self, error: ClientError, event_id: str | None) -> None:
        self._outbox.put(ErrorOccurred(str(error), error.code, error.param, event_id))

    def _do(self, command: Command) -> None:
        match command:
            case Configure():
                self._configure(command)
            case CreateItem():
                self._create_item(command)
            case Inject():
                self._inject(command)
            case DeleteItem(item_id):
                self._items.delete(item_id)
            case RetrieveItem(item_id):
                self._items.retrieve(item_id, speaking=self._replies.speaking)
            case TruncateItem(item_id, audio_end_ms):
                self._items.truncate(item_id, audio_end_ms)
            case CreateResponse():
                self._create_response(command)
            case CancelResponse():
                self._cancel_response(command)
            case Answer(message):
                self._outbox.put(Answered(message))
            case ReportPlayback():
                self._on_playback(command)
            case AppendAudio() | CommitAudio() | ClearAudio() | PushEvent():
                raise AssertionError("audio goes through hear(), events to the feed")

    def _on_heard(self, heard: Heard) -> None:
        match heard:
            case SpeechSuspected():
                if self._config.turn_detection.interrupt_response:
                    self._floor.hold()
            case SpeechDismissed(backchannel):
                self._floor.release("backchannel" if backchannel else "false")
            case UserStarted():
                self._on_user_started(heard)
            case UserResumed(utterance):
                self._transcripts.forget(utterance.item_id)
                self._warmth.renew(self._group)
                self._discard_attempt()
            case UserCommitted():
                self._on_user_committed(heard)
            case CommitRefused(error, event_id, asked):
                if asked:
                    self._inbox.commit_done()
                self._refuse(error, event_id)
            case BufferCleared():
                self._inbox.commit_done()
                self._on_cleared()
            case Partial(utterance, text, settled):
                self._tell(utterance, text[:settled])
                self._outbox.put(TranscriptPartial(utterance.item_id, text))
            case Transcribed() | NotTranscribed():
                self._on_transcript(heard)

    # --- configuration and items ---------------------------------------------------------------------

    def _configure(self, command: Configure) -> None:
        config = command.config
        if self._config.turn_detection.type == "none" and config.turn_detection.type != "none":
            self._speaking = None
        self._config = config
        self._acknowledger.prepare(self._group, spoken_by(self._agent.spec, config))
        self._listening.configure(config.turn_detection, config.hints)
        self._floor.release()
        self._outbox.put(Configured(config, command.spelling))

    def _create_item(self, command: CreateItem) -> None:
        if command.item.id in (self._speaking, self._listening.item_id):
            raise ClientError(
                "This id belongs to what the user is saying.", code="item_create_duplicate_item_id", param="item.id"
            )
        self._items.create(command.item, command.previous_id)

    def _inject(self, command: Inject) -> None:
        """All or nothing: a response that cannot begin leaves the item out too."""
        if command.response is not None:
            self._check_response(command.response)
        self._create_item(CreateItem(command.item, command.previous_id))
        if command.response is not None:
            self._create_response(CreateResponse(command.response))

    # --- hearing the user ----------------------------------------------------------------------------

    def _on_user_started(self, started: UserStarted) -> None:
        utterance = started.utterance
        self._speaking = utterance.item_id
        self._warmth.renew(self._group)
        self._outbox.put(SpeechStarted(utterance.item_id, started.start_ms))
        if not self._config.turn_detection.interrupt_response:
            self._floor.release()
            return
        unheard = self._unheard_answer()
        self._floor.interrupt(started.onset)
        due = self._owed.withdraw()
        if due is not None and due.item_id is None:
            self._cancel_due(due, "turn_detected")
        else:
            self._set_aside(due or unheard)

    def _unheard_answer(self) -> Due | None:
        """What is owed if the user's last turn is being answered and nothing of it has been heard."""
        reply = self._replies.current
        turn = None if reply is None or reply.closed or not reply.traceless else self._turns.answered_by(reply)
        return None if turn is None or turn.item_id is None else Due(CreateResponse(), turn.item_id)

    def _set_aside(self, due: Due | None) -> None:
        """The user speaks on before they heard `due`."""
        if due is not None and due.item_id is not None and self._answers:
            self._owed.set_aside(due)

    def _on_cleared(self) -> None:
        spoke, self._speaking = self._speaking, None
        self._discard_attempt()
        self._floor.release()
        self._outbox.put(AudioCleared())
        if spoke is not None:
            self._owed.restore()
            self._answer_if_due()

    def _on_user_committed(self, committed: UserCommitted) -> None:
        utterance = committed.utterance
        if committed.stopped_ms is None:
            self._inbox.commit_done()
            self._owed.forget_aside()  # the client ends turns by itself, and says what is answered
        else:
            self._set_aside(self._owed.due)
        self._speaking = None
        self._turns.asked = self._turns.new(
            utterance.marks,
            item_id=utterance.item_id,
            user_end_sample=utterance.client_end,
            before=None if self._config.transcription_only else self._turns.asked,
        )
        if committed.stopped_ms is not None:
            self._outbox.put(SpeechStopped(utterance.item_id, committed.stopped_ms))
        self._items.commit(utterance.item_id, audio=utterance.audio())
        heard = self._transcripts.expect(utterance.item_id)
        if committed.stopped_ms is not None and self._answers:
            self._owed.answer_turn(utterance.item_id)
        self._floor.release()
        if heard is not None:
            self._on_transcript(heard)
        elif self._speculation.wanted and self._owed.due is not None and self._owed.due.item_id == utterance.item_id:
            self._speculation.late(utterance.marks)
        self._discard_attempt()

    def _on_transcript(self, heard: Transcribed | NotTranscribed) -> None:
        """The words are in. Before the turn is committed they only wait."""
        if not self._transcripts.arrived(heard):
            self._attempt(heard)
            return
        match heard:
            case Transcribed(utterance, transcript):
                self._on_words(utterance, transcript)
            case NotTranscribed(utterance, error):
                self._on_not_heard(utterance.item_id, error)
        self._answer_if_due()

    def _on_words(self, utterance: Utterance, heard: Transcript) -> None:
        text, item_id = heard.text.strip(), utterance.item_id
        item = _said(utterance, text)
        self._conversation.update(item)
        self._tell(utterance, text)
        if self._config.transcription:
            self._outbox.put(TranscriptCompleted(item_id, text, utterance.ms / 1000))
        if text:
            self._turns.understood(item_id)
            self._turns.record(item, audio_ms=round(utterance.ms))
            return
        counters.count(names.TRANSCRIPTS_REJECTED, reason=heard.rejected or "empty")
        self._turns.dismiss(item_id)
        self._owed.had_no_words(item_id)

    def _tell(self, utterance: Utterance, words: str) -> None:
        """Tell the client what of `words`, which stand for good, it does not know yet."""
        if not self._config.transcription or not words.startswith(utterance.told):
            return
        added, utterance.told = words[len(utterance.told) :], words
        if added:
            self._outbox.put(TranscriptDelta(utterance.item_id, added))

    def _on_not_heard(self, item_id: str, error: ProviderError) -> None:
        if self._config.transcription:
            self._outbox.put(TranscriptFailed(item_id, str(error)))
        self._turns.understood(item_id)
        self._owed.not_transcribed(item_id, error)

    # --- optimism ------------------------------------------------------------------------------------

    @property
    def _answers(self) -> bool:
        """Whether a turn that ends by itself is answered."""
        return self._config.turn_detection.create_response and not self._config.transcription_only

    def _attempt(self, heard: Transcribed | NotTranscribed) -> None:
        """The words of a turn that may be over: begin to answer them, unheard until it is certain."""
        self._discard_attempt()
        if not isinstance(heard, Transcribed) or not self._may_attempt(heard.utterance):
            return
        text = heard.transcript.text.strip()
        if not text:
            return
        said, marks = _said(heard.utterance, text), TurnMarks(self._clock)
        reply = self._replies.make(ResponseOptions(), self._config, marks, tentative=said)
        if self._speculation.begin(reply, heard.utterance, self._config):
            self._replies.attempt(reply)

    def _may_attempt(self, utterance: Utterance) -> bool:
        spoke = self._speaking == utterance.item_id and utterance.speech_ms >= MIN_SPEECH_MS
        detected = spoke and self._config.turn_detection.type != "none"
        free = not self._replies.busy and not self._answer_awaited
        return self._speculation.wanted and self._answers and detected and free

    def _discard_attempt(self) -> None:
        reply = self._speculation.discard()
        if reply is not None:
            self._replies.give_up(reply)

    # --- replies -------------------------------------------------------------------------------------

    def _create_response(self, command: CreateResponse) -> None:
        self._check_response(command.options)
        if not command.options.in_conversation:
            self._start_side(command)
            return
        self._owed.due = Due(command)
        self._answer_if_due()

    def _check_response(self, options: ResponseOptions) -> None:
        """A ClientError unless a response may begin, or be owed."""
        if self._config.transcription_only:
            raise ClientError("A transcription session makes no responses.", code="invalid_value", param="type")
        if not options.in_conversation:
            self._replies.require_room_beside()
            return
        reply = self._replies.current
        if self._owed.due is not None or (reply is not None and not reply.closed and reply.undecided):
            raise ClientError(
                "Conversation already has an active response in progress. Wait until the response is finished before "
                "creating a new one.",
                code="conversation_already_has_active_response",
            )

    @property
    def _answer_awaited(self) -> bool:
        """Whether an answer is owed, or may be once the words are in."""
        return self._owed.due is not None or self._transcripts.awaited

    def _answer_if_due(self) -> None:
        """Start the reply that is owed, once every word is in and the one before has been said."""
        if self._transcripts.awaited or self._replies.busy or (due := self._owed.take()) is None:
            return
        try:
            self._start_reply(due)
        except ClientError as error:
            self._refuse(error, due.command.event_id)

    def _start_reply(self, due: Due) -> None:
        """Answer the user's spoken turn if it is still without an answer, else begin a new one."""
        asked = self._turns.asked or self._turns.new(TurnMarks(self._clock))
        try:
            reply = self._replies.make(due.command.options, self._config, asked.marks, failure=due.failure, turn=asked)
        except ClientError:
            if asked is not self._turns.asked:
                self._turns.take_back(asked)
            raise
        early = self._speculation.take(reply.plan, self._config)
        if asked.item_id is not None and self._speculation.wanted:
            self._speculation.answered(asked.marks, early=early is not None)
        self._replies.current = early or reply
        self._turns.answer(asked, self._replies.current)
        if early is not None:
            early.adopt(reply.plan, asked.marks)
        else:
            self._replies.run(reply)

    def _cancel_due(self, due: Due, reason: str) -> None:
        """A response that never began; the client hears of it as of any other."""
        try:
            reply = self._replies.make(due.command.options, self._config, TurnMarks(self._clock))
        except ClientError as error:
            self._refuse(error, due.command.event_id)
            return
        reply.start()
        reply.close("cancelled", reason)

    def _start_side(self, command: CreateResponse) -> None:
        marks = TurnMarks(self._clock)
        marks.stamp("turn_open")
        self._replies.run_beside(self._replies.make(command.options, self._config, marks))

    def _on_reply_ended(self, reply: Reply) -> None:
        self._replies.left(reply)
        if reply.closed:
            return
        reply.close()
        if reply is not self._replies.current:
            return
        self._turns.record_reply(reply)
        left_s = reply.pacer.unplayed_ms() / 1000
        if (turn := self._turns.answered_by(reply)) is not None:
            self._expect_end(turn, left_s)
        idle_ms = self._config.turn_detection.idle_timeout_ms
        if reply.hang_up:
            self._timers.later(left_s + 0.2, TimeUp("hang_up"))
        elif idle_ms is not None and self._config.turn_detection.type != "none":
            self._timers.later(left_s + idle_ms / 1000, Silence(reply))
        self._answer_if_due()

    def _on_silence(self, reply: Reply) -> None:
        """The user says nothing: the silence becomes an item, and the agent speaks up."""
        if self._answer_awaited or self._speaking is not None or reply is not self._replies.current:
            return
        end_ms = self._listening.heard_ms
        item_id = self._new_item_id()
        idle_ms = self._config.turn_detection.idle_timeout_ms or 0
        self._outbox.put(IdleTimedOut(item_id, max(0, end_ms - idle_ms), end_ms))
        self._items.commit(item_id, transcript="")
        if self._config.transcription:
            self._outbox.put(TranscriptCompleted(item_id, "", 0.0))
        self._turns.asked = turn = self._turns.new(TurnMarks(self._clock))
        turn.kind, turn.initiator = "agent_initiated", "agent"
        self._owed.due = Due(CreateResponse(), item_id)
        self._answer_if_due()

    def _cancel_response(self, command: CancelResponse) -> None:
        reply = self._replies.beside.get(command.response_id or "") or self._replies.current
        if reply is None or reply.closed or command.response_id not in (None, reply.id):
            if command.response_id is None and (due := self._owed.withdraw()) is not None:
                self._cancel_due(due, "client_cancelled")
                return
            raise ClientError(
                "Cancellation failed: no active response found", code="response_cancel_not_active", param="response_id"
            )
        self._replies.cut(reply, "cancelled", "client_cancelled")
        self._turns.close(self._turns.answered_by(reply))
        self._answer_if_due()

    # --- deciding on events ----------------------------------------------------------------------------

    def _decide(self) -> None:
        """Account for a decision that has ended, and begin the next as soon as it may."""
        deciding = self._deciding
        ended = deciding.ended()
        if ended is not None and ended.turn is None:
            turn = Turn(self._turns.count, ended.reply.marks, "event", "client", reply=ended.reply)
            self._turns.count += self._turns.write(turn, turn.end_reason())
        wait_s = deciding.wait_s
        if wait_s is None or self._ending is not None or not self._free_to_decide():
            return
        if not self._outbox.has_room:
            self._wait_for_room()
        elif wait_s > 0:
            self._wake_in(wait_s)
        elif (taken := deciding.feed.take()) is not None:
            self._start_decision(taken)

    def _free_to_decide(self) -> bool:
        """What is spoken waits for the user, and for the reply before it to be heard to its end."""
        if self._config.transcription_only:
            return False
        if not self._deciding.spoken:
            return True
        if self._speaking is not None or self._listening.in_turn or self._answer_awaited:
            return False
        reply = self._replies.current
        if reply is None or reply.over:
            return True
        if reply.closed:
            self._wake_in(reply.pacer.unplayed_ms() / 1000)
        return False

    def _wake_in(self, seconds: float) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self._wake = self._timers.later(seconds + 0.001, News())

    def _start_decision(self, taken: Taken) -> None:
        deciding, marks = self._deciding, self._deciding.marks(taken)
        turn = None
        if deciding.spoken:
            turn = self._turns.new(marks)
            turn.kind, turn.initiator = "event", "client"
        reply = self._replies.make(
            deciding.options(taken), self._config, marks, turn=turn, about=lambda plan: deciding.about(plan, taken)
        )
        deciding.begun(Decision(taken, reply, turn))
        if turn is None:
            self._replies.run_beside(reply)
        else:
            self._turns.answer(turn, reply)
            self._replies.current = reply
            self._replies.run(reply)

    # --- time ----------------------------------------------------------------------------------------

    def _expect_end(self, turn: Turn, left_s: float) -> None:
        """Close the turn when it has been heard: at the client's report, or when it should have ended."""
        grace_s = PLAYBACK_REPORT_MS / 1000 if turn.reports else 0.0
        self._timers.later(left_s + grace_s, TurnOver(turn))

    def _on_playback(self, report: ReportPlayback) -> None:
        reply = self._replies.current
        if reply is None or reply.id != report.response_id:
            return
        message = reply.message if reply.plan.modality == "audio" else None
        if report.state == "stopped" and message is not None and message.id in self._conversation:
            self._conversation.truncate(message.id, report.played_ms)
            self._turns.record_reply(reply)
        elif report.state == "ended":
            reply.ledger.confirm()
        self._turns.on_playback(report, reply)

    def _on_time_up(self, reason: str) -> None:
        quiet_s = self._clock() - self._last_heard_at
        if reason == "idle" and quiet_s < self._bounds.idle_s:
            self._timers.later(self._bounds.idle_s - quiet_s, TimeUp("idle"))
            return
        reply = self._replies.current
        if reason == "hang_up" and (self._listening.in_turn or reply is None or not reply.hang_up):
            return  # the user spoke again before the call ended
        self._ending = reason

    def _new_item_id(self) -> str:
        return self._new_id("item")


def _said(utterance: Utterance, text: str) -> MessageItem:
    return MessageItem(utterance.item_id, "user", (Content("audio", transcript=text),))


class _Ended(Exception):
    """Leaves the session's task group, and with it ends every task in it."""
