"""The replies of one session: each is made for a plan, runs as a task, and ends by itself or is cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agents.build import VoiceAgent
from agents.errors import ClientError, ProviderError
from agents.interfaces import Message, ToolCall
from sessions.pipeline.acknowledging import Acknowledger
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.conversation import Conversation
from sessions.pipeline.gate import Gate, GatedToolbox
from sessions.pipeline.messages import MessageItem, ResponseOptions, SessionConfig
from sessions.pipeline.outbox import Outbox
from sessions.pipeline.plan import Plan
from sessions.pipeline.planning import make_plan
from sessions.pipeline.replying import Reply, Status
from sessions.pipeline.turn_book import TurnBook
from sessions.pipeline.turns import Turn
from sessions.pipeline.window import Window
from telemetry import counters, names
from telemetry.trace import TurnMarks


class Replies:
    """`current` is the conversation's latest reply, over or not; `beside` are those out of band, by id.

    `ended` hears of each that has run to its end. They run in the group given to `open`.
    """

    _group: asyncio.TaskGroup

    def __init__(
        self,
        agent: VoiceAgent,
        bounds: Bounds,
        *,
        session_id: str,
        conversation: Conversation,
        outbox: Outbox,
        turns: TurnBook,
        acknowledger: Acknowledger,
        new_id: Callable[[str], str],
        ended: Callable[[Reply], None],
    ) -> None:
        self.current: Reply | None = None
        self.beside: dict[str, Reply] = {}
        self._agent = agent
        self._bounds = bounds
        self._session_id = session_id
        self._conversation = conversation
        self._outbox = outbox
        self._turns = turns
        self._acknowledger = acknowledger
        self._new_id = new_id
        self._ended = ended
        self._window = Window(agent.spec)
        self._cache_key = new_id("conv")
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def open(self, group: asyncio.TaskGroup) -> None:
        self._group = group

    @property
    def busy(self) -> bool:
        """Whether the current one has not ended."""
        return self.current is not None and not self.current.closed

    @property
    def playing(self) -> bool:
        """Whether, by our estimate, the listener hears the current one now or will in a moment."""
        return self.current is not None and self.current.playing

    @property
    def speaking(self) -> bool:
        """Whether more audio may come of the current one."""
        return self.current is not None and not self.current.closed and self.current.plan.modality == "audio"

    @property
    def unfinished(self) -> list[Reply]:
        return [reply for reply in (*self.beside.values(), self.current) if reply is not None and not reply.closed]

    def make(
        self,
        options: ResponseOptions,
        config: SessionConfig,
        marks: TurnMarks,
        *,
        failure: ProviderError | None = None,
        turn: Turn | None = None,
        about: Callable[[Plan], Plan] | None = None,
        tentative: MessageItem | None = None,
    ) -> Reply:
        """A reply that has not begun. `about` changes its plan.

        `tentative` is what the user may turn out to have said: the reply answers it behind a closed gate.
        """
        gate = Gate(is_open=tentative is None)
        tools = self._agent.toolbox(config.tools if options.tools is None else options.tools)
        plan = make_plan(
            self._new_id("resp"),
            options,
            spec=self._agent.spec,
            config=config,
            conversation=self._conversation if tentative is None else self._conversation.with_item(tentative),
            window=self._window,
            tools=tools.specs(),
            turn=turn,
            turn_id=None if turn is None else f"{self._session_id}.{turn.index}",
            failure=failure,
            cache_key=self._cache_key,
        )
        return Reply(
            plan if about is None else about(plan),
            self._agent,
            GatedToolbox(tools, self._group, self._remember if options.in_conversation else _forget, gate),
            conversation=self._conversation,
            outbox=self._outbox,
            bounds=self._bounds,
            marks=marks,
            new_id=self._new_id,
            gate=gate,
            acknowledger=self._acknowledger,
            number=self._turns.count,
        )

    def require_room_beside(self) -> None:
        """A ClientError if no more replies may run out of band."""
        asked_for = [reply for reply in self.beside.values() if reply.plan.request.news is None]
        if len(asked_for) >= self._bounds.side_responses:
            counters.count(names.OVERLOADED, what="side_responses")
            raise ClientError(
                f"At most {self._bounds.side_responses} out-of-band responses may run at once.",
                code="rate_limit_exceeded",
            )

    def run(self, reply: Reply) -> None:
        """Begin, and tell the client so."""
        reply.start()
        self.attempt(reply)

    def run_beside(self, reply: Reply) -> None:
        self.beside[reply.id] = reply
        self.run(reply)

    def attempt(self, reply: Reply) -> None:
        """Begin behind the reply's gate: nobody is told."""
        self._tasks[reply.id] = self._group.create_task(self._say(reply), name=reply.id)

    def give_up(self, attempt: Reply) -> None:
        self._tasks.pop(attempt.id).cancel()

    def left(self, reply: Reply) -> None:
        """It runs no more."""
        self._tasks.pop(reply.id, None)
        self.beside.pop(reply.id, None)

    def cut(self, reply: Reply, status: Status, reason: str | None) -> None:
        """Stop a reply for good and cut its item to what was heard by our estimate."""
        task = self._tasks.get(reply.id)
        if task is not None:
            task.cancel()
        self.left(reply)
        reply.ledger.take_back(self._outbox.discard_audio(reply.id))
        spoken = reply.message is not None and reply.plan.modality == "audio"
        if spoken:
            reply.ledger.estimate(reply.pacer.heard_ms())
        reply.close(status, reason)
        if spoken and reply.message is not None:
            self._conversation.cut_to_heard(reply.message.id)
        self._turns.record_reply(reply)

    async def _say(self, reply: Reply) -> None:
        await reply.run()
        self._ended(reply)

    def _remember(self, call: ToolCall, output: str) -> None:
        """What a tool of the agent's own did belongs to the history, even if the reply was interrupted."""
        self._conversation.remember(Message("assistant", "", calls=(call,)), Message("tool", output, call_id=call.id))


def _forget(call: ToolCall, output: str) -> None:
    """What a response beside the conversation did leaves nothing in it."""
