"""OpenAI's Python package."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager

import pydantic
from driving import Wire, encoded, microphone, run, scenario, seconds, stage
from openai import AsyncOpenAI, AuthenticationError
from openai.types.chat import ChatCompletion
from openai.types.realtime.realtime_server_event import RealtimeServerEvent

STAGE = stage()
STRICT = pydantic.TypeAdapter(RealtimeServerEvent)
WEATHER_TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
seen: list[str] = []
refused: list[str] = []


def client(key: str = STAGE.key) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=STAGE.base_url, api_key=key, max_retries=0)


class Talk:
    """A connection whose every event is validated as strictly as the package's own types allow."""

    def __init__(self, connection) -> None:
        self.connection = connection
        self.wire = Wire()

    async def next(self):
        raw = await self.connection.recv_bytes()
        self.wire.see(raw)
        event = self.connection.parse_event(raw)
        seen.append(event.type)
        try:
            STRICT.validate_json(raw)
        except pydantic.ValidationError as error:
            refused.append(f"{event.type}: {error.errors()[0]['loc']} {error.errors()[0]['msg']}")
        assert event.type != "error", event.error.message
        return event

    async def until(self, kind: str) -> list:
        """The events up to the first of `kind`."""
        events = [await self.next()]
        while events[-1].type != kind:
            events.append(await self.next())
        return events

    async def configure(self, **session):
        await self.connection.session.update(session={"type": "realtime", **session})
        return (await self.until("session.updated"))[-1].session

    async def write(self, text: str) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await self.connection.conversation.item.create(item=item)

    async def respond(self) -> list:
        await self.connection.response.create()
        return await self.until("response.done")


@asynccontextmanager
async def talk(model: str, key: str = STAGE.key):
    async with client(key) as openai, openai.realtime.connect(model=model) as connection:
        session = Talk(connection)
        await session.until("session.created")
        yield session


@asynccontextmanager
async def speaking(session: Talk, speech: bytes):
    async def speak() -> None:
        async for piece in microphone(speech):
            await session.connection.input_audio_buffer.append(audio=encoded(piece))

    async with asyncio.TaskGroup() as tasks:
        mouth = tasks.create_task(speak())
        yield
        mouth.cancel()


def said(events: list, kind: str = "response.output_text") -> str:
    """The text of a response, which its deltas must spell."""
    whole = next(event for event in events if event.type == f"{kind}.done")
    text = whole.text if kind.endswith("text") else whole.transcript
    assert "".join(event.delta for event in events if event.type == f"{kind}.delta") == text
    return text


def audio(events: list) -> bytes:
    return b"".join(base64.b64decode(event.delta) for event in events if event.type == "response.output_audio.delta")


@scenario("text turn")
async def text_turn() -> str:
    async with talk("clerk") as session:
        await session.configure(output_modalities=["text"])
        await session.write("When do you open?")
        events = await session.respond()
    assert "nine o'clock" in said(events)
    assert events[-1].response.status == "completed"
    return f"{sum(event.type == 'response.output_text.delta' for event in events)} deltas"


@scenario("voice turn")
async def voice_turn() -> str:
    async with talk("guide") as session:
        detection = {"type": "server_vad", "silence_duration_ms": 600}
        await session.configure(
            audio={"input": {"turn_detection": detection, "transcription": {"model": "gpt-4o-mini-transcribe"}}}
        )
        async with speaking(session, STAGE.speech):
            events = await session.until("response.done")
    by_type = {event.type: event for event in events}
    items = {
        by_type[f"input_audio_buffer.{name}"].item_id for name in ("speech_started", "speech_stopped", "committed")
    }
    assert len(items) == 1
    assert events[-1].response.status == "completed"
    transcript = by_type["conversation.item.input_audio_transcription.completed"].transcript
    assert said(events, "response.output_audio_transcript")
    assert seconds(audio(events)) > 0.5
    return f"{STAGE.heard(transcript)}, {seconds(audio(events)):.1f} s of speech came back"


@scenario("manual commit")
async def manual_commit() -> str:
    async with talk("clerk") as session:
        effective = await session.configure(
            audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}
        )
        assert effective.audio.input.turn_detection is None
        await session.connection.input_audio_buffer.append(audio=encoded(STAGE.speech))
        await session.connection.input_audio_buffer.commit()
        before = await session.until("input_audio_buffer.committed")
        events = await session.respond()
        assert "nine o'clock" in said(events, "response.output_audio_transcript")
        done = "conversation.item.input_audio_transcription.completed"
        heard = [event for event in before + events if event.type == done] or await session.until(done)
    return STAGE.heard(heard[-1].transcript)


