"""A Repartee that hears through another Repartee: two real servers, and recorded people."""

from __future__ import annotations

import asyncio
import base64
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from agents.audio import Audio
from benchmarks.harness import RATE, Client, client
from tests import processes
from tests.fakes import speech
from tests.fakes.scripted_server import ScriptedServer, scripted_server
from tests.processes import Server, manage
from tests.wer import errors, words

SAID = "One two three four five six seven eight."
DELTA = "conversation.item.input_audio_transcription.delta"
COMPLETED = "conversation.item.input_audio_transcription.completed"
TRANSCRIBED = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
BY_HAND = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}


@pytest.fixture(scope="module")
def lab() -> Iterator[ScriptedServer]:
    """Says its eight words at four a second of audio, and settles each."""
    with scripted_server("--stt-ms", "20", "--stt-words-per-s", "4", "--transcript", SAID) as server:
        yield server


@pytest.fixture(scope="module")
def ears(lab: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that hears: `guide` with Whisper and captions, `relay` through the lab."""
    data = tmp_path_factory.mktemp("ears")
    with processes.server(data=data, REPARTEE_PARTIAL_EVERY_MS="400") as server:
        server.wait_for("/readyz")
        apply(server, data, {"lab": (lab.base_url(), "unused")}, relay="account: lab, model: any, streaming: true")
        yield server


@pytest.fixture(scope="module")
def mouth(ears: Server, lab: ScriptedServer, live_server_process: Server, tmp_path_factory: Any) -> Server:
    """The server that is talked to. Its agents have other ears than its own."""
    at = {"ears": (f"{ears.url}/v1", ears.key), "stranger": (f"{ears.url}/v1", "wrong"), "lab": (lab.base_url(), "x")}
    apply(
        live_server_process,
        tmp_path_factory.mktemp("mouth"),
        at,
        listener="account: ears, model: guide, streaming: true",
        careful="account: ears, model: guide, streaming: true, fallbacks: [embedded]",
        mistaken="account: stranger, model: guide, streaming: true, fallbacks: [embedded]",
        relayed="account: ears, model: relay, streaming: true",
    )
    return live_server_process


def apply(server: Server, folder: Path, accounts: dict[str, tuple[str, str]], **ears: str) -> None:
    """Publish an agent for each of `ears`; all think and speak through the lab."""
    path = folder / "agents.yaml"
    lines = ["accounts:"]
    for name, (url, key) in accounts.items():
        lines += [
            f'  - {{name: {name}, kind: openai_compatible, base_url: "{url}", api_key: {key}, stall_timeout_s: 2}}'
        ]
    lines += ["agents:"]
    for slug, stt in ears.items():
        lines += [
            f"  - slug: {slug}",
            "    brain: llm",
            f"    stt: {{{stt}}}",
            "    llm: {account: lab, model: any}",
            "    tts: {account: lab}",
            "    turn_detection: {type: server_vad, silence_duration_ms: 900}",
        ]
    path.write_text("\n".join(lines))
    manage(server.data, "agent", "apply", str(path))


@asynccontextmanager
async def talking_to(server: Server, agent: str, **session: Any) -> AsyncIterator[Client]:
    async with client(server.ws_url, server.key, agent) as me:
        await me.send("session.update", session=session or TRANSCRIBED)
        await me.until("session.updated")
        yield me


def clip() -> speech.Clip:
    """The longest sentence of the audiobook."""
    return max(speech.audiobook(), key=lambda one: one.audio.ms)


async def speak(me: Client, audio: Audio) -> None:
    await me.quiet(300)
    await me.play(audio.resampled(RATE))


def captions(me: Client) -> list[tuple[float, str]]:
    return [(at, event["text"]) for at, event in me.events if event["type"] == "repartee.partial"]


async def heard(me: Client) -> tuple[str, dict[str, Any]]:
    """The words of the turn, and its trace, once it has been answered."""
    _, event = await me.quiet_until(COMPLETED, within=60)
    _, done = await me.quiet_until("response.done", within=60)
    assert done["response"]["status"] == "completed"
    _, closed = await me.quiet_until("repartee.turn", within=60)
    return event["transcript"], closed["trace"]


async def test_words_are_shown_while_somebody_speaks_and_heard_well(mouth: Server) -> None:
    one = clip()
    async with talking_to(mouth, "listener") as me:
        await speak(me, one.audio)
        spoken = me.events[-1][0]
        text, trace = await heard(me)
        assert errors(words(one.text), words(text)) <= len(words(one.text)) // 10
        early = [caption for at, caption in captions(me) if at < spoken]
        assert len(early) >= 2
        assert [len(caption) for caption in early] == sorted(map(len, early))
        assert trace["facts"]["stt_provider"] == "ears"
        assert trace["marks"]["stt_first_partial"] < trace["marks"]["user_speech_end"]
        assert "".join(event["delta"] for _, event in me.events if event["type"] == DELTA) == text


@pytest.mark.parametrize("how", ["frozen", "wrong key"])
async def test_the_embedded_ears_step_in_and_hear_all_of_it(mouth: Server, ears: Server, how: str) -> None:
    """Also of a sentence in the midst of which the other server hangs."""
    one = clip()
    async with talking_to(mouth, "careful" if how == "frozen" else "mistaken") as me:
        try:
            begun, rest = one.audio.slice(0, 24_000), one.audio.slice(24_000)
            await speak(me, begun)
            if how == "frozen":
                ears.process.send_signal(signal.SIGSTOP)
            await me.play(rest.resampled(RATE))
            text, trace = await heard(me)
        finally:
            ears.process.send_signal(signal.SIGCONT)
    assert errors(words(one.text), words(text)) <= len(words(one.text)) // 10
    assert trace["facts"]["stt_provider"] == "embedded"


async def test_settled_words_travel_through_two_servers_while_somebody_speaks(mouth: Server) -> None:
    async with client(mouth.ws_url, mouth.key, "relayed", query="&intent=transcription") as me:
        await me.send("session.update", session=BY_HAND)
        await me.until("session.updated")
        await speak(me, clip().audio)
        early = [event["delta"] for _, event in me.events if event["type"] == DELTA]
        await me.send("input_audio_buffer.commit")
        _, completed = await me.until(COMPLETED)
        deltas = [event["delta"] for _, event in me.events if event["type"] == DELTA]
    assert len(early) >= 6
    assert "".join(deltas) == completed["transcript"] == SAID


async def test_a_client_that_leaves_in_mid_speech_leaves_nothing_at_the_other_server(
    mouth: Server, lab: ScriptedServer
) -> None:
    request = lab.last_id()
    async with talking_to(mouth, "relayed") as me:
        await speak(me, clip().audio.slice(0, 16_000))
        assert captions(me)
    await asyncio.to_thread(lab.wait_for_disconnect, request)


async def test_openais_package_reads_the_words_as_they_come(mouth: Server) -> None:
    api = AsyncOpenAI(base_url=f"{mouth.url}/v1", api_key=mouth.key, max_retries=0)
    deltas: list[str] = []
    async with api.realtime.connect(model="relayed", extra_query={"intent": "transcription"}) as connection:
        await connection.session.update(session={"type": "transcription", "audio": {"input": {"turn_detection": None}}})
        async for event in connection:
            match event.type:
                case "session.updated":
                    for piece in clip().audio.resampled(RATE).split(1000):
                        audio = base64.b64encode(piece.pcm).decode()
                        await connection.input_audio_buffer.append(audio=audio)
                case "conversation.item.input_audio_transcription.delta":
                    deltas.append(event.delta or "")
                    if len(deltas) == 6:
                        await connection.input_audio_buffer.commit()
                case "conversation.item.input_audio_transcription.completed":
                    assert event.transcript == "".join(deltas) == SAID
                    return
                case "error":
                    pytest.fail(event.error.message)
