"""Optimistic replies over real sockets: what they gain, and what providers see of those that are thrown away."""

from __future__ import annotations

import asyncio
import statistics
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
  - {{name: lab, kind: openai_compatible, base_url: "{url}", api_key: sk-1}}
  - {{name: hasty, kind: openai_compatible, base_url: "{url}", api_key: sk-1, stall_timeout_s: 0.4}}
agents:
"""
AGENT = """
  - slug: {slug}
    brain: llm
    stt: {{account: lab, model: whisper-1}}
    llm: {{account: {account}, model: any}}
    tts: {{account: {account}, model: tts-1}}
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
    """`early` and `plain` are alike but for optimism, `unhurried` waits longer for more to be said, and `patient` for
    longer than its account's stall timeout."""
    path = tmp_path_factory.mktemp("talkers") / "agents.yaml"
    agents = [
        ("early", "lab", SILENCE_MS, "true"),
        ("plain", "lab", SILENCE_MS, "false"),
        ("unhurried", "lab", 3 * SILENCE_MS, "true"),
        ("patient", "hasty", 2000, "true"),
    ]
    path.write_text(
        AGENTS.format(url=lab.base_url(messages=True))
        + "".join(AGENT.format(slug=slug, account=of, silence_ms=ms, optimistic=on) for slug, of, ms, on in agents)
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


async def test_the_answer_is_there_when_the_turn_is_certain(talkers: Server) -> None:
    waits: dict[str, list[float]] = {"plain": [], "early": []}
    saved: list[float] = []
    for slug in ("plain", "early") * 3:
        async with client(talkers.ws_url, talkers.key, slug) as me:
            waits[slug].append(await asked(me))
            trace = await trace_of(me)
        marks = trace["marks"]
        assert (marks["llm[0].request_sent"] < marks["turn_committed"]) is (slug == "early")
        assert sum(step["duration_us"] for step in trace["path"]) == trace["latencies"]["voice_to_voice"]
        if slug == "early":
            assert trace["facts"]["spec_outcome"] == "used"
            saved.append(trace["latencies"]["speculation_saved"] / 1000)
    sooner = statistics.median(waits["plain"]) - statistics.median(waits["early"])
    assert sooner > 150
    assert statistics.median(saved) == pytest.approx(sooner, abs=100)


async def test_an_answer_that_is_thrown_away_is_broken_off_at_the_provider(
    talkers: Server, lab: ScriptedServer
) -> None:
    since = lab.last_id()
    async with client(talkers.ws_url, talkers.key, "unhurried") as me:
        await me.send("session.update", session=TRANSCRIBED)
        await me.quiet(300)
        await me.play(question())
        while not (begun := await chats(lab, since)):
            await me.quiet(100)
        (vain,) = begun
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
        await me.quiet_until(f"response.output_{modality}.delta")
        await me.quiet(1500)
        marks = (await trace_of(me))["marks"]
        assert marks["llm[0].first_token"] < marks["turn_committed"]
        (done,) = kinds(me, "response.done")
    assert done["response"]["status"] == "cancelled", done["response"]["status_details"]
