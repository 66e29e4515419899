"""Scripted conversations on virtual time: who speaks when, and what comes of it.

async with conversation(llm=ScriptedLLM(["Sure, I will."])) as talk:
    await talk.speak(1000)          # ms of a tone: what the scripted VAD takes for speech
    await talk.silence(800)
    await talk.until(ResponseDone)
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agents.audio import Audio
from agents.build import VoiceAgent
from agents.interfaces import STT, TTS, VAD, Brain, EndOfTurn, VADStream
from agents.providers.scripted import ScriptedLLM, ScriptedSTT, ScriptedTTS, ScriptedVAD, tone
from agents.spec import AgentSpec
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.listening import Ears
from sessions.pipeline.live_session import LiveSession
from sessions.pipeline.messages import (
    AppendAudio,
    AudioOut,
    Command,
    Configured,
    Event,
    SessionConfig,
    SessionEnded,
    SpeechStarted,
    TextOut,
)
from sessions.pipeline.records import Record
from sessions.pipeline.turns import Identity
from sessions.protocols.realtime import RealtimeProtocol
from tests.fakes.brain import ClientToolbox, PlainBrain
from tests.invariants import Invariants

E = TypeVar("E")
RATE = 24_000
FRAME_MS = 20


@dataclass
class Kept:
    """A journal that keeps what it is told."""

    records: list[Record] = field(default_factory=list)

    def write(self, record: Record) -> None:
        self.records.append(record)


async def detect_here(stream: VADStream, audio: Audio) -> list[tuple[int, float]]:
    return stream.push(audio)


class Wire:
    """What a Realtime client would be sent, held against all that it may rely on."""

    def __init__(self, spec: AgentSpec, config: SessionConfig) -> None:
        numbers = itertools.count(1)
        self.rules = Invariants()
        self._protocol = RealtimeProtocol(
            spec,
            session_id="sess_test",
            kind="transcription" if config.transcription_only else "realtime",
            new_id=lambda prefix: f"{prefix}_wire_{next(numbers)}",
        )
        for message in self._protocol.open().messages:
            self.rules.see(str(message))
        self._configured(config)

    def carry(self, event: Event) -> None:
        for message in self._protocol.encode(event):
            self.rules.see(str(message))
        if isinstance(event, Configured):
            self._configured(event.config)

    def _configured(self, config: SessionConfig) -> None:
        detection = config.turn_detection
        interrupts = detection.type != "none" and detection.interrupt_response
        self.rules.configured(transcribes=config.transcription, interrupts=interrupts)


class Talk:
    """One client and its session. `heard` lists (seconds, event) in the order they came.

    The client takes `reads_s` over each event; what it has not read lies in the session's outbox.
    Every conversation is also carried over the Realtime protocol, and fails where that breaks a promise.
    `running` is the session's task.
    """

    running: asyncio.Task[None]

    def __init__(self, session: LiveSession, journal: Kept, wire: Wire) -> None:
        self.wire = wire
        self.reads_s = 0.0
        self.session = session
        self.journal = journal
        self.heard: list[tuple[float, Event]] = []
        self._news = asyncio.Event()
        self._seen = 0

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def listen(self) -> None:
        async for event in self.session.events():
            self.heard.append((self.now, event))
            self._news.set()
            self.wire.carry(event)
            if self.reads_s:
                await asyncio.sleep(self.reads_s)

    def do(self, command: Command) -> None:
        self.session.accept(command)

    async def play(self, audio: Audio) -> None:
        """Send audio in 20 ms frames, in real time."""
        for frame in audio.split(FRAME_MS):
            await self.session.hear(AppendAudio(frame))
            await asyncio.sleep(frame.ms / 1000)

    async def speak(self, ms: float) -> None:
        await self.play(tone(ms, RATE))

    async def silence(self, ms: float) -> None:
        await self.play(Audio.silence(ms, RATE))

    async def until(self, kind: type[E], *, where: Callable[[E], bool] = lambda _: True, within: float = 60) -> E:
        """The next event of `kind` not yet waited for; its time is in `at`."""
        async with asyncio.timeout(within):
            while True:
                while self._seen < len(self.heard):
                    self.at, event = self.heard[self._seen]
                    self._seen += 1
                    if isinstance(event, kind) and where(event):
                        return event
                self._news.clear()
                await self._news.wait()

    async def until_while_silent(self, kind: type[E], **options: Any) -> E:
        """`until`, with the microphone open: silence flows meanwhile."""
        async with asyncio.TaskGroup() as group:
            quiet = group.create_task(self.silence(60_000))
            event = await self.until(kind, **options)
            quiet.cancel()
        return event

    def all(self, kind: type[E]) -> list[E]:
        return [event for _, event in self.heard if isinstance(event, kind)]

    def said(self) -> str:
        return "".join(event.text for event in self.all(TextOut))

    def audio_ms(self, response_id: str | None = None) -> float:
        return sum(e.audio.ms for e in self.all(AudioOut) if response_id in (None, e.response_id))

    def time_of_first(self, kind: type[Event]) -> float:
        return next(at for at, event in self.heard if isinstance(event, kind))

    def stale_audio(self) -> list[AudioOut]:
        """Audio of a response that came after the user had been heard to speak over it."""
        started: dict[str, int] = {}
        stale = []
        for index, (_, event) in enumerate(self.heard):
            if isinstance(event, SpeechStarted):
                started = dict.fromkeys(started, index)
                cut = index
                stale += [
                    later
                    for _, later in self.heard[cut:]
                    if isinstance(later, AudioOut)
                    and any(isinstance(e, AudioOut) and e.response_id == later.response_id for _, e in self.heard[:cut])
                ]
        return stale


def make_agent(
    *,
    llm: ScriptedLLM | None = None,
    brain: Brain | None = None,
    vad: VAD | None = None,
    stt: STT | None = None,
    tts: TTS | None = None,
    end_of_turn: EndOfTurn | None = None,
    **spec: Any,
) -> VoiceAgent:
    return VoiceAgent(
        spec=AgentSpec(slug="scripted", **spec),
        vad=vad or ScriptedVAD(),
        end_of_turn=end_of_turn,
        stt=stt or ScriptedSTT(["hello"], final_s=0.1),
        brain=brain or PlainBrain(llm or ScriptedLLM(["Sure, I will do that for you."], first_s=0.2, tokens_per_s=50)),
        tts=tts or ScriptedTTS(first_s=0.1, speed=5),
        toolbox=ClientToolbox,
    )


@asynccontextmanager
async def conversation(
    agent: VoiceAgent | None = None,
    *,
    config: SessionConfig | None = None,
    bounds: Bounds | None = None,
    **parts: Any,
) -> AsyncIterator[Talk]:
    agent = agent or make_agent(**parts)
    config = config or SessionConfig(transcription=True)
    counter = itertools.count(1)
    journal = Kept()
    session = LiveSession(
        agent,
        Ears(agent.vad, agent.stt, agent.end_of_turn, detect_here, agent.asks_early, agent.spec.stt.language),
        config,
        identity=Identity("sess_test", "scripted"),
        bounds=bounds or Bounds(),
        journal=journal,
        clock=asyncio.get_running_loop().time,
        new_id=lambda prefix: f"{prefix}_{next(counter)}",
    )
    talk = Talk(session, journal, Wire(agent.spec, config))
    async with asyncio.TaskGroup() as group:
        talk.running = group.create_task(session.run())
        group.create_task(talk.listen())
        yield talk
        session.end("closed")
    if talk.heard[-1][1] != SessionEnded("slow_client"):
        assert not talk.wire.rules.open, "every response.created has its response.done"
