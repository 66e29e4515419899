"""Providers that refuse, stall, break off and talk nonsense, behind a real server over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from agents.audio import Audio
from benchmarks.harness import Client, client, speech
from tests.fakes.scripted_server import ScriptedServer, scripted_server
from tests.faults.live import Agent, answer, apply, ask, audio_ms, change, every_response_ended, of, speak, words
from tests.processes import Server

SCRIPT = {
    "stt_ms": 20,
    "llm_first_ms": 20,
    "llm_tokens_per_s": 200,
    "tts_first_ms": 20,
    "tts_speed": 50,
    "reply": "Sure, it is nine. Or ten.",
}
WELL = {"fault": "", "fault_after": 0, "tts_format": "pcm"}
REPLY = SCRIPT["reply"]
APOLOGY = "Sorry about that."
PARTS = ("stt", "llm", "tts")


@dataclass(frozen=True, slots=True)
class Fault:
    """What a provider does, and words that the operator must find in the failed response."""

    script: dict[str, object]
    message: str

    def __str__(self) -> str:
        return "-".join(str(value) for value in self.script.values())


REFUSALS = [
    Fault({"fault": "401"}, "check it in the admin"),
    Fault({"fault": "500"}, "the server failed (500)"),
    Fault({"fault": "html"}, "check the base URL"),
]
MUTE = Fault({"fault": "stall"}, "silent for too long")
GONE = Fault({"fault": "disconnect"}, "broke")


def later(fault: str, message: str) -> Fault:
    """In the middle of the answer."""
    return Fault({"fault": fault, "fault_after": 4}, message)


@pytest.fixture(scope="module")
def providers() -> Iterator[ScriptedServer]:
    """Its `/v1` is faulty as a test says; the accounts called good have a script that never is."""
    with scripted_server() as server:
        change(server, **SCRIPT)
        yield server


@pytest.fixture(scope="module")
def server(live_server_process: Server, providers: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Server:
    good = providers.base_url(fault="")
    broken = {f"{fault}-{part}": providers.base_url(fault=fault) for part in PARTS for fault in ("500", "stall")}
    agents = [
        Agent("bad-stt", stt="account: bad-stt, model: whisper-1"),
        Agent("bad-live-stt", stt="account: bad-stt, model: any, streaming: true"),
        Agent("bad-llm", llm="account: bad-llm, model: any"),
        Agent("bad-tts", tts="account: bad-tts, model: tts-1"),
    ]
    for fault in ("500", "stall"):
        agents += [
            Agent(f"{fault}-stt", stt=f"account: {fault}-stt, model: whisper-1, fallbacks: [good]"),
            Agent(f"{fault}-live-stt", stt=f"account: {fault}-stt, model: any, streaming: true, fallbacks: [good]"),
            Agent(f"{fault}-llm", llm=f"account: {fault}-llm, model: any, fallbacks: [good]"),
            Agent(f"{fault}-tts", tts=f"account: {fault}-tts, model: tts-1, fallbacks: [good]"),
        ]
    accounts = {"good": good, **{f"bad-{part}": providers.base_url() for part in PARTS}, **broken}
    apply(live_server_process, accounts, agents, tmp_path_factory.mktemp("agents"), hasty=accounts.keys() - {"good"})
    return live_server_process


@pytest.fixture(scope="module")
def question() -> Audio:
    return speech("What time is it there now?")


async def works_again(me: Client, providers: ScriptedServer, question: Audio) -> None:
    """The fault over, the same session answers the next questions, and nothing was left open."""
    change(providers, **WELL)
    for again in (speak(me, question), ask(me)):
        await again
        response = await answer(me)
        assert response["status"] == "completed"
        assert words(me, response).strip() == REPLY
    await me.send("session.update", session={"type": "realtime"})
    await me.until("session.updated")
    assert every_response_ended(me)


def failed(response: dict[str, object], account: str, fault: Fault) -> bool:
    details = response["status_details"]
    assert isinstance(details, dict)
    message = details["error"]["message"]
    assert account in message
    assert fault.message in message
    assert "sk-canary-key" not in message
    return response["status"] == "failed"


@pytest.mark.parametrize(
    "fault",
    [
        *REFUSALS,
        MUTE,
        GONE,
        later("stall", "silent for too long"),
        later("garbage", "instead of what the OpenAI API specifies"),
        later("disconnect", "broke"),
    ],
    ids=str,
)
async def test_a_model_that_fails_is_apologised_for(
    server: Server, providers: ScriptedServer, question: Audio, fault: Fault
) -> None:
    async with client(server.ws_url, server.key, "bad-llm") as me:
        change(providers, **fault.script)
        await ask(me)
        response = await answer(me)
        assert failed(response, "bad-llm", fault)
        assert words(me, response).endswith(APOLOGY)
        assert audio_ms(me, response) > 500
        await works_again(me, providers, question)


@pytest.mark.parametrize("ears", ["bad-stt", "bad-live-stt"])
@pytest.mark.parametrize("fault", [*REFUSALS, MUTE, GONE], ids=str)
async def test_ears_that_fail_are_apologised_for(
    server: Server, providers: ScriptedServer, question: Audio, fault: Fault, ears: str
) -> None:
    async with client(server.ws_url, server.key, ears) as me:
        transcription = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
        await me.send("session.update", session=transcription)
        change(providers, **fault.script)
        await speak(me, question)
        response = await answer(me)
        assert failed(response, "bad-stt", fault)
        assert words(me, response) == APOLOGY
        (unheard,) = of(me, "conversation.item.input_audio_transcription.failed")
        assert fault.message in unheard["error"]["message"]
        await works_again(me, providers, question)


@pytest.mark.parametrize(
    "fault",
    [
        *REFUSALS[:2],
        MUTE,
        GONE,
        Fault({"fault": "html"}, "sent HTML where PCM audio was asked for"),
        Fault({"tts_format": "mp3"}, "use a server or model that can answer /audio/speech with response_format pcm"),
    ],
    ids=str,
)
async def test_a_voice_that_never_begins_ends_the_response_with_what_to_do(
    server: Server, providers: ScriptedServer, question: Audio, fault: Fault
) -> None:
    async with client(server.ws_url, server.key, "bad-tts") as me:
        change(providers, **fault.script)
        await ask(me)
        response = await answer(me)
        assert failed(response, "bad-tts", fault)
        assert audio_ms(me, response) == 0
        await works_again(me, providers, question)


@pytest.mark.parametrize("fault", [later("stall", "silent for too long"), later("disconnect", "broke")], ids=str)
async def test_a_voice_that_breaks_off_keeps_what_was_said(
    server: Server, providers: ScriptedServer, question: Audio, fault: Fault
) -> None:
    async with client(server.ws_url, server.key, "bad-tts") as me:
        change(providers, **fault.script)
        await ask(me)
        response = await answer(me)
        assert failed(response, "bad-tts", fault)
        assert audio_ms(me, response) >= 300
        await works_again(me, providers, question)


@pytest.mark.parametrize("part", ["live-stt", *PARTS])
@pytest.mark.parametrize("fault", ["500", "stall"])
async def test_a_fallback_account_answers_and_nobody_hears_of_the_fault(
    server: Server, providers: ScriptedServer, question: Audio, fault: str, part: str
) -> None:
    change(providers, **WELL)
    async with client(server.ws_url, server.key, f"{fault}-{part}") as me:
        for _ in range(2):  # the second turn does not wait for the account that has just failed
            await speak(me, question)
            response = await answer(me)
            assert response["status"] == "completed"
            assert words(me, response).strip() == REPLY
        assert every_response_ended(me)
        assert not of(me, "error")
