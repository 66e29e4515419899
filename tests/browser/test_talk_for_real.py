"""A spoken conversation in a browser with the embedded models: nothing here is scripted but the microphone's file."""

from __future__ import annotations

import numpy as np
import pytest
from hibari import Hibari

from agents.audio import Audio, join
from agents.providers.local import hibari
from tests.browser.chromium import MIC_RATE, Chromium
from tests.processes import Server, manage

AUDIBLE = 0.01
ANSWERS = 10


@pytest.fixture(scope="module")
def voice() -> Hibari:
    return hibari.load(2)


def say(voice: Hibari, text: str) -> Audio:
    sound = np.concatenate([voice.from_phonemes(phonemes, 1.0, seed=0) for phonemes in voice.phonemize(text)])
    return Audio.from_float(sound.astype(np.float32), hibari.RATE).resampled(MIC_RATE)


def silence(seconds: float) -> Audio:
    return Audio.silence(seconds * 1000, MIC_RATE)


@pytest.mark.timeout(120)
def test_an_answer_is_heard_and_measured_at_the_ear(
    chromium: Chromium, live_server_process: Server, voice: Hibari
) -> None:
    """Greeting, question, answer; then a second question over the answer. The page's own content policy holds."""
    plan = [silence(10), say(voice, "How does Repartee handle interruptions?"), silence(3.5)]
    plan += [say(voice, "Stop please, what can you do?"), silence(60)]
    with chromium.open(live_server_process.url, microphone=join(plan, MIC_RATE)) as talk:
        talk.start()
        talk.until("document.querySelector('#captions .interrupted')", within_s=40)
        talk.until("document.querySelectorAll('#captions .agent .ms').length === 2")
        talk.until("document.querySelector('#latency svg .bar')")
        talk.shot("real")
        first, second = talk.wire("input_audio_buffer.speech_started")[:2]  # a pause may make a third
        assert [rms for at, rms in talk.heard() if second - 1_500 < at < second - 300 and rms > AUDIBLE]
        assert [at - second for at, rms in talk.heard() if second + 60 < at < second + 1_000 and rms > AUDIBLE] == []
        assert "interrupt" in talk.words("user")[0].lower()
        assert "this device’s clock" in talk.page.locator("[data-part=provenance]").inner_text()
        assert first < second
        assert talk.errors == []


@pytest.mark.timeout(240)
def test_the_agent_does_not_answer_itself(chromium: Chromium, live_server_process: Server, voice: Hibari) -> None:
    """Ten answers with the page's own sound back in the microphone at -20 dB and 120 ms late; real VAD, real words."""
    question = say(voice, "What time is it?")
    plan = [silence(10.5), *(piece for _ in range(ANSWERS) for piece in (question, silence(7))), silence(60)]
    with chromium.open(live_server_process.url, microphone=join(plan, MIC_RATE), echo=True) as talk:
        talk.start()
        talk.until(f"document.querySelectorAll('#captions .agent .ms').length === {ANSWERS}", within_s=120)
        talk.wait_for_state("listening")
        talk.page.wait_for_timeout(3_000)
        assert len(talk.wire("input_audio_buffer.speech_started")) == ANSWERS
        assert len(talk.wire("response.done")) == 1 + ANSWERS
        assert talk.page.locator("#captions .interrupted").count() == 0


@pytest.mark.timeout(120)
def test_the_talk_command_on_the_same_server(live_server_process: Server, voice: Hibari) -> None:
    from sessions.talk_audio import read_wav, write_wav

    question, answer = live_server_process.data / "question.wav", live_server_process.data / "answer.wav"
    write_wav(question, say(voice, "What can you do?").resampled(16_000))
    port = {"PORT": str(live_server_process.port)}
    arguments = ("talk", "guide", "--wav", str(question), "--out", str(answer))
    printed = manage(live_server_process.data, *arguments, **port)
    assert "from your last sound to the first of the answer" in printed
    assert "vad_hangover" in printed
    heard = read_wav(answer)
    assert heard.ms > 10_000  # the greeting, the question's time, the answer
    assert np.sqrt(np.mean(heard.float32()[-2 * heard.rate :] ** 2)) > AUDIBLE
