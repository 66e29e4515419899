"""Chat completions and responses of a running server, asked by OpenAI's own Python package, unmodified."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from openai import (
    APIError,
    APIStatusError,
    AsyncOpenAI,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
)
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
)
from openai.types.responses import FunctionToolParam, ResponseInputParam

from tests.fakes.scripted_server import ScriptedServer, scripted_server
from tests.faults.live import Agent, apply, document
from tests.processes import Server, manage, wait_until

REPLY = "Sure, it is a quarter past nine."
ARGUMENTS = '{"zone": "Europe/Berlin"}'
SCHEMA: dict[str, object] = {"type": "object", "properties": {"time": {"type": "string"}}, "required": ["time"]}
CHAT_TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "clock", "description": "The time.", "parameters": {"type": "object", "properties": {}}},
}
TOOL: FunctionToolParam = {
    "type": "function",
    "name": "clock",
    "description": "The time.",
    "parameters": {"type": "object", "properties": {}},
    "strict": False,
}
QUICK = {"llm_first_ms": 20, "llm_tokens_per_s": 200, "reply": REPLY}


@pytest.fixture(scope="module")
def providers() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture(scope="module")
def server(live_server_process: Server, providers: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Server:
    scripts: dict[str, dict[str, object]] = {
        "plain": QUICK,
        "caller": QUICK | {"tool": "clock", "tool_arguments": ARGUMENTS},
        "cut": QUICK | {"finish": "length"},
        "mute": QUICK | {"usage": "false"},
        "down": {"fault": "500"},
        "breaks": QUICK | {"fault": "disconnect", "fault_after": 4},
        "stalls": QUICK | {"fault": "stall", "fault_after": 4},
    }
    accounts = {"good": providers.base_url(), **{name: providers.base_url(**s) for name, s in scripts.items()}}
    agents = [Agent(f"text-{name}", llm=f"account: {name}, model: any") for name in scripts]
    apply(live_server_process, accounts, agents, tmp_path_factory.mktemp("agents"))
    return live_server_process


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as one:
        yield one


def asked(providers: ScriptedServer, since: int) -> dict[str, object]:
    """What the language model was asked last."""
    body: dict[str, object] = providers.log(since)[-1]["asked"]
    return body


def rows(server: Server, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(server.data / "repartee.sqlite3") as database:
        return database.execute(query).fetchall()


def the_call(completion: ChatCompletion) -> ChatCompletionMessageFunctionToolCall:
    """The only call of a function in an answer."""
    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    assert len(calls) == 1
    assert calls[0].type == "function"
    return calls[0]


class TestModels:
    async def test_they_are_the_agents(self, client: AsyncOpenAI) -> None:
        models = {model.id async for model in client.models.list()}
        assert {"guide", "text-plain"} <= models
        assert (await client.models.retrieve("gpt-4o-mini")).id == "gpt-4o-mini"
        with pytest.raises(NotFoundError, match="Use one of"):
            await client.models.retrieve("nobody")


class TestChat:
    async def test_words_come_whole(self, client: AsyncOpenAI) -> None:
        """The scripted model counts the words it is told: the client's, and no rules for speaking."""
        answer = await client.chat.completions.create(
            model="text-plain",
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": [{"type": "text", "text": "No jokes."}]},
                {"role": "user", "content": "What time is it?"},
            ],
        )

        assert answer.choices[0].message.content == REPLY
        assert answer.choices[0].finish_reason == "stop"
        assert answer.model == "text-plain"
        assert answer.usage is not None
        assert answer.usage.completion_tokens == len(REPLY.split())
        assert answer.usage.prompt_tokens == 8

    async def test_words_come_one_by_one(self, client: AsyncOpenAI) -> None:
        stream = await client.chat.completions.create(
            model="text-plain",
            messages=[{"role": "user", "content": "What time is it?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]

        assert words == ["", "Sure, ", "it ", "is ", "a ", "quarter ", "past ", "nine.", None]
        assert chunks[0].choices[0].delta.role == "assistant"
        assert chunks[-2].choices[0].finish_reason == "stop"
        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == 7
        assert len({chunk.id for chunk in chunks}) == 1

    async def test_a_tool_goes_round(self, client: AsyncOpenAI, providers: ScriptedServer) -> None:
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What time is it in Berlin?"}]
        first = await client.chat.completions.create(model="text-caller", messages=messages, tools=[CHAT_TOOL])
        call = the_call(first)
        assert first.choices[0].finish_reason == "tool_calls"
        assert first.choices[0].message.content is None
        assert (call.function.name, call.function.arguments) == ("clock", ARGUMENTS)

        messages.append(first.choices[0].message.to_dict())  # type: ignore[arg-type]  # as the package's docs do it
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "09:15"})
        second = await client.chat.completions.create(model="text-caller", messages=messages, tools=[CHAT_TOOL])
        assert second.choices[0].message.content == REPLY

    async def test_a_streamed_tool_call_is_put_together_by_the_package(self, client: AsyncOpenAI) -> None:
        async with client.chat.completions.stream(
            model="text-caller", messages=[{"role": "user", "content": "Time?"}], tools=[CHAT_TOOL]
        ) as stream:
            completion = await stream.get_final_completion()
        assert the_call(completion).function.arguments == ARGUMENTS

    async def test_what_the_client_chooses_reaches_the_model(
        self, client: AsyncOpenAI, providers: ScriptedServer
    ) -> None:
        since = providers.last_id()
        await client.chat.completions.create(
            model="text-plain",
            messages=[{"role": "user", "content": "Time?"}],
            tools=[CHAT_TOOL],
            tool_choice={"type": "function", "function": {"name": "clock"}},
            max_completion_tokens=17,
            temperature=0.5,
            response_format={"type": "json_schema", "json_schema": {"name": "time", "strict": True, "schema": SCHEMA}},
        )
        body = asked(providers, since)
        assert body["max_tokens"] == 17
        assert body["temperature"] == 0.5
        assert body["tool_choice"] == {"type": "function", "function": {"name": "clock"}}
        assert body["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "time", "schema": SCHEMA, "strict": True},
        }

    async def test_an_answer_cut_off_says_so(self, client: AsyncOpenAI) -> None:
        answer = await client.chat.completions.create(
            model="text-cut", messages=[{"role": "user", "content": "Time?"}], max_tokens=5
        )
        assert answer.choices[0].finish_reason == "length"

    async def test_the_guide_answers_from_its_documents_without_a_model(self, client: AsyncOpenAI) -> None:
        answer = await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "What is Repartee?"}]
        )
        assert answer.model == "gpt-4o"
        assert "repartee" in (answer.choices[0].message.content or "").lower()
        assert answer.usage is not None
        assert answer.usage.total_tokens == 0


