"""OpenAI's Agents SDK for Python. It validates every event with pydantic, and shows the application what fails."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from driving import NotApplicable, Wire, microphone, run, scenario, seconds, stage
from openai import AsyncOpenAI

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from agents.realtime import RealtimeAgent, RealtimeModelSendRawMessage, RealtimeRunner

STAGE = stage()
errors: list[str] = []
seen: list[str] = []
set_tracing_disabled(True)


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    called.append(city)
    return "sunny, 20 °C"


called: list[str] = []


class Talk:
    """A session, whose events are kept until they are waited for. `raw` are the server's own."""

    def __init__(self, session) -> None:
        self.session = session
        self.audio = b""
        self.wire = Wire()
        self._events = aiter(session)

    async def next(self):
        event = await anext(self._events)
        if event.type == "error":
            errors.append(str(event.error))
            raise AssertionError(f"the SDK shows an error: {event.error}")
        if event.type == "audio":
            self.audio += event.audio.data
        if event.type == "raw_model_event" and event.data.type == "raw_server_event":
            seen.append(event.data.data["type"])
            self.wire.see(event.data.data)
        return event

    async def until(self, kind: str):
        """The first event of `kind`, be it the SDK's own or, as a dict, the server's."""
        while True:
            event = await self.next()
            if event.type == kind:
                return event
            if event.type == "raw_model_event" and event.data.type == "raw_server_event":
                raw = event.data.data
                if raw["type"] == kind:
                    return raw

    async def send(self, kind: str, **fields) -> None:
        await self.session.model.send_event(RealtimeModelSendRawMessage(message={"type": kind, "other_data": fields}))

    def shown(self, role: str) -> str:
        """The words of `role` in the history that the application sees."""
        parts = [part for item in self.session._history if getattr(item, "role", "") == role for part in item.content]
        return " ".join(getattr(part, "transcript", None) or getattr(part, "text", None) or "" for part in parts)


@asynccontextmanager
async def talk(model: str, *, key: str = STAGE.key, tools=(), **settings):
    agent = RealtimeAgent(name="caller", instructions="Be brief.", tools=list(tools))
    config = {"url": f"{STAGE.ws_url}/realtime?model={model}", "api_key": key, "initial_model_settings": settings}
    async with await RealtimeRunner(agent).run(model_config=config) as session:
        yield Talk(session)


@asynccontextmanager
async def speaking(talk: Talk, speech: bytes):
    async def speak() -> None:
        async for piece in microphone(speech):
            await talk.session.send_audio(piece)

    async with asyncio.TaskGroup() as tasks:
        mouth = tasks.create_task(speak())
        yield
        mouth.cancel()


@scenario("text turn")
async def text_turn() -> str:
    async with talk("clerk", output_modalities=["text"]) as session:
        await session.session.send_message("When do you open?")
        await session.until("agent_end")
        assert "nine o'clock" in session.shown("assistant")
    return "its history shows the answer"


@scenario("voice turn")
async def voice_turn() -> str:
    """With what the SDK asks for by itself: semantic_vad, and transcription by gpt-4o-mini-transcribe."""
    async with talk("guide") as session:
        async with speaking(session, STAGE.speech):
            await session.until("input_audio_buffer.speech_started")
            done = await session.until("conversation.item.input_audio_transcription.completed")
            await session.until("audio_end")
            await session.until("agent_end")
        assert seconds(session.audio) > 0.5
        heard = STAGE.heard(session.shown("user"))
    assert done["transcript"]
    return f"{heard}, {seconds(session.audio):.1f} s of speech came back"


@scenario("manual commit")
async def manual_commit() -> str:
    async with talk("clerk", audio={"input": {"turn_detection": None}}) as session:
        await session.until("session.updated")
        await session.session.send_audio(STAGE.speech, commit=True)
        await session.until("input_audio_buffer.committed")
        await session.send("response.create")
        heard = await session.until("conversation.item.input_audio_transcription.completed")
        await session.until("agent_end")
        assert "nine o'clock" in session.shown("assistant")
    return STAGE.heard(heard["transcript"])


@scenario("tool round trip")
async def tool_round_trip() -> str:
    async with talk("weather", tools=[get_weather], output_modalities=["text"]) as session:
        await session.session.send_message("What is the weather in Oslo?")
        ended = await session.until("tool_end")
        while "sunny" not in session.shown("assistant"):
            await session.next()
    assert (called, ended.output) == (["Oslo"], "sunny, 20 °C")
    assert STAGE.remembered()[-1]["content"] == "sunny, 20 °C"
    return "the SDK ran get_weather('Oslo') and the answer used it"


@scenario("barge-in")
async def barge_in() -> str:
    """The SDK itself truncates when it is told that the user speaks, and retrieves what is left."""
    async with talk("story") as session:
        await session.session.send_message("Tell me a story.")
        first = await session.until("audio")
        await asyncio.sleep(2)
        async with speaking(session, STAGE.speech):
            await session.until("audio_interrupted")
            cut = await session.until("response.done")
            truncated = await session.until("conversation.item.truncated")
            item = (await session.until("conversation.item.retrieved"))["item"]
            await session.until("response.created")
            await session.until("audio")
    details = cut["response"]["status_details"]
    assert details["reason"] == "turn_detected", details
    assert truncated["item_id"] == item["id"] == first.item_id
    return STAGE.agent_remembers(item["content"][0]["transcript"], truncated["audio_end_ms"])


@scenario("bad key")
async def bad_key() -> str:
    try:
        async with talk("clerk", key="sk_wrong"):
            shown = "nothing"
    except Exception as error:
        shown = f"{type(error).__name__}: {error}"
    assert "401" in shown, shown
    return shown


@scenario("client secret")
async def client_secret() -> str:
    async with AsyncOpenAI(base_url=STAGE.base_url, api_key=STAGE.key) as openai:
        secret = await openai.realtime.client_secrets.create(session={"type": "realtime", "model": "clerk"})
    async with talk("clerk", key=secret.value, output_modalities=["text"]) as session:
        await session.session.send_message("When do you open?")
        await session.until("agent_end")
        assert "nine o'clock" in session.shown("assistant")
    return "opened a session and held a turn"


@scenario("transcription")
async def transcription() -> str:
    raise NotApplicable("the SDK opens conversations only")


@scenario("text over HTTP")
async def text_over_http() -> str:
    """The SDK's other agents, over responses and over chat completions, with a tool that it runs."""
    async with AsyncOpenAI(base_url=STAGE.base_url, api_key=STAGE.key) as openai:
        for model in (OpenAIResponsesModel("weather", openai), OpenAIChatCompletionsModel("weather", openai)):
            called.clear()
            agent = Agent(name="caller", model=model, tools=[get_weather])
            result = Runner.run_streamed(agent, "What is the weather in Oslo?")
            kinds = [event.type async for event in result.stream_events()]
            assert called == ["Oslo"], kinds
            assert "sunny" in result.final_output, result.final_output
            assert STAGE.remembered()[-1]["content"] == "sunny, 20 °C"
    return "the SDK's Runner, streaming, ran get_weather('Oslo') over responses and over chat completions"


@scenario("strict events")
async def strict_events() -> str:
    assert not errors, errors
    return f"{len(seen)} events of {len(set(seen))} types passed the SDK's pydantic types"


run()
