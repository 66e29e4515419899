"""What the OpenAI-compatible adapters make of servers that misbehave."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from opentelemetry.sdk.resources import Resource

from agents.audio import Audio
from agents.errors import ProviderError, ProviderTimeout
from agents.interfaces import (
    LLM,
    CompletionOptions,
    Finish,
    LLMOutput,
    Message,
    ResponseFormat,
    Segment,
    Speech,
    TextDelta,
    ToolCall,
    ToolSpec,
    Transcript,
    VoiceOptions,
)
from agents.providers.fallback import Breakers, Candidate, FallbackLLM
from agents.providers.openai_compatible.client import _API, Client, Clients
from agents.providers.openai_compatible.llm import OpenAILLM
from agents.providers.openai_compatible.messages import JSON_OBJECT, chat_response_format
from agents.providers.openai_compatible.realtime_stt import RealtimeSTT
from agents.providers.openai_compatible.stt import OpenAISTT
from agents.providers.openai_compatible.tts import OpenAITTS
from agents.providers.scripted import tone
from agents.spec import Account, LLMSpec, STTSpec, TTSSpec
from project.logs import JsonFormatter
from sessions.pipeline.messages import (
    Content,
    CreateItem,
    CreateResponse,
    MessageItem,
    ResponseDone,
    ResponseOptions,
    TurnClosed,
)
from telemetry.otel import spans
from telemetry.trace import TurnMarks, TurnTrace
from tests.fakes.brain import PlainBrain
from tests.fakes.scripted_server import ScriptedServer, scripted_server
from tests.processes import free_port
from tests.scenario import conversation

FAST = {"stt_ms": 5, "llm_first_ms": 5, "llm_tokens_per_s": 200, "tts_first_ms": 5, "tts_speed": 20}
AT_ONCE_S = 3.0
"""The servers are silent for good, so that nothing but the closing ends a request."""
HISTORY = [Message("user", "What time is it?")]

Ask = Callable[[Client], AsyncGenerator[Any, None]]


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    clients = Clients()
    yield clients
    await clients.aclose()


@pytest.fixture
def connect(clients: Clients, provider_server: ScriptedServer) -> Callable[..., Client]:
    return lambda **script: clients.client(provider_server.account(**(FAST | script)))


async def utterance() -> AsyncGenerator[Audio, None]:
    yield tone(500, 16_000)


async def lines(*texts: str) -> AsyncGenerator[Segment, None]:
    for number, text in enumerate(texts):
        yield Segment(number, text)


def hear(client: Client, model: str = "") -> AsyncGenerator[Transcript, None]:
    return OpenAISTT(client, STTSpec(model=model)).transcribe(utterance(), TurnMarks(time.monotonic))


def hear_streaming(client: Client) -> AsyncGenerator[Transcript, None]:
    return hear(client, "gpt-4o-mini-transcribe")


def hear_live(client: Client) -> AsyncGenerator[Transcript, None]:
    return RealtimeSTT(client, STTSpec(model="any")).transcribe(utterance(), TurnMarks(time.monotonic))


def think(client: Client, *tools: ToolSpec) -> AsyncGenerator[LLMOutput, None]:
    llm = OpenAILLM(client, LLMSpec(model="any"))
    return llm.complete(HISTORY, tools, CompletionOptions(), TurnMarks(time.monotonic))


def say(client: Client, *texts: str) -> AsyncGenerator[Speech, None]:
    tts = OpenAITTS(client, TTSSpec())
    return tts.synthesize(lines(*(texts or ("Good morning to you all.",))), VoiceOptions(), TurnMarks(time.monotonic))


POOLED = pytest.mark.parametrize("ask", [hear, hear_streaming, think, say])
EVERYBODY = pytest.mark.parametrize("ask", [hear, hear_streaming, hear_live, think, say])
BY_BOTH_WAYS = pytest.mark.parametrize("ask", [hear_live, think])
"""Over a WebSocket, and over HTTP."""
STREAMING = pytest.mark.parametrize("ask", [hear_streaming, hear_live, think, say])


async def outputs_until_failure(stream: AsyncGenerator[Any, None]) -> tuple[list[Any], ProviderError]:
    outputs: list[Any] = []

    async def collect() -> None:
        async with aclosing(stream):
            async for output in stream:
                outputs.append(output)  # noqa: PERF401 - what came before the failure is wanted

    with pytest.raises(ProviderError) as failure:
        await collect()
    assert failure.value.provider == "lab"
    assert "'lab'" in str(failure.value)
    assert "canary" not in str(failure.value)
    return outputs, failure.value


@EVERYBODY
@pytest.mark.parametrize(
    ("status", "retryable", "advice"),
    [
        (401, False, "key was refused (401)"),
        (403, False, "may not do this (403)"),
        (404, False, "base URL"),
        (413, False, "too large"),
        (429, True, "too many requests"),
        (500, True, "server failed (500)"),
        (503, True, "server failed (503)"),
    ],
)
async def test_a_refusal_says_what_to_do(
    ask: Ask, connect: Callable[..., Client], status: int, retryable: bool, advice: str
) -> None:
    outputs, error = await outputs_until_failure(ask(connect(fault=status)))
    assert outputs == []
    assert error.retryable is retryable
    assert advice in str(error)


async def test_a_429_passes_on_how_long_to_wait(connect: Callable[..., Client]) -> None:
    _, error = await outputs_until_failure(think(connect(fault=429, retry_after=7)))
    assert "wait 7 s" in str(error)


@EVERYBODY
async def test_silence_before_the_first_output_is_a_timeout(ask: Ask, connect: Callable[..., Client]) -> None:
    started = time.monotonic()
    outputs, error = await outputs_until_failure(ask(connect(fault="stall")))
    assert outputs == []
    assert isinstance(error, ProviderTimeout)
    assert 0.9 < time.monotonic() - started < 10


@STREAMING
async def test_silence_in_mid_stream_is_a_timeout(ask: Ask, connect: Callable[..., Client]) -> None:
    started = time.monotonic()
    outputs, error = await outputs_until_failure(ask(connect(fault="stall", fault_after=3)))
    assert outputs
    assert isinstance(error, ProviderTimeout)
    assert 0.35 < time.monotonic() - started < 10


async def test_a_request_that_is_refused_in_every_dialect_changes_none(
    connect: Callable[..., Client], provider_server: ScriptedServer
) -> None:
    schema = ResponseFormat({"type": "array"})
    llm = OpenAILLM(connect(refuse=f"response_format={chat_response_format(schema)}"), LLMSpec(model="any"))
    refused = llm.complete(HISTORY, [], CompletionOptions(response_format=schema), TurnMarks(time.monotonic))
    outputs, _ = await outputs_until_failure(refused)
    assert outputs == []
    request = provider_server.last_id()
    asked = llm.complete(HISTORY, [], CompletionOptions(response_format=ResponseFormat()), TurnMarks(time.monotonic))
    assert [output async for output in asked]
    (entry,) = provider_server.log(request)
    assert entry["asked"]["response_format"] == JSON_OBJECT


@EVERYBODY
async def test_a_page_instead_of_an_answer(ask: Ask, connect: Callable[..., Client]) -> None:
    outputs, error = await outputs_until_failure(ask(connect(fault="html")))
    assert outputs == []
    assert not error.retryable


@pytest.mark.parametrize("ask", [hear, hear_streaming, hear_live, think])
async def test_a_page_points_to_the_base_url(ask: Ask, connect: Callable[..., Client]) -> None:
    _, error = await outputs_until_failure(ask(connect(fault="html")))
    assert "base URL" in str(error)


@pytest.mark.parametrize("ask", [hear_streaming, hear_live, think])
@pytest.mark.parametrize("after", [0, 2])
async def test_garbage_in_a_stream(ask: Ask, connect: Callable[..., Client], after: int) -> None:
    _, error = await outputs_until_failure(ask(connect(fault="garbage", fault_after=after)))
    assert "cannot be read" in str(error)


@EVERYBODY
async def test_a_connection_cut_before_the_answer(ask: Ask, connect: Callable[..., Client]) -> None:
    outputs, error = await outputs_until_failure(ask(connect(fault="disconnect")))
    assert outputs == []
    assert error.retryable


@POOLED
async def test_a_connection_dropped_before_an_answer_is_tried_once_more(ask: Ask, clients: Clients) -> None:
    connections = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read(100)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/v1"
        account = Account(name="lab", kind="openai_compatible", base_url=url, api_key="canary")
        _, error = await outputs_until_failure(ask(clients.client(account)))
    assert connections == 2
    assert error.retryable
    assert "broke" in str(error)


@STREAMING
async def test_a_connection_cut_in_mid_stream(ask: Ask, connect: Callable[..., Client]) -> None:
    outputs, error = await outputs_until_failure(ask(connect(fault="disconnect", fault_after=3)))
    assert outputs
    assert error.retryable
    assert "broke" in str(error)


async def test_a_stream_that_ends_without_its_finish(connect: Callable[..., Client]) -> None:
    outputs, error = await outputs_until_failure(think(connect(finish="none")))
    assert outputs
    assert "broke off" in str(error)


@EVERYBODY
async def test_nobody_listens(ask: Ask, clients: Clients) -> None:
    port = free_port()
    account = Account(name="lab", kind="openai_compatible", base_url=f"http://127.0.0.1:{port}/v1", api_key="canary")
    outputs, error = await outputs_until_failure(ask(clients.client(account)))
    assert outputs == []
    assert f"cannot connect to 127.0.0.1:{port}" in str(error)
    assert error.retryable


@BY_BOTH_WAYS
@pytest.mark.parametrize("url", ["127.0.0.1:9200/v1", "ftp://127.0.0.1/v1", "http://[::1/v1"])
async def test_a_base_url_that_is_none(ask: Ask, clients: Clients, url: str) -> None:
    account = Account(name="lab", kind="openai_compatible", base_url=url, api_key="canary")
    _, error = await outputs_until_failure(ask(clients.client(account)))
    assert "must begin with http:// or https://" in str(error)
    assert not error.retryable


@BY_BOTH_WAYS
async def test_a_certificate_that_is_not_trusted(ask: Ask, clients: Clients, tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    with scripted_server(certificate=(chain, key)) as server:
        _, error = await outputs_until_failure(ask(clients.client(server.account())))
    assert "not trusted" in str(error)
    assert not error.retryable


@BY_BOTH_WAYS
async def test_tls_spoken_to_a_plain_server(ask: Ask, clients: Clients, provider_server: ScriptedServer) -> None:
    plain = provider_server.account()
    account = msgspec.structs.replace(plain, base_url=plain.base_url.replace("http://", "https://"))
    _, error = await outputs_until_failure(ask(clients.client(account)))
    assert "does not speak TLS" in str(error)


async def test_an_answer_in_mp3_is_named(connect: Callable[..., Client]) -> None:
    _, error = await outputs_until_failure(say(connect(tts_format="mp3")))
    assert "MP3" in str(error)


@EVERYBODY
@pytest.mark.parametrize("script", [{"refuse": "model"}, {"fault": 422}, {"fault": 418}, {"fault": 500}])
async def test_what_a_server_quotes_stays_with_it(ask: Ask, connect: Callable[..., Client], script: Any) -> None:
    """A refusal that repeats what was said: not in the error, nor in a traceback of it."""
    _, error = await outputs_until_failure(ask(connect(quote=True, **script)))
    assert error.retryable == (script.get("fault") == 500)
    shown = "".join(traceback.format_exception(error))
    for said in ("What time is it", "Good morning", "Unsupported parameter", "scripted refusal"):
        assert said not in shown


async def test_a_refused_session_tells_client_logs_and_trace_what_to_do_and_no_more(
    connect: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = MessageItem("item_said", "user", (Content("text", text="My number is canary 4711."),))
    lab: Candidate[LLM] = Candidate("lab", OpenAILLM(connect(refuse="model", quote=True), LLMSpec(model="any")))
    async with conversation(brain=PlainBrain(FallbackLLM([lab], Breakers()))) as talk:
        talk.do(CreateItem(said))
        talk.do(CreateResponse(ResponseOptions(modality="text")))
        done = await talk.until(ResponseDone)
        closed = await talk.until(TurnClosed)
    assert done.status == "failed"
    assert done.error == (
        "account 'lab': the request was refused (400); check the model's name, and which settings it knows"
    )
    trace = TurnTrace.from_dict(closed.trace)
    sent = [f"{span.name} {span.attributes} {span.status.description}" for span in spans(trace, Resource({}))]
    lines = [JsonFormatter().format(record) for record in caplog.records]
    assert any("provider failed" in line for line in lines)
    for shown in (done.error, str(closed.trace), *sent, *lines):
        assert "canary" not in shown


async def test_an_answer_cut_by_its_limit_is_marked(connect: Callable[..., Client]) -> None:
    outputs = [output async for output in think(connect(finish="length"))]
    assert [output for output in outputs if isinstance(output, Finish)] == [Finish("length")]


async def test_half_a_tool_call_is_dropped(connect: Callable[..., Client]) -> None:
    client = connect(tool="get_time", tool_arguments='{"zone": "Eur', tool_finish="length")
    outputs = [output async for output in think(client, ToolSpec("get_time", "The time."))]
    assert not any(isinstance(output, ToolCall) for output in outputs)
    assert Finish("length") in outputs


async def test_unlikely_speech_is_rejected(connect: Callable[..., Client]) -> None:
    (transcript,) = [transcript async for transcript in hear(connect(no_speech=0.9))]
    assert (transcript.text, transcript.rejected) == ("", "no_speech")


@STREAMING
async def test_closing_a_stream_closes_its_connection_at_once(
    ask: Ask, clients: Clients, provider_server: ScriptedServer
) -> None:
    slow = {"llm_tokens_per_s": 5, "tts_speed": 0.5, "fault": "stall", "fault_after": 3}
    client = clients.client(provider_server.account(**(FAST | slow)))
    before = asyncio.all_tasks()
    request = provider_server.last_id()
    async with aclosing(ask(client)) as stream:
        await anext(stream)
        closing = time.monotonic()
    closed = time.monotonic()
    left = await asyncio.to_thread(provider_server.wait_for_disconnect, request)
    assert closed - closing < AT_ONCE_S
    assert left - closing < AT_ONCE_S
    assert asyncio.all_tasks() == before


@EVERYBODY
async def test_cancelling_a_wait_closes_its_connection_at_once(
    ask: Ask, connect: Callable[..., Client], provider_server: ScriptedServer
) -> None:
    before = asyncio.all_tasks()
    request = provider_server.last_id()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(ask(connect(fault="stall"))), 0.2)
    cancelled = time.monotonic()
    left = await asyncio.to_thread(provider_server.wait_for_disconnect, request)
    assert left - cancelled < AT_ONCE_S
    assert asyncio.all_tasks() == before


async def test_the_next_segment_is_asked_for_before_this_one_is_read(
    connect: Callable[..., Client], provider_server: ScriptedServer
) -> None:
    request = provider_server.last_id()
    texts = ("One two three four five six.", "Seven eight nine.", "Ten.")
    async with aclosing(say(connect(tts_speed=10), *texts)) as speech:
        async for piece in speech:
            if piece.segment_id == 1:
                break
    first, second, *others = provider_server.log(request)
    assert second["received"] < first["last_byte"]
    assert len(others) <= 1


async def test_twenty_barge_ins_leave_neither_tasks_nor_connections(
    clients: Clients, provider_server: ScriptedServer
) -> None:
    client = clients.client(provider_server.account(**FAST, fault="stall", fault_after=3))
    before = asyncio.all_tasks()
    request = provider_server.last_id()
    for _ in range(20):
        async with aclosing(say(client, "One two three four.", "Five six seven.")) as speech:
            await anext(speech)
    assert await asyncio.to_thread(provider_server.wait_for_all_to_leave, request) >= 20
    assert asyncio.all_tasks() == before


async def test_a_pooled_connection_is_used_again(
    connect: Callable[..., Client], clients: Clients, provider_server: ScriptedServer
) -> None:
    client = connect()
    for _ in range(3):
        assert "".join([o.text async for o in think(client) if isinstance(o, TextDelta)])
    async with client.lease() as api:
        pool = api._client._transport._pool  # type: ignore[attr-defined]
        assert len(pool.connections) == 1


async def test_an_edited_account_leaves_no_pool_behind(provider_server: ScriptedServer) -> None:
    clients = Clients(size=2)
    for number in range(5):
        account = msgspec.structs.replace(provider_server.account(**FAST), api_key=f"key-{number}")
        async for _ in think(clients.client(account)):
            pass
    assert [account.api_key for account in clients._pools] == ["key-3", "key-4"]
    await clients.aclose()
    assert not clients._pools


async def test_warming_finds_a_wrong_key_early(connect: Callable[..., Client]) -> None:
    await connect().warm()
    await connect(fault=404).warm()
    with pytest.raises(ProviderError, match="key was refused"):
        await connect(fault=401).warm()


async def test_connections_are_opened_ahead_of_need_and_only_those_that_are_missing(
    connect: Callable[..., Client], provider_server: ScriptedServer
) -> None:
    client = connect(stt_ms=7)  # an account of its own, so that its pool opens now
    since = provider_server.last_id()
    assert list(await asyncio.gather(client.prepare(3), client.prepare(3))) == [{"open": 3}, {}]
    assert await client.prepare(3) == {}
    async with client.lease() as api:
        assert isinstance(api, _API)
        assert api.idle == 3
        assert [output async for output in think(client)]
        assert api.idle == 3
        stream = think(client)
        await anext(stream)
        assert api.idle == 2
        await stream.aclose()  # as a barge-in does, which costs a connection
        assert await client.prepare(3) == {"open": 3}
        assert api.idle == 3
    asked = [request["path"].rpartition("/")[2] for request in await asyncio.to_thread(provider_server.log, since)]
    assert asked == ["models"] * 3 + ["completions"] * 2 + ["models"] * 3


async def test_what_cannot_be_opened_ahead_of_need_raises_nothing(clients: Clients) -> None:
    for base_url in (f"http://127.0.0.1:{free_port()}/v1", "http://[", "nonsense", "http://server.invalid/v1"):
        client = clients.client(Account(name="lab", kind="openai_compatible", base_url=base_url))
        assert set(await client.prepare(2)) == {"failed"}


async def test_what_the_environment_holds_for_openai_goes_to_nobody_else(
    connect: Callable[..., Client], provider_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "stray-key")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "stray-admin")
    monkeypatch.setenv("OPENAI_ORG_ID", "stray-organization")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "stray-project")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://stray.invalid/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-stray: stray-header\nAuthorization: stray-bearer")
    since = provider_server.last_id()
    client = connect(stt_ms=6)  # an account of its own, so that its pool opens now
    await client.warm()
    for ask in (hear, think, say):
        assert [output async for output in ask(client)]
    requests = await asyncio.to_thread(provider_server.log, since)
    assert len(requests) == 4
    assert "stray" not in str([request["headers"] for request in requests])
    assert {request["headers"]["authorization"] for request in requests} == {"Bearer sk-canary-key"}