class TestResponses:
    async def test_words_come_whole(self, client: AsyncOpenAI) -> None:
        response = await client.responses.create(
            model="text-plain", input="What time is it?", instructions="Be brief.", metadata={"order": "7"}
        )
        assert response.output_text == REPLY
        assert response.status == "completed"
        assert response.instructions == "Be brief."
        assert response.metadata == {"order": "7"}
        assert response.usage is not None
        assert response.usage.output_tokens == 7
        assert response.usage.input_tokens == 6

    async def test_events_come_in_order(self, client: AsyncOpenAI) -> None:
        stream = await client.responses.create(model="text-plain", input="What time is it?", stream=True)
        events = [event async for event in stream]
        deltas = ["response.output_text.delta"] * 7
        assert [event.type for event in events] == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            *deltas,
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
        assert [event.sequence_number for event in events] == list(range(len(events)))

    async def test_a_tool_goes_round_by_the_previous_response(self, client: AsyncOpenAI) -> None:
        async with client.responses.stream(model="text-caller", input="Time in Berlin?", tools=[TOOL]) as stream:
            first = await stream.get_final_response()
        (call,) = first.output
        assert call.type == "function_call"
        assert (call.name, call.arguments, call.status) == ("clock", ARGUMENTS, "completed")

        output: ResponseInputParam = [{"type": "function_call_output", "call_id": call.call_id, "output": "09:15"}]
        second = await client.responses.create(
            model="text-caller", input=output, previous_response_id=first.id, tools=[TOOL]
        )
        assert second.output_text == REPLY
        assert second.previous_response_id == first.id

    async def test_a_tool_goes_round_by_repeating_the_items(self, client: AsyncOpenAI) -> None:
        items: ResponseInputParam = [{"role": "user", "content": "Time in Berlin?"}]
        first = await client.responses.create(model="text-caller", input=items, tools=[TOOL], store=False)
        (call,) = first.output
        assert call.type == "function_call"
        items.append(call.to_dict())  # type: ignore[arg-type]  # as the package's docs do it
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": "09:15"})
        second = await client.responses.create(model="text-caller", input=items, tools=[TOOL], store=False)
        assert second.output_text == REPLY

    async def test_a_tool_goes_round_by_referring_to_the_items(self, client: AsyncOpenAI) -> None:
        first = await client.responses.create(model="text-caller", input="Time in Berlin?", tools=[TOOL])
        (call,) = first.output
        assert call.type == "function_call"
        assert call.id is not None
        items: ResponseInputParam = [
            {"role": "user", "content": "Time in Berlin?"},
            {"type": "item_reference", "id": call.id},
            {"type": "function_call_output", "call_id": call.call_id, "output": "09:15"},
        ]
        second = await client.responses.create(model="text-caller", input=items, tools=[TOOL])
        assert second.output_text == REPLY

    async def test_the_conversation_so_far_goes_with_it(self, client: AsyncOpenAI) -> None:
        first = await client.responses.create(model="text-plain", input="What time is it?")
        second = await client.responses.create(model="text-plain", input="And tomorrow?", previous_response_id=first.id)
        assert second.usage is not None
        assert second.usage.input_tokens == len(f"What time is it? {REPLY} And tomorrow?".split())

    async def test_an_answer_cut_off_is_incomplete(self, client: AsyncOpenAI) -> None:
        response = await client.responses.create(model="text-cut", input="Time?", max_output_tokens=5)
        assert response.status == "incomplete"
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == "max_output_tokens"

    async def test_a_schema_reaches_the_model(self, client: AsyncOpenAI, providers: ScriptedServer) -> None:
        since = providers.last_id()
        await client.responses.create(
            model="text-plain",
            input="Time?",
            text={"format": {"type": "json_schema", "name": "time", "schema": SCHEMA, "strict": True}},
        )
        asked_for = asked(providers, since)["response_format"]
        assert asked_for == {
            "type": "json_schema",
            "json_schema": {"name": "time", "schema": SCHEMA, "strict": True},
        }

    async def test_it_is_kept_until_it_is_deleted(self, client: AsyncOpenAI) -> None:
        made = await client.responses.create(model="text-plain", input="Time?")
        assert (await client.responses.retrieve(made.id)).output_text == REPLY
        assert (await client.responses.cancel(made.id)).status == "completed"
        await client.responses.delete(made.id)
        with pytest.raises(NotFoundError):
            await client.responses.retrieve(made.id)

    async def test_what_is_not_stored_is_not_kept(self, client: AsyncOpenAI) -> None:
        made = await client.responses.create(model="text-plain", input="Time?", store=False)
        with pytest.raises(NotFoundError):
            await client.responses.retrieve(made.id)
        with pytest.raises(BadRequestError, match="not found"):
            await client.responses.create(model="text-plain", input="And?", previous_response_id=made.id)

    async def test_a_stream_can_be_read_again_from_any_event(self, client: AsyncOpenAI) -> None:
        stream = await client.responses.create(model="text-plain", input="Time?", stream=True)
        events = [event async for event in stream]
        assert events[0].type == "response.created"
        again = await client.responses.retrieve(events[0].response.id, stream=True, starting_after=5)
        assert [event.to_dict() async for event in again] == [event.to_dict() for event in events[6:]]
        for wrong in ("-5", "-1", "seven", "9" * 19):
            with pytest.raises(BadRequestError, match="the number of an event"):
                await client.responses.retrieve(
                    events[0].response.id, stream=True, extra_headers={"Last-Event-ID": wrong}
                )


