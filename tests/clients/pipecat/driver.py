"""Pipecat's OpenAIRealtimeLLMService. An event that its pydantic types refuse ends its receive loop for good."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager, suppress

from driving import Wire, microphone, run, scenario, seconds, stage
from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMRunFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.services.openai.stt import OpenAIRealtimeSTTService
from pipecat.workers.runner import WorkerRunner

STAGE = stage()
RATE = 24_000
WEATHER_TOOL = FunctionSchema(
    name="get_weather",
    description="The weather of a city.",
    properties={"city": {"type": "string"}},
    required=["city"],
)
problems: list[str] = []
seen: list[str] = []
configured = asyncio.Event()
logger.remove()
logger.add(lambda message: problems.append(message.record["message"][:300]), level="WARNING")


class Gatherer(FrameProcessor):
    """Keeps the frames that pass, until they are waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: asyncio.Queue = asyncio.Queue()

    async def process_frame(self, frame, direction) -> None:
        await super().process_frame(frame, direction)
        self.frames.put_nowait(frame)
        await self.push_frame(frame, direction)

    async def until(self, kind: type) -> list:
        """The frames up to the first of `kind`."""
        frames = [await self.frames.get()]
        while not isinstance(frames[-1], kind):
            frames.append(await self.frames.get())
        return frames


class Bot:
    """The pipeline of Pipecat's own examples: aggregators around the service, with gatherers before and behind it."""

    def __init__(self, model: str, *, key: str, question: str, tools: list, properties: dict) -> None:
        self.service = OpenAIRealtimeLLMService(
            api_key=key,
            base_url=f"{STAGE.ws_url}/realtime",
            settings=OpenAIRealtimeLLMService.Settings(
                model=model, session_properties=events.SessionProperties(**properties)
            ),
        )
        self.before, self.behind = Gatherer(), Gatherer()
        messages = [{"role": "user", "content": question}] if question else []
        self.context = LLMContext(messages, ToolsSchema(standard_tools=tools))
        around = LLMContextAggregatorPair(self.context)
        steps = [around.user(), self.before, self.service, self.behind, around.assistant()]
        self.worker = worker_of(Pipeline(steps))

    async def think(self) -> None:
        """Asks for the answer to the context so far."""
        await self.worker.queue_frame(LLMRunFrame())

    async def hear(self, audio: bytes) -> None:
        await self.worker.queue_frame(InputAudioRawFrame(audio=audio, sample_rate=RATE, num_channels=1))

    async def answer(self) -> str:
        frames = await self.behind.until(LLMFullResponseEndFrame)
        return "".join(frame.text for frame in frames if isinstance(frame, LLMTextFrame))


def listen_at_the_parser() -> None:
    """The service shows no raw events, so they are noted where it parses them."""
    parse = events.parse_server_event
    wires: defaultdict = defaultdict(Wire)  # by the task that receives

    def noting(message):
        wires[asyncio.current_task()].see(message)
        event = parse(message)
        if event is not None:
            seen.append(event.type)
            if event.type == "session.updated":
                configured.set()
        return event

    events.parse_server_event = noting


@asynccontextmanager
async def started(worker: PipelineWorker):
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    work = asyncio.create_task(runner.run())
    try:
        yield worker
    finally:
        await worker.cancel()
        with suppress(asyncio.CancelledError):
            await work


def worker_of(pipeline: Pipeline) -> PipelineWorker:
    return PipelineWorker(pipeline, params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE))


@asynccontextmanager
async def bot(model: str, *, key: str = STAGE.key, question: str = "", tools=(), setup=None, **properties):
    talking = Bot(model, key=key, question=question, tools=list(tools), properties=properties)
    if setup:
        setup(talking)
    async with started(talking.worker):
        yield talking


@asynccontextmanager
async def speaking(talking: Bot, speech: bytes):
    async def speak() -> None:
        async for piece in microphone(speech):
            await talking.hear(piece)

    async with asyncio.TaskGroup() as tasks:
        mouth = tasks.create_task(speak())
        yield
        mouth.cancel()


def listening(**turn_detection) -> dict:
    transcription = events.InputAudioTranscription(model="gpt-4o-mini-transcribe")
    return {"audio": events.AudioConfiguration(input=events.AudioInput(transcription=transcription, **turn_detection))}


@scenario("text turn")
async def text_turn() -> str:
    async with bot("clerk", question="When do you open?", output_modalities=["text"]) as talking:
        await talking.think()
        answer = await talking.answer()
    assert "nine o'clock" in answer, answer
    return "text frames spell the answer"


@scenario("voice turn")
async def voice_turn() -> str:
    patient = listening(turn_detection=events.TurnDetection(silence_duration_ms=600))
    async with bot("guide", **patient) as talking, speaking(talking, STAGE.speech):
        heard = (await talking.before.until(TranscriptionFrame))[-1].text
        frames = await talking.behind.until(LLMFullResponseEndFrame)
    spoken = seconds(sum(len(frame.audio) for frame in frames if isinstance(frame, TTSAudioRawFrame)))
    assert spoken > 0.5, f"{spoken} s of speech came back"
    return f"{STAGE.heard(heard)}, {spoken:.1f} s of speech came back"


