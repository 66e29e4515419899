"""Fan, keyboard, music and coughs, as the embedded models hear them: nobody is answered, nobody is interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from agents.audio import Audio
from benchmarks.harness import RATE, client, speech
from tests.fakes import noise
from tests.fakes.scripted_server import scripted_server
from tests.faults.live import PAUSE_MS, Agent, apply, ask, change, of
from tests.processes import Server

Noise = Callable[[float], Audio]
NOISES = [noise.fan, noise.keyboard, noise.music, noise.coughs]
SPEECH = " ".join(["Let me tell you all about it, one thing after the other, and so on."] * 10)
MINUTE_S = 60.0
OVER_REPLY_S = 10.0


@pytest.fixture(scope="module")
def speaker(live_server_process: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The shared server with an agent that speaks for longer than the noises last."""
    with scripted_server() as providers:
        change(providers, llm_first_ms=20, llm_tokens_per_s=100, reply=SPEECH, tts_first_ms=20, tts_speed=20)
        folder = tmp_path_factory.mktemp("agents")
        apply(live_server_process, {"good": providers.base_url()}, [Agent("speaker")], folder)
        yield live_server_process


@pytest.fixture(scope="module")
def words() -> Audio:
    return speech("Stop, please! What time is it?")


@pytest.mark.parametrize("make", NOISES)
async def test_a_minute_of_noise_is_not_answered(live_server_process: Server, make: Noise, words: Audio) -> None:
    async with client(live_server_process.ws_url, live_server_process.key, "guide") as me:
        for piece in make(MINUTE_S).resampled(RATE).split(1000):
            await me.append(piece)
        await me.append(Audio.silence(PAUSE_MS, RATE))
        await me.send("input_audio_buffer.clear")  # answered when all of it has been heard
        await me.until("input_audio_buffer.cleared")
        await asyncio.sleep(1)  # what a transcript of the last of it would take
        assert not of(me, "response.created")
        await me.append(words)  # the microphone is open all the same
        await me.until("input_audio_buffer.speech_started")


async def test_noise_does_not_interrupt(speaker: Server, words: Audio) -> None:
    """Four sessions at once, in real time."""

    async def hear(make: Noise) -> None:
        async with client(speaker.ws_url, speaker.key, "speaker") as me:
            await ask(me)
            await me.until("response.output_audio.delta")
            await me.play(make(OVER_REPLY_S).resampled(RATE))
            assert not of(me, "input_audio_buffer.speech_started"), make.__name__
            assert not of(me, "response.done"), make.__name__
            await me.play(words)
            await me.until("input_audio_buffer.speech_started")
            await me.until("response.done")

    async with asyncio.TaskGroup() as sessions:
        for make in NOISES:
            sessions.create_task(hear(make))