@scenario("tool round trip")
async def tool_round_trip() -> str:
    async with talk("weather") as session:
        await session.configure(output_modalities=["text"], tools=[WEATHER_TOOL])
        await session.write("What is the weather in Oslo?")
        events = await session.respond()
        call = next(event for event in events if event.type == "response.function_call_arguments.done")
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 20 °C"}
        await session.connection.conversation.item.create(item=output)
        answer = said(await session.respond())
    assert "sunny" in answer
    assert STAGE.remembered()[-1]["content"] == "sunny, 20 °C"
    return f"{call.name}({call.arguments}) → {answer}"


@scenario("barge-in")
async def barge_in() -> str:
    async with talk("story") as session:
        await session.write("Tell me a story.")
        await session.connection.response.create()
        first = (await session.until("response.output_audio.delta"))[-1]
        await asyncio.sleep(2)
        async with speaking(session, STAGE.speech):
            await session.until("input_audio_buffer.speech_started")
            await session.connection.conversation.item.truncate(
                item_id=first.item_id, content_index=0, audio_end_ms=1500
            )
            cut = (await session.until("response.done"))[-1].response
            assert (cut.status, cut.status_details.reason) == ("cancelled", "turn_detected")
            await session.until("conversation.item.truncated")
            await session.connection.conversation.item.retrieve(item_id=first.item_id)
            item = (await session.until("conversation.item.retrieved"))[-1].item
            await session.until("response.created")
            await session.until("response.output_audio.delta")
    return STAGE.agent_remembers(item.content[0].transcript, 1500)


@scenario("bad key")
async def bad_key() -> str:
    shown = []
    async with client("sk_wrong") as openai:
        try:
            async with openai.realtime.connect(model="clerk"):
                pass
        except Exception as error:
            shown.append(f"{type(error).__name__}: {error}")
        try:
            await openai.realtime.client_secrets.create()
        except AuthenticationError as error:
            shown.append(f"{type(error).__name__}: {error.body['message']}")
    upgrade, call = shown
    assert "401" in upgrade, upgrade
    assert "Incorrect API key" in call, call
    return "; ".join(shown)


@scenario("client secret")
async def client_secret() -> str:
    session = {"type": "realtime", "model": "clerk", "output_modalities": ["text"]}
    async with client() as openai:
        secret = await openai.realtime.client_secrets.create(session=session)
    assert secret.value.startswith("ek_")
    async with talk("clerk", secret.value) as session:
        await session.write("When do you open?")
        assert "nine o'clock" in said(await session.respond())
    return "opened a session and held a turn"


@scenario("transcription")
async def transcription() -> str:
    done = "conversation.item.input_audio_transcription.completed"
    async with client() as openai, openai.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        session = Talk(connection)
        await session.until("session.created")
        listening = {"turn_detection": {"type": "server_vad"}, "transcription": {"model": "gpt-4o-transcribe"}}
        await connection.session.update(session={"type": "transcription", "audio": {"input": listening}})
        await session.until("session.updated")
        async with speaking(session, STAGE.speech):
            events = await session.until(done)
    deltas = [event.delta for event in events if event.type.endswith("input_audio_transcription.delta")]
    assert "".join(deltas) == events[-1].transcript
    return f"{STAGE.heard(events[-1].transcript)}, {len(deltas)} deltas"


@scenario("text over HTTP")
async def text_over_http() -> str:
    """Chat completions and responses, streamed and whole, every answer and event as strict as the package's types."""
    question = [{"role": "user", "content": "When do you open?"}]
    async with client() as openai:
        assert "clerk" in [model.id async for model in openai.models.list()]
        whole = await openai.chat.completions.create(model="clerk", messages=question)
        ChatCompletion.model_validate_json(whole.model_dump_json())
        stream = await openai.chat.completions.create(model="clerk", messages=question, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "".join(pieces) == whole.choices[0].message.content
        async with openai.responses.stream(model="clerk", input="When do you open?") as stream:
            kinds = [event.type async for event in stream]
            first = await stream.get_final_response()
        assert first.output_text == whole.choices[0].message.content
        tool = await openai.responses.create(model="weather", input="The weather in Oslo?", tools=[WEATHER_TOOL])
        call = next(item for item in tool.output if item.type == "function_call")
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 20 °C"}
        told = await openai.responses.create(
            model="weather", input=[output], previous_response_id=tool.id, tools=[WEATHER_TOOL]
        )
    assert "sunny" in told.output_text, told.output_text
    assert STAGE.remembered()[-1]["content"] == "sunny, 20 °C"
    return f"{len(pieces)} chunks of a chat, {len(kinds)} events of a response, a tool's round trip, models"


@scenario("strict events")
async def strict_events() -> str:
    assert not refused, refused
    return f"{len(seen)} events of {len(set(seen))} types"


run()