@scenario("manual commit")
async def manual_commit() -> str:
    """With turn detection off, Pipecat commits and asks for an answer when its own has heard the user end."""
    configured.clear()
    async with bot("clerk", **listening(turn_detection=False)) as talking:
        await configured.wait()
        await talking.worker.queue_frame(UserStartedSpeakingFrame())
        await talking.hear(STAGE.speech)
        await talking.worker.queue_frame(UserStoppedSpeakingFrame())
        answer = await talking.answer()
        heard = (await talking.before.until(TranscriptionFrame))[-1].text
    assert "nine o'clock" in answer, answer
    return STAGE.heard(heard)


@scenario("tool round trip")
async def tool_round_trip() -> str:
    called = []

    async def get_weather(call) -> None:
        called.append(call.arguments["city"])
        await call.result_callback("sunny, 20 °C")

    question = "What is the weather in Oslo?"
    offered = {"tools": [WEATHER_TOOL], "setup": lambda it: it.service.register_function("get_weather", get_weather)}
    async with bot("weather", question=question, output_modalities=["text"], **offered) as talking:
        await talking.think()
        answer = ""
        while "sunny" not in answer:
            answer = await talking.answer()
    assert called == ["Oslo"]
    assert "sunny, 20 °C" in STAGE.remembered()[-1]["content"]
    return "Pipecat ran get_weather('Oslo') and the answer used it"


@scenario("barge-in")
async def barge_in() -> str:
    """Pipecat itself truncates when it is told that the user speaks."""
    items = []
    async with bot("story", question="Tell me a story.") as talking:

        @talking.service.event_handler("on_conversation_item_created")
        async def created(_service, _item_id, item) -> None:
            items.append(item)

        await talking.think()
        await talking.behind.until(TTSAudioRawFrame)
        first = next(item for item in items if item.role == "assistant")
        started = asyncio.get_running_loop().time()
        await asyncio.sleep(2)
        async with speaking(talking, STAGE.speech):
            await talking.behind.until(InterruptionFrame)
            heard_ms = 1000 * (asyncio.get_running_loop().time() - started)
            kept = (await talking.service.retrieve_conversation_item(first.id)).content[0].transcript
            await talking.behind.until(TTSAudioRawFrame)
    return STAGE.agent_remembers(kept, heard_ms)


@scenario("bad key")
async def bad_key() -> str:
    shown: asyncio.Queue = asyncio.Queue()

    def setup(talking: Bot) -> None:
        @talking.worker.event_handler("on_pipeline_error")
        async def failed(_worker, frame) -> None:
            shown.put_nowait(frame.error)

    async with bot("clerk", key="sk_wrong", setup=setup):
        error = await shown.get()
    problems.clear()
    assert "401" in error, error
    return error


@scenario("client secret")
async def client_secret() -> str:
    """Pipecat makes none itself; as its api_key one works like any key."""
    key = STAGE.secret("clerk")
    async with bot("clerk", key=key, question="When do you open?", output_modalities=["text"]) as talking:
        await talking.think()
        answer = await talking.answer()
    assert "nine o'clock" in answer, answer
    return "as api_key it opened a session and held a turn"


@scenario("transcription")
async def transcription() -> str:
    """Pipecat's OpenAIRealtimeSTTService, with the server's turn detection."""
    service = OpenAIRealtimeSTTService(
        api_key=STAGE.key, base_url=f"{STAGE.ws_url}/realtime", turn_detection={"type": "server_vad"}
    )
    behind = Gatherer()
    async with started(worker_of(Pipeline([service, behind]))) as worker:

        async def speak() -> None:
            async for piece in microphone(STAGE.speech):
                await worker.queue_frame(InputAudioRawFrame(audio=piece, sample_rate=RATE, num_channels=1))

        async with asyncio.TaskGroup() as tasks:
            mouth = tasks.create_task(speak())
            frames = await behind.until(TranscriptionFrame)
            mouth.cancel()
    interim = sum(isinstance(frame, InterimTranscriptionFrame) for frame in frames)
    return f"{STAGE.heard(frames[-1].text)}, {interim} interim frames"


@scenario("text over HTTP")
async def text_over_http() -> str:
    """Pipecat's OpenAILLMService."""
    service = OpenAILLMService(
        api_key=STAGE.key, base_url=STAGE.base_url, settings=OpenAILLMService.Settings(model="clerk")
    )
    around = LLMContextAggregatorPair(LLMContext([{"role": "user", "content": "When do you open?"}]))
    behind = Gatherer()
    async with started(worker_of(Pipeline([around.user(), service, behind, around.assistant()]))) as worker:
        await worker.queue_frame(LLMRunFrame())
        frames = await behind.until(LLMFullResponseEndFrame)
    pieces = [frame.text for frame in frames if isinstance(frame, LLMTextFrame)]
    assert "nine o'clock" in "".join(pieces), pieces
    return f"{len(pieces)} text frames"


@scenario("strict events")
async def strict_events() -> str:
    assert not problems, problems
    return f"{len(seen)} events of {len(set(seen))} types passed Pipecat's pydantic types, no warning was logged"


listen_at_the_parser()
run()
