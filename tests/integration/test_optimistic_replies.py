"""Optimistic replies over real sockets: what they gain, and what providers see of those that are thrown away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.harness import RATE, Client, client
from tests.fakes import speech
from tests.fakes.scripted_server import ScriptedServer, scripted_server
from tests.processes import Server, manage

SILENCE_MS = 900
LONG = "Here is what I found. " * 40
TRANSCRIBED = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
AGENTS = """
accounts:
  - {{name: lab, kind: openai_compatible, base_url: "{url}", api_key: sk-1, stall_timeout_s: 0.4}}
agents:
"""
AGENT = """
  - slug: {slug}
    brain: llm
    stt: {{account: lab, model: whisper-1}}
    llm: {{account: lab, model: any}}
    tts: {{account: lab, model: tts-1}}
    turn_detection: {{type: server_vad, silence_duration_ms: {silence_ms}}}
    latency: {{optimistic: {optimistic}}}
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[ScriptedServer]:
    timings = ("--stt-ms", "50", "--llm-first-ms", "150", "--llm-tokens-per-s", "40", "--tts-first-ms", "50")
    with scripted_server(*timings, "--reply", LONG) as server:
        yield server


@pytest.fixture(scope="module")
def talkers(live_server_process: Server, lab: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """`early` and `plain` are alike but for optimism; `patient` waits longer than its account's stall timeout."""
    path = tmp_path_factory.mktemp("talkers") / "agents.yaml"
    agents = [("early", SILENCE_MS, "true"), ("plain", SILENCE_MS, "false"), ("patient", 2000, "true")]
    path.write_text(
        AGENTS.format(url=lab.base_url(messages=True))
        + "".join(AGENT.format(slug=slug, silence_ms=ms, optimistic=on) for slug, ms, on in agents)
    )
    manage(live_server_process.data, "agent", "apply", str(path))
    return live_server_process


def question() -> Any:
    """A call of a card, without silence around it."""
    return speech.trimmed(speech.cards()[0].audio).resampled(RATE)


async def asked(me: Client) -> float:
    """Ms from the end of a question to the first sound of its answer."""
    await me.quiet(300)
    last = await me.play(question())
    at, _ = await me.quiet_until("response.output_audio.delta")
    return (at - last) * 1000


async def trace_of(me: Client) -> dict[str, Any]:
    """The turn's, whose answer is broken off."""
    await me.send("response.cancel")
    _, closed = await me.until("repartee.turn")
    trace: dict[str, Any] = closed["trace"]
    return trace


def kinds(me: Client, kind: str) -> list[dict[str, Any]]:
    return [event for _, event in me.events if event["type"] == kind]


async def chats(lab: ScriptedServer, since: int) -> list[dict[str, Any]]:
    return [entry for entry in await asyncio.to_thread(lab.log, since) if entry["path"].endswith("completions")]


async def test_the_answer_is_there_when_the_turn_is_certain(talkers: Server, lab: ScriptedServer) -> None:
    waits: dict[str, float] = {}
    trace: dict[str, Any] = {}
    for slug in ("plain", "early"):
        since = lab.last_id()
        async with client(talkers.ws_url, talkers.key, slug) as me:
            waits[slug] = await asked(me)
            trace = await trace_of(me)
        (chat,) = await chats(lab, since)
        decided = next(at for at, event in me.events if event["type"] == "input_audio_buffer.speech_stopped")
        assert (chat["received"] < decided) is (slug == "early")
        assert sum(step["duration_us"] for step in trace["path"]) == trace["latencies"]["voice_to_voice"]
    assert trace["facts"]["spec_outcome"] == "used"
    assert waits["plain"] - waits["early"] > 150
    saved = trace["latencies"]["speculation_saved"] / 1000
    assert saved == pytest.approx(waits["plain"] - waits["early"], abs=100)


async def test_an_answer_that_is_thrown_away_is_broken_off_at_the_provider(
    talkers: Server, lab: ScriptedServer
) -> None:
    since = lab.last_id()
    async with client(talkers.ws_url, talkers.key, "early") as me:
        await me.send("session.update", session=TRANSCRIBED)
        await me.quiet(300)
        await me.play(question())
        await me.quiet(SILENCE_MS - 250)
        vain, *more = await chats(lab, since)
        assert not more
        await me.play(question())
        assert await asyncio.to_thread(lab.wait_for_disconnect, vain["id"]) < vain["received"] + 4
        await me.quiet_until("response.output_audio.delta")
        trace = await trace_of(me)
        assert len(kinds(me, "response.created")) == len(kinds(me, "input_audio_buffer.committed")) == 1
    *_, used = await chats(lab, since)
    assert [message["role"] for message in used["asked"]["messages"]] == ["system", "user"]
    assert trace["facts"]["spec_attempts"] >= 2
    assert trace["facts"]["spec_wasted_tokens"] > 0


@pytest.mark.parametrize("modality", ["audio", "text"])
async def test_waiting_for_the_end_of_a_turn_is_no_stall_of_the_model(talkers: Server, modality: str) -> None:
    async with client(talkers.ws_url, talkers.key, "patient") as me:
        await me.send("session.update", session={"type": "realtime", "output_modalities": [modality]})
        await me.until("session.updated")
        await me.quiet(300)
        await me.play(question())
        created, _ = await me.quiet_until("response.created")
        first, _ = await me.quiet_until(f"response.output_{modality}.delta")
        assert first - created < 0.1
        await me.quiet(1500)
        await me.send("response.cancel")
        _, done = await me.until("response.done")
    assert done["response"]["status"] == "cancelled", done["response"]["status_details"]
