"""What the streaming ears make of servers that misbehave, and of users who go on speaking meanwhile."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve

from agents.audio import Audio
from agents.errors import ProviderError, ProviderTimeout
from agents.interfaces import NO_HINTS, Hints, Transcript
from agents.providers.fallback import Breakers, Candidate, FallbackSTT
from agents.providers.openai_compatible import client as client_module
from agents.providers.openai_compatible.client import Client, Clients
from agents.providers.openai_compatible.realtime_stt import RealtimeSTT
from agents.providers.scripted import ScriptedSTT, tone
from agents.spec import Account, STTSpec
from sessions.pipeline.messages import TranscriptCompleted, TranscriptDelta, TranscriptPartial
from sessions.pipeline.utterance import RATE, Utterance
from telemetry.trace import TurnMarks
from tests.fakes.scripted_server import ScriptedServer, scripted_server
from tests.scenario import conversation

SAID = "What time is it?"


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    clients = Clients()
    yield clients
    await clients.aclose()


@pytest.fixture
def connect(clients: Clients, provider_server: ScriptedServer) -> Callable[..., Client]:
    return lambda **script: clients.client(provider_server.account(**{"stt_ms": 5, "stt_words_per_s": 10, **script}))


def spoken(ms: float = 500) -> Utterance:
    """An utterance whose speaker may go on."""
    utterance = Utterance("item_1", 0, TurnMarks(time.monotonic))
    for piece in tone(ms, RATE).split(20):
        utterance.append(piece)
    return utterance


def over(utterance: Utterance) -> Utterance:
    utterance.close()
    return utterance


def hear(
    client: Client, utterance: Utterance, hints: Hints = NO_HINTS, **spec: Any
) -> AsyncGenerator[Transcript, None]:
    return RealtimeSTT(client, STTSpec(streaming=True, **spec)).transcribe(utterance.stream(), utterance.marks, hints)


async def failed(stream: AsyncGenerator[Transcript, None]) -> ProviderError:
    with pytest.raises(ProviderError) as failure:
        assert not [transcript async for transcript in stream if transcript.final]
    assert "'lab'" in str(failure.value)
    assert "canary" not in str(failure.value)
    return failure.value


@asynccontextmanager
async def listening_at(
    handle: Callable[[ServerConnection], Awaitable[None]], *, stall_s: float = 20
) -> AsyncIterator[Account]:
    """An account whose server is `handle`, after it has agreed to the session."""

    async def agree(socket: ServerConnection) -> None:
        asked = json.loads(await socket.recv())
        await socket.send(json.dumps({"type": "session.updated", "session": asked["session"]}))
        await handle(socket)

    async with serve(agree, "127.0.0.1", 0, max_queue=1, close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield Account(
            name="lab",
            kind="openai_compatible",
            base_url=f"http://127.0.0.1:{port}/v1",
            api_key="sk-canary-key",
            connect_timeout_s=10,
            first_output_timeout_s=20,
            stall_timeout_s=stall_s,
        )


async def test_words_come_while_the_user_speaks(connect: Callable[..., Client]) -> None:
    utterance = spoken(500)
    async with aclosing(hear(connect(), utterance)) as transcripts:
        partials = [await anext(transcripts) for _ in SAID.split()]
        utterance.close()
        rest = [transcript async for transcript in transcripts]
    assert [partial.text for partial in partials] == ["What", "What time", "What time is", SAID]
    assert all(partial.settled == len(partial.text) for partial in partials)
    assert rest == [Transcript(SAID, final=True)]


async def test_captions_are_shown_and_promise_nothing(connect: Callable[..., Client]) -> None:
    utterance = spoken(500)
    async with aclosing(hear(connect(stt_captions=True), utterance)) as transcripts:
        captions = [await anext(transcripts) for _ in SAID.split()]
        utterance.close()
        finals = [transcript async for transcript in transcripts if transcript.final]
    assert captions[-1] == Transcript(SAID, final=False, settled=0)
    assert [final.text for final in finals] == [SAID]


async def test_the_server_hears_all_of_it_and_is_asked_for_what_the_agent_says(
    connect: Callable[..., Client], provider_server: ScriptedServer
) -> None:
    request = provider_server.last_id()
    stream = hear(connect(), over(spoken(1230)), model="guide", language="fr", prompt="Repartee")
    assert [transcript async for transcript in stream][-1].text == SAID
    (entry,) = provider_server.log(request)
    assert entry["headers"]["authorization"] == "Bearer sk-canary-key"
    assert entry["asked"] == {
        "intent": "transcription",
        "model": "guide",
        "repartee": "1",
        "language": "fr",
        "prompt": "Repartee",
        "audio_s": 1.23,
    }


async def test_what_the_client_says_of_its_speech_goes_before_what_the_agent_says(
    connect: Callable[..., Client], provider_server: ScriptedServer
) -> None:
    request = provider_server.last_id()
    stream = hear(connect(), over(spoken(1230)), Hints("de"), language="fr", prompt="Repartee")
    assert [transcript async for transcript in stream][-1].text == SAID
    (entry,) = provider_server.log(request)
    assert (entry["asked"]["language"], entry["asked"]["prompt"]) == ("de", "Repartee")


async def test_openai_is_asked_for_the_model_in_the_session_alone(clients: Clients) -> None:
    stt = RealtimeSTT(clients.client(Account(name="openai", kind="openai_compatible")), STTSpec(model="gpt-x"))
    assert str(stt._url()) == "wss://api.openai.com/v1/realtime?intent=transcription"
    assert stt._asked(NO_HINTS)["audio"]["input"]["transcription"]["model"] == "gpt-x"


async def test_less_audio_than_a_server_takes_is_no_speech(connect: Callable[..., Client]) -> None:
    stream = hear(connect(fault="stall"), over(spoken(80)))
    assert [transcript async for transcript in stream] == [Transcript("", final=True, rejected="no_speech")]


async def test_a_server_that_never_agrees_is_a_timeout(connect: Callable[..., Client]) -> None:
    started = time.monotonic()
    assert isinstance(await failed(hear(connect(fault="deaf"), spoken())), ProviderTimeout)
    assert 0.9 < time.monotonic() - started < 10


async def test_a_server_that_ends_turns_itself_is_refused(connect: Callable[..., Client]) -> None:
    error = await failed(hear(connect(fault="takes_turns"), spoken()))
    assert "allow them to change its turn detection" in str(error)
    assert not error.retryable


@pytest.mark.parametrize("fault", ["error", "failed"])
async def test_a_failure_told_by_event_may_be_tried_elsewhere(connect: Callable[..., Client], fault: str) -> None:
    error = await failed(hear(connect(fault=fault), over(spoken())))
    assert error.retryable
    assert SAID not in str(error)


@pytest.mark.parametrize(
    ("code", "advice", "retryable"),
    [
        ("invalid_api_key", "key was refused (401)", False),
        ("model_not_found", "model's name", False),
        ("input_audio_buffer_full", "too large (413)", False),
        ("insufficient_quota", "no credit left (429)", True),
        ("session_expired", "server failed (503)", True),
        ("who_knows", "refused (400)", False),
    ],
)
async def test_an_error_event_says_what_to_do(clients: Clients, code: str, advice: str, retryable: bool) -> None:
    async def refuse(socket: ServerConnection) -> None:
        await socket.send(json.dumps({"type": "error", "error": {"type": "x", "code": code, "message": "canary"}}))

    async with listening_at(refuse) as account:
        error = await failed(hear(clients.client(account), spoken()))
    assert advice in str(error)
    assert error.retryable is retryable


@pytest.mark.parametrize("fault", ["disconnect", "garbage", "error"])
async def test_a_server_that_fails_while_the_user_speaks_is_left_at_once(
    connect: Callable[..., Client], fault: str
) -> None:
    started = time.monotonic()
    await failed(hear(connect(fault=fault, fault_after=2), spoken()))
    assert time.monotonic() - started < 10


async def test_a_line_that_is_dead_while_the_user_speaks_is_found_out(clients: Clients) -> None:
    """Half open: it takes what it is sent and answers nothing, not even a ping."""

    found_out = asyncio.Event()

    async def die(socket: ServerConnection) -> None:
        socket.transport.pause_reading()
        await found_out.wait()

    async with listening_at(die, stall_s=0.4) as account:
        started = time.monotonic()
        error = await failed(hear(clients.client(account), spoken()))
        assert 0.3 < time.monotonic() - started < 15
        found_out.set()
    assert "broke" in str(error)
    assert error.retryable


async def test_a_server_that_does_not_read_stops_the_sending(clients: Clients) -> None:
    """Audio piles up in the network and no further: what does not fit makes the sender wait, and not for ever."""

    async def ignore(socket: ServerConnection) -> None:
        await asyncio.sleep(2)

    sent = 0

    async def endless() -> AsyncGenerator[Audio, None]:
        nonlocal sent
        while True:
            sent += 1
            yield Audio.silence(1000, RATE)

    async with listening_at(ignore, stall_s=0.4) as account:
        stream = RealtimeSTT(clients.client(account), STTSpec()).transcribe(endless(), TurnMarks(time.monotonic))
        await failed(stream)
    assert sent < 1000


@pytest.mark.parametrize(("said_s", "sent_s"), [(5, 5), (120, 119)])
async def test_neither_a_message_nor_an_utterance_is_too_large(clients: Clients, said_s: int, sent_s: int) -> None:
    sizes = []

    async def measure(socket: ServerConnection) -> None:
        async for message in socket:
            event = json.loads(message)
            if event["type"] == "input_audio_buffer.append":
                sizes.append(len(message))
            else:
                done = {"type": "conversation.item.input_audio_transcription.completed", "transcript": SAID}
                await socket.send(json.dumps(done))

    utterance = Utterance("item_1", 0, TurnMarks(time.monotonic))
    for _ in range(said_s):
        utterance.append(Audio.silence(1000, RATE))
    async with listening_at(measure) as account:
        assert [transcript.text async for transcript in hear(clients.client(account), over(utterance))] == [SAID]
    assert max(sizes) < 13_000
    assert sum(sizes) == pytest.approx(sent_s * 24_000 * 2 * 4 / 3, rel=0.01)


async def test_neither_the_key_nor_what_is_said_is_ever_logged(
    connect: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert [transcript async for transcript in hear(connect(), over(spoken()))][-1].text == SAID
    assert "canary" not in caplog.text
    assert "What time" not in caplog.text


async def test_a_server_that_accepts_and_says_nothing_is_a_timeout(clients: Clients) -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1") as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        account = Account(name="lab", kind="openai_compatible", base_url=url, connect_timeout_s=0.3)
        started = time.monotonic()
        assert isinstance(await failed(hear(clients.client(account), spoken())), ProviderTimeout)
    assert time.monotonic() - started < 10


async def test_cancelling_in_mid_speech_closes_the_connection_at_once(
    connect: Callable[..., Client], provider_server: ScriptedServer
) -> None:
    before = asyncio.all_tasks()
    request = provider_server.last_id()
    async with aclosing(hear(connect(), spoken())) as transcripts:
        await anext(transcripts)
        closing = time.monotonic()
    closed = time.monotonic()
    left = await asyncio.to_thread(provider_server.wait_for_disconnect, request)
    assert closed - closing < 3
    assert left - closing < 3
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("fault", ["401", "deaf", "disconnect", "garbage", "error", "failed"])
async def test_the_next_account_hears_all_from_the_start(connect: Callable[..., Client], fault: str) -> None:
    """Also what was still to be said when the first one failed, in the midst of a read."""
    utterance = spoken(500)
    streaming = RealtimeSTT(connect(fault=fault, fault_after=2), STTSpec(streaming=True))
    local = ScriptedSTT(lambda audio: f"{audio.ms:g} ms", words_per_s=5)
    stt = FallbackSTT([Candidate("lab", streaming), Candidate("local", local)], Breakers())
    if fault == "failed":
        utterance.close()
    heard: list[Transcript] = []

    async def collect() -> None:
        async for transcript in stt.transcribe(utterance.stream(), utterance.marks):
            heard.append(transcript)  # noqa: PERF401 - what has come so far is looked at meanwhile

    async with asyncio.TaskGroup() as group:
        group.create_task(collect())
        if not utterance.complete:
            await asyncio.sleep(1.3 if fault == "deaf" else 0.4)
            utterance.append(tone(500, RATE))
            utterance.close()
    assert heard[-1] == Transcript("500 ms" if fault == "failed" else "1000 ms", final=True)
    assert utterance.marks.facts["stt_provider"] == "local"
    assert not any(transcript.settled for transcript in heard)


async def test_a_user_who_pauses_is_heard_from_the_start_each_time_and_leaves_no_connection(
    connect: Callable[..., Client], provider_server: ScriptedServer
) -> None:
    before = asyncio.all_tasks()
    request = provider_server.last_id()
    stt = RealtimeSTT(connect(stt_words_per_s=4), STTSpec(streaming=True))
    async with conversation(stt=stt) as talk:
        for _ in range(4):
            await talk.speak(400)
            await talk.silence(300)
        completed = await talk.until_while_silent(TranscriptCompleted)
        captions = [partial.text for partial in talk.all(TranscriptPartial)]
    entries = provider_server.log(request)
    assert completed.text == "".join(delta.text for delta in talk.all(TranscriptDelta)) == SAID
    assert [len(text) for text in captions] == sorted(len(text) for text in captions)
    assert len(entries) == 4
    heard_s = [entry["asked"]["audio_s"] for entry in entries]
    assert heard_s == sorted(heard_s)
    assert heard_s[-1] > 2.5
    assert asyncio.all_tasks() == before


async def test_twenty_utterances_given_up_leave_neither_tasks_nor_connections(
    connect: Callable[..., Client], provider_server: ScriptedServer
) -> None:
    before = asyncio.all_tasks()
    request = provider_server.last_id()
    client = connect()
    for _ in range(20):
        async with aclosing(hear(client, spoken())) as transcripts:
            await anext(transcripts)
    assert await asyncio.to_thread(provider_server.wait_for_all_to_leave, request) == 20
    assert asyncio.all_tasks() == before


async def test_a_server_with_a_certificate_of_its_own_is_heard_through_tls(
    clients: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key, trusted = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(trusted)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    client_module._trusted.cache_clear()
    try:
        with scripted_server(certificate=(chain, key)) as server:
            said = [transcript async for transcript in hear(clients.client(server.account(stt_ms=5)), over(spoken()))]
    finally:
        client_module._trusted.cache_clear()
    assert said[-1].text == SAID
