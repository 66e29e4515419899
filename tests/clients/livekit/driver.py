"""LiveKit's openai plugin, in an AgentSession without a room: a microphone and a loudspeaker stand in for one."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from time import monotonic

from driving import RATE, Wire, microphone, run, scenario, seconds, stage
from livekit import rtc
from livekit.agents import Agent, AgentSession, APIConnectionError, APIConnectOptions, function_tool, io
from livekit.agents.stt import SpeechEventType
from livekit.agents.utils import http_context
from livekit.plugins import openai
from livekit.plugins.openai.realtime import RealtimeModel

STAGE = stage()
seen: list[str] = []
problems: list[str] = []


class Problems(logging.Handler):
    """Whatever LiveKit finds worth a warning."""

    def emit(self, record: logging.LogRecord) -> None:
        problems.append(record.getMessage())


class Ears(io.AudioInput):
    """Silence, until `say` puts speech before it."""

    def __init__(self) -> None:
        super().__init__(label="microphone")
        self._pieces = aiter(microphone(b""))
        self._speech = b""

    def say(self, speech: bytes) -> None:
        self._speech = speech

    async def __anext__(self) -> rtc.AudioFrame:
        piece = await anext(self._pieces)
        if self._speech:
            piece, self._speech = self._speech[: len(piece)].ljust(len(piece), b"\0"), self._speech[len(piece) :]
        return rtc.AudioFrame(piece, RATE, 1, len(piece) // 2)


class Loudspeaker(io.AudioOutput):
    """Plays without a sound, in real time, and tells how far it came."""

    def __init__(self) -> None:
        super().__init__(label="speaker", capabilities=io.AudioOutputCapabilities(pause=False), sample_rate=RATE)
        self.heard_s = 0.0
        self.played = asyncio.Event()
        self._started: float | None = None
        self._length_s = 0.0
        self._ending: asyncio.TimerHandle | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self._started is None:
            self._started = monotonic()
        self._length_s += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._started is not None:
            left_s = self._started + self._length_s - monotonic()
            self._ending = asyncio.get_running_loop().call_later(max(0.0, left_s), self._end, False)

    def clear_buffer(self) -> None:
        self._end(True)

    def _end(self, interrupted: bool) -> None:
        if self._started is None:
            return
        if self._ending:
            self._ending.cancel()
        self.heard_s = min(monotonic() - self._started, self._length_s)
        self._started, self._length_s, self._ending = None, 0.0, None
        self.played.set()
        self.on_playback_finished(playback_position=self.heard_s, interrupted=interrupted)


class NotingModel(RealtimeModel):
    """The plugin's own model, with a listener to what it emits."""

    def session(self, **options):
        session = super().session(**options)
        session.on("openai_server_event_received", self.note)
        return session

    def note(self, event) -> None:
        seen.append(event["type"])
        if event["type"] == "session.created":
            self.wire = Wire()
        self.wire.see(event)
        self.events.put_nowait(event)


class Caller:
    def __init__(self, session: AgentSession, model: NotingModel, ears: Ears, speaker: Loudspeaker) -> None:
        self.session, self.model, self.ears, self.speaker = session, model, ears, speaker

    async def until(self, kind: str) -> dict:
        event = await self.model.events.get()
        while event["type"] != kind:
            event = await self.model.events.get()
        return event


@asynccontextmanager
async def caller(
    slug: str, *, key: str = STAGE.key, tools=(), manual: bool = False, on_error=problems.append, **options
):
    model = NotingModel(
        model=slug, base_url=STAGE.base_url, api_key=key, conn_options=APIConnectOptions(max_retry=0), **options
    )
    model.events = asyncio.Queue()
    manual = {"turn_detection": "manual"} if options.get("turn_detection", ...) is None else {}
    session = AgentSession(llm=model, turn_handling={"interruption": {"resume_false_interruption": False}, **manual})
    session.on("error", on_error)
    ears, speaker = Ears(), Loudspeaker()
    session.input.audio = ears
    if "audio" in options.get("modalities", ["audio"]):
        session.output.audio = speaker
    async with http_context.open():
        try:
            await session.start(Agent(instructions="Be brief.", tools=list(tools)), record=False)
            yield Caller(session, model, ears, speaker)
        finally:
            await session.aclose()
            await model.aclose()


def shown(session: AgentSession, role: str) -> str:
    """The words of `role` in the history that the application sees."""
    return " ".join(item.text_content or "" for item in session.history.messages() if item.role == role)


@scenario("text turn")
async def text_turn() -> str:
    """Then LiveKit opens a new connection, as it does by itself every 20 minutes, and plays the conversation to it."""
    async with caller("clerk", modalities=["text"], max_session_duration=3.0) as call:
        await call.session.run(user_input="When do you open?")
        answer = shown(call.session, "assistant")
        for _ in range(2):
            await call.until("session.created")
        for _ in ("question", "answer"):  # until both are back: LiveKit puts a new item after the last it knows of
            await call.until("conversation.item.added")
        await call.session.run(user_input="And when do you close?")
    assert "nine o'clock" in answer, answer
    known = [one["content"] for one in STAGE.remembered() if one["role"] != "system"]
    assert known == ["When do you open?", answer, "And when do you close?"], known
    return "its history shows the answer, and a new connection knows it"


