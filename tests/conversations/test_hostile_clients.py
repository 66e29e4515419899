"""Whatever a client sends: the session keeps every promise to it, answers what it owes, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.interfaces import ToolCall
from agents.providers.scripted import Fault, ScriptedEndOfTurn, ScriptedLLM, ScriptedSTT, ScriptedTTS, tone
from agents.spec import AgentSpec, FeedSpec, Override
from sessions.cluster.handles import LocalHandle
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.listening import Ears
from sessions.pipeline.live_session import LiveSession
from sessions.pipeline.messages import SessionConfig
from sessions.pipeline.turns import Identity
from sessions.protocols.base import WireMessage
from sessions.protocols.realtime import RealtimeProtocol
from sessions.serving import serve
from tests.hostile.events import RATE, Sounds
from tests.hostile.sequences import Situation, sequence
from tests.hostile.watching import Watch, perform, settled
from tests.scenario import Kept, detect_here, make_agent
from tests.virtual_time import run

SOUNDS = Sounds(tone(600, RATE))
BOUNDS = Bounds(reply_stall_s=8, utterance_ms=6000, conversation_items=12, side_responses=2, inbox_messages=64)
ALL: tuple[Override, ...] = ("instructions", "tools", "voice", "turn_detection", "formats", "transcription")
WITHIN_S = 120.0
REPLIES: list[str | list[str | ToolCall]] = [
    "One two three, four five six. Seven eight nine ten. " * 3,
    "Yes.",
    ["Wait. ", ToolCall("call", "look", "{}")],
    "",
    "Well, yes. And no.",
]


@dataclass
class Line:
    """A client's connection without a network: `put` what it sends; what it is sent goes to `watch`."""

    watch: Watch
    reads_s: float = 0.0
    ended_by: str = "client_gone"
    closed: tuple[int, str] | None = None
    _inbound: asyncio.Queue[str | bytes | None] = field(default_factory=lambda: asyncio.Queue(8))

    async def put(self, data: str | bytes) -> None:
        await self._inbound.put(data)

    async def leave(self) -> None:
        await self._inbound.put(None)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while (data := await self._inbound.get()) is not None:
            yield data

    async def send(self, message: WireMessage) -> None:
        assert isinstance(message, str)
        self.watch.takes(message)
        await asyncio.sleep(self.reads_s)

    async def close(self, code: int, reason: str = "") -> None:
        self.closed = (code, reason)


@dataclass(frozen=True, slots=True)
class Play:
    """A client and the agent that it meets."""

    random: Random
    situation: Situation
    allowed: tuple[Override, ...]
    llm_s: float
    tokens_per_s: float
    reads_s: float
    fault: Fault | None
    feed: FeedSpec
    sequences: int = 2

    async def perform(self) -> None:
        agent = make_agent(
            stt=ScriptedSTT(["hello", "", "go on"], final_s=0.2, words_per_s=2, fault=self.fault),
            llm=ScriptedLLM(REPLIES, first_s=self.llm_s, tokens_per_s=self.tokens_per_s, fault=self.fault),
            tts=ScriptedTTS(first_s=0.1, speed=5, fault=self.fault),
            end_of_turn=ScriptedEndOfTurn([0.9, 0.1], delay_s=0.1),
            greeting="Hello.",
            feed=self.feed,
        )
        counter = itertools.count(1)
        session = LiveSession(
            agent,
            Ears(agent.vad, agent.stt, agent.end_of_turn, detect_here, agent.asks_early, agent.spec.stt.language),
            SessionConfig(),
            identity=Identity("sess_test", "scripted"),
            bounds=BOUNDS,
            journal=Kept(),
            clock=asyncio.get_running_loop().time,
            new_id=lambda prefix: f"{prefix}_{next(counter)}",
        )
        protocol = RealtimeProtocol(
            AgentSpec(slug="scripted", feed=self.feed),
            session_id="sess_test",
            allowed=self.allowed,
            bounds=BOUNDS,
            kind=self.situation.kind,
            extensions=self.situation.extensions,
        )
        situation = replace(self.situation, feed=self.feed.mode != "off")
        line = Line(Watch(), self.reads_s)
        async with asyncio.TaskGroup() as group:
            held = group.create_task(session.run())
            handle = LocalHandle(session, held, audio_stall_s=BOUNDS.audio_in_stall_s)
            group.create_task(serve(line, protocol, handle, write_timeout_s=10))
            for n in range(self.sequences):
                await perform(sequence(self.random, f"s{n}", situation, SOUNDS), line.watch, line.put)
                await settled(f"s{n}", line.watch, line.put, within_s=WITHIN_S, in_haste=n == 1)
            await line.leave()
        assert line.closed is None


FAULTS = st.one_of(
    st.none(),
    st.none(),
    st.builds(
        Fault,
        st.sampled_from(["fail", "stall", "end"]),
        after=st.integers(0, 4),
        calls=st.sets(st.integers(0, 3), min_size=1),
    ),
)
PLAYS = st.builds(
    Play,
    st.randoms(use_true_random=False) | st.builds(Random, st.integers(0, 2**32)),
    st.builds(Situation, st.sampled_from(["realtime", "realtime", "realtime", "transcription"]), st.booleans()),
    st.sampled_from([ALL, ALL, ()]),
    llm_s=st.sampled_from([0.0, 0.3]),
    tokens_per_s=st.sampled_from([20.0, 1000.0]),
    reads_s=st.sampled_from([0.0, 0.0, 0.01]),
    fault=FAULTS,
    feed=st.builds(
        FeedSpec, mode=st.sampled_from(["off", "text", "speech"]), deadline_ms=st.sampled_from([0, 100, 1000])
    ),
)


@settings(max_examples=200, deadline=None)
@given(PLAYS)
def test_any_sequence_of_good_and_broken_events(play: Play) -> None:
    run(play.perform())