class TestRecords:
    async def test_a_turn_is_kept_and_words_only_if_the_agent_stores_them(
        self, client: AsyncOpenAI, server: Server, providers: ScriptedServer, tmp_path: Path
    ) -> None:
        quiet = document({"good": providers.base_url(**QUICK)}, [Agent("text-quiet", llm="account: good, model: any")])
        (tmp_path / "quiet.yaml").write_text(quiet.replace("store_text: true", "store_text: false"))
        manage(server.data, "agent", "apply", str(tmp_path / "quiet.yaml"))
        first = await client.responses.create(model="text-quiet", input="What is a sesame?")
        await client.responses.create(model="text-quiet", input="And a sesame?", previous_response_id=first.id)
        kept = await client.responses.create(model="text-plain", input="Where is the pelican?")
        assert kept.status == "completed"

        words = "SELECT text FROM voice_sessions_itemtext"
        wait_until(lambda: any("pelican" in str(row) for row in rows(server, words)), within_s=5, what="the journal")
        assert not any("sesame" in str(row).lower() for row in rows(server, words))
        sessions = "SELECT transport, turn_count, end_reason FROM voice_sessions_session WHERE agent = 'text-quiet'"
        assert rows(server, sessions) == [("http", 2, "closed")]
        turns = "SELECT DISTINCT transport, kind, end_reason FROM telemetry_turn WHERE agent = 'text-quiet'"
        assert rows(server, turns) == [("http", "text", "completed")]
        assert "sesame" not in server.log.lower()

    async def test_after_a_new_version_is_published_a_conversation_goes_on_by_it(
        self, client: AsyncOpenAI, server: Server, providers: ScriptedServer, tmp_path: Path
    ) -> None:
        def publish(model: str, *, store_text: str) -> None:
            agent = Agent("text-changing", llm=f"account: good, model: {model}")
            words = document({"good": providers.base_url(**QUICK)}, [agent])
            (tmp_path / "changing.yaml").write_text(words.replace("store_text: true", f"store_text: {store_text}"))
            manage(server.data, "agent", "apply", str(tmp_path / "changing.yaml"))

        publish("one", store_text="true")
        first = await client.responses.create(model="text-changing", input="What is a marmot?")
        publish("two", store_text="false")
        since = providers.last_id()
        second = await client.responses.create(
            model="text-changing", input="And a gerbil?", previous_response_id=first.id
        )

        assert asked(providers, since)["model"] == "two"
        assert second.usage is not None
        assert second.usage.input_tokens == len(f"What is a marmot? {REPLY} And a gerbil?".split())
        assert (await client.responses.create(model="text-plain", input="Where is the heron?")).status == "completed"

        words = "SELECT text FROM voice_sessions_itemtext"
        wait_until(lambda: any("heron" in str(row) for row in rows(server, words)), within_s=5, what="the journal")
        assert any("marmot" in str(row) for row in rows(server, words))
        assert not any("gerbil" in str(row) for row in rows(server, words))
        sessions = "SELECT turn_count, store_text FROM voice_sessions_session WHERE agent = 'text-changing'"
        assert sorted(rows(server, sessions)) == [(1, 0), (1, 1)]