@scenario("voice turn")
async def voice_turn() -> str:
    """With what LiveKit asks for by itself: semantic_vad, and a transcription model of OpenAI's."""
    async with caller("guide") as call:
        call.ears.say(STAGE.speech)
        transcript = (await call.until("conversation.item.input_audio_transcription.completed"))["transcript"]
        await call.until("response.done")
        await call.speaker.played.wait()
    assert call.speaker.heard_s > 0.5
    return f"{STAGE.heard(transcript)}, {call.speaker.heard_s:.1f} s of speech were played"


@scenario("manual commit")
async def manual_commit() -> str:
    async with caller("clerk", turn_detection=None) as call:
        call.ears.say(STAGE.speech)
        await asyncio.sleep(seconds(STAGE.speech) + 0.2)
        await call.session.commit_user_turn()
        transcript = (await call.until("conversation.item.input_audio_transcription.completed"))["transcript"]
        done = await call.until("response.done")
    assert "nine o'clock" in done["response"]["output"][0]["content"][0]["transcript"]
    return STAGE.heard(transcript)


@scenario("tool round trip")
async def tool_round_trip() -> str:
    called = []

    @function_tool
    async def get_weather(city: str) -> str:
        """The weather of a city."""
        called.append(city)
        return "sunny, 20 °C"

    async with caller("weather", tools=[get_weather], modalities=["text"]) as call:
        await call.session.run(user_input="What is the weather in Oslo?")
        answer = shown(call.session, "assistant")
    assert called == ["Oslo"]
    assert "sunny" in answer, answer
    assert "sunny, 20 °C" in STAGE.remembered()[-1]["content"]
    return "LiveKit ran get_weather('Oslo') and the answer used it"


@scenario("barge-in")
async def barge_in() -> str:
    """LiveKit itself truncates at what its loudspeaker has played."""
    async with caller("story") as call:
        call.session.generate_reply(user_input="Tell me a story.")
        await call.until("response.output_audio.delta")
        await asyncio.sleep(2)
        call.ears.say(STAGE.speech)
        await call.until("response.done")
        truncated = await call.until("conversation.item.truncated")
        await call.until("response.output_audio.delta")
        heard_ms = 1000 * call.speaker.heard_s
    assert abs(truncated["audio_end_ms"] - heard_ms) < 50, (truncated, heard_ms)
    return STAGE.agent_remembers(None, heard_ms)


@scenario("bad key")
async def bad_key() -> str:
    errors: asyncio.Queue = asyncio.Queue()
    try:
        async with caller("clerk", key="sk_wrong", on_error=errors.put_nowait):
            failed = await errors.get()
    except APIConnectionError:  # once more, when the session is closed
        problems.clear()
    shown = f"{failed.error.error}"
    assert "401" in shown, shown
    return f"error event: {shown}"


@scenario("client secret")
async def client_secret() -> str:
    """LiveKit makes none itself; as its api_key one works like any key."""
    async with caller("clerk", key=STAGE.secret("clerk"), modalities=["text"]) as call:
        await call.session.run(user_input="When do you open?")
        answer = shown(call.session, "assistant")
    assert "nine o'clock" in answer, answer
    return "as api_key it opened a session and held a turn"


@scenario("transcription")
async def transcription() -> str:
    """The plugin's STT over the realtime address."""
    async with http_context.open():
        ears = openai.STT(base_url=STAGE.base_url, api_key=STAGE.key, use_realtime=True)
        stream = ears.stream()

        async def speak() -> None:
            async for piece in microphone(STAGE.speech):
                stream.push_frame(rtc.AudioFrame(piece, RATE, 1, len(piece) // 2))

        heard, interim = "", 0
        async with asyncio.TaskGroup() as tasks:
            mouth = tasks.create_task(speak())
            while not heard:
                event = await anext(stream)
                interim += event.type == SpeechEventType.INTERIM_TRANSCRIPT
                if event.type == SpeechEventType.FINAL_TRANSCRIPT:
                    heard = event.alternatives[0].text
            mouth.cancel()
        await stream.aclose()
        await ears.aclose()
    return f"{STAGE.heard(heard)}, {interim} interim transcripts"


@scenario("text over HTTP")
async def text_over_http() -> str:
    """The plugin's LLM, for an AgentSession that thinks in words."""
    model = openai.LLM(model="clerk", base_url=STAGE.base_url, api_key=STAGE.key)
    async with model, AgentSession(llm=model) as session:
        await session.start(Agent(instructions="Be brief."), record=False)
        await session.run(user_input="When do you open?")
        answer = shown(session, "assistant")
    assert "nine o'clock" in answer, answer
    return "its history shows the answer"


@scenario("strict events")
async def strict_events() -> str:
    assert not problems, problems
    return f"{len(seen)} events of {len(set(seen))} types were handled, no warning was logged"


logging.getLogger("livekit").addHandler(Problems(logging.WARNING))
run()