class TestFailures:
    async def test_a_provider_that_is_down(self, client: AsyncOpenAI) -> None:
        """Before the first word it is an HTTP error, also for a stream; a stream of events tells it as an event."""
        with pytest.raises(APIStatusError, match="the server failed") as failure:
            await client.chat.completions.create(model="text-down", messages=[{"role": "user", "content": "Time?"}])
        assert failure.value.status_code == 502
        with pytest.raises(APIStatusError) as failure:
            await client.chat.completions.create(
                model="text-down", messages=[{"role": "user", "content": "Time?"}], stream=True
            )
        assert failure.value.status_code == 502
        with pytest.raises(APIStatusError) as failure:
            await client.responses.create(model="text-down", input="Time?")
        assert failure.value.status_code == 502
        stream = await client.responses.create(model="text-down", input="Time?", stream=True)
        last = [event async for event in stream][-1]
        assert last.type == "response.failed"
        assert last.response.error is not None
        assert "the server failed" in last.response.error.message

    @pytest.mark.parametrize("how", ["breaks", "stalls"])
    async def test_a_provider_that_fails_half_way(self, client: AsyncOpenAI, how: str) -> None:
        stream = await client.responses.create(model=f"text-{how}", input="Time?", stream=True)
        events = [event async for event in stream]
        assert "response.output_text.delta" in {event.type for event in events}
        assert events[-1].type == "response.failed"
        assert events[-1].response.output[0].to_dict()["status"] == "incomplete"

        chat = await client.chat.completions.create(
            model=f"text-{how}", messages=[{"role": "user", "content": "Time?"}], stream=True
        )
        with pytest.raises(APIError) as failure:
            [chunk async for chunk in chat]
        assert not isinstance(failure.value, APIStatusError)

    async def test_keys(self, server: Server, client: AsyncOpenAI) -> None:
        with pytest.raises(AuthenticationError):
            await client.with_options(api_key="sk_wrong").models.list()
        secret = await client.realtime.client_secrets.create(session={"type": "realtime", "model": "guide"})
        with pytest.raises(PermissionDeniedError, match="client secret"):
            await client.with_options(api_key=secret.value).responses.create(model="guide", input="Hello")

    async def test_bad_requests_name_the_field(self, client: AsyncOpenAI) -> None:
        picture: ResponseInputParam = [
            {"role": "user", "content": [{"type": "input_image", "image_url": "data:,", "detail": "auto"}]}
        ]
        with pytest.raises(BadRequestError, match="images") as failure:
            await client.responses.create(model="text-plain", input=picture)
        assert (failure.value.code, failure.value.param) == ("unsupported_content", "input[0].content[0].type")
        with pytest.raises(NotFoundError, match="Use one of"):
            await client.responses.create(model="nobody", input="Hello")

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            (b'{"input": "' + b"x" * 3_000_000 + b'"}', 413, "request_too_large"),
            (
                b'{"input": "Hi", "tools": [{"type": "function", "name": "f", "parameters": ' + b'{"a": ' * 50_000,
                400,
                "invalid_json",
            ),
            (b'{"input": "\xff"}', 400, "invalid_json"),
            (b'{"input": {"a": 1}}', 400, "invalid_type"),
            (b'{"input": "Hi", "metadata": {"a": 1}}', 400, "invalid_type"),
            (b'{"input": [{"type": "computer_call"}]}', 400, "invalid_value"),
            (b'{"input": "Hi", "tools": [{"type": "web_search"}]}', 400, "invalid_value"),
        ],
        ids=lambda value: None if isinstance(value, bytes) else str(value),
    )
    async def test_bodies(self, server: Server, body: bytes, status: int, code: str) -> None:
        async with httpx.AsyncClient() as http:
            answer = await http.post(
                f"{server.url}/v1/responses", content=body, headers={"Authorization": f"Bearer {server.key}"}
            )
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
