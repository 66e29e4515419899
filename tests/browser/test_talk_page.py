"""The talk page against a scripted server: what is heard and shown, and how quickly it falls silent."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from sessions.talk_audio import RATE
from tests.browser.chromium import Chromium, TalkPage, spoken
from tests.fakes.realtime_server import Script, babble, realtime_server
from tests.processes import Server, wait_until

ONE_QUESTION = spoken((2.5, 1.4), (20, 0))
AUDIBLE = 0.01


def loud_ms(talk: TalkPage) -> float:
    return 5.0 * sum(rms > AUDIBLE for _, rms in talk.heard())


def test_an_answer_is_heard_shown_and_measured(chromium: Chromium, live_server_process: Server) -> None:
    script = Script(greeting=("Hello, I am scripted.", babble(1)), answers=[("This is the answer.", babble(2, seed=2))])
    with (
        realtime_server(script) as server,
        chromium.open(live_server_process.url, microphone=ONE_QUESTION, realtime=server.port) as talk,
    ):
        talk.shot("idle")
        talk.start()
        talk.wait_for_state("hearing")
        talk.wait_for_state("speaking")
        talk.until("document.querySelector('#captions .agent .source')")
        talk.shot("speaking")
        talk.until("document.querySelectorAll('#latency svg .bar').length === 6")
        talk.wait_for_state("listening")
        talk.shot("answered")
        assert talk.words("user") == ["what the user said"]
        assert talk.words("agent") == ["Hello, I am scripted.", "This is the answer."]
        assert loud_ms(talk) > 1_200  # of 3 s that have pauses
        assert talk.page.locator("#captions .agent .source").inner_text().startswith("Source\nThe manual")
        ended = server.await_reports("ended", 2)
        started = [report for report in server.received("repartee.playback") if "voice_to_voice_ms" in report]
        assert [report["state"] for report in started] == ["started"]
        # 500 ms of silence, 200 of thought; the rest is this machine's.
        assert 700 <= started[0]["voice_to_voice_ms"] < 1_500
        assert talk.page.locator("#captions .ms").inner_text() == f"{started[0]['voice_to_voice_ms']} ms"
        assert talk.page.locator("[data-part=p50]").inner_text() == str(started[0]["voice_to_voice_ms"])
        assert [report["played_ms"] for report in ended] == [1_000, 2_000]
        assert talk.errors == []


def test_every_frame_of_the_microphone_is_numbered(chromium: Chromium, live_server_process: Server) -> None:
    with (
        realtime_server(Script(greeting=("Hi.", babble(0.5)))) as server,
        chromium.open(live_server_process.url, microphone=spoken((5, 0)), realtime=server.port) as talk,
    ):
        talk.start()
        wait_until(lambda: len(server.received("input_audio_buffer.append")) >= 75, within_s=20, what="75 frames")
        first = [event["start_sample"] for event in server.received("input_audio_buffer.append")]
        assert first == list(range(0, len(first) * RATE // 50, RATE // 50))


def test_speaking_over_the_answer_stops_it_at_once(chromium: Chromium, live_server_process: Server) -> None:
    words = "First this, and then that, " * 4 + "and so on for a good while."
    long_answer = (words, babble(8, seed=2))
    script = Script(greeting=("Hi.", babble(0.5)), answers=[long_answer, ("Yes?", babble(1, seed=3))])
    with (
        realtime_server(script) as server,
        chromium.open(
            live_server_process.url, microphone=spoken((1.5, 1.2), (3, 1.2), (20, 0)), realtime=server.port
        ) as talk,
    ):
        talk.start()
        talk.until("document.querySelector('#captions .interrupted')")
        talk.until("document.querySelectorAll('#captions .agent').length === 3")
        talk.wait_for_state("listening")
        talk.shot("interrupted")
        asked, over = talk.wire("input_audio_buffer.speech_started")
        late = [at - over for at, rms in talk.heard() if rms > AUDIBLE and over + 60 < at < over + 1_000]
        assert late == []
        assert [rms for at, rms in talk.heard() if over - 1_000 < at < over and rms > AUDIBLE]
        stopped = server.await_reports("stopped", 1)
        cut = server.received("conversation.item.truncate")
        assert [event["item_id"] for event in cut] == [report["item_id"] for report in stopped]
        assert cut[0]["audio_end_ms"] == stopped[0]["played_ms"]
        assert 500 < cut[0]["audio_end_ms"] < 4_000
        assert talk.page.locator("#captions .interrupted del").inner_text().endswith("good while.")
        assert asked < over


def test_a_held_answer_pauses_and_goes_on(chromium: Chromium, live_server_process: Server) -> None:
    script = Script(greeting=("Hi.", babble(0.5)), answers=[("Long.", babble(3, seed=2))], hold_at_s=1.0, hold_s=0.8)
    with (
        realtime_server(script) as server,
        chromium.open(live_server_process.url, microphone=ONE_QUESTION, realtime=server.port) as talk,
    ):
        talk.start()
        talk.wait_for_state("held")
        talk.wait_for_state("speaking")
        talk.wait_for_state("listening")
        held, resumed = talk.wire("repartee.hold")
        assert [at for at, rms in talk.heard() if rms > AUDIBLE and held + 60 < at < resumed] == []
        assert [report["played_ms"] for report in server.await_reports("ended", 2)] == [500, 3_000]


ECHO_ANSWERS = 10

# The capture worklet's second input is what is played.
BLIND = """
(() => {
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, output, input) {
    return input === 1 ? target : connect.apply(this, arguments);
  };
})();
"""


@pytest.mark.timeout(150)
def test_the_agent_does_not_hear_itself(chromium: Chromium, live_server_process: Server) -> None:
    """The page's own sound comes back at -20 dB and 120 ms late, for ten answers; then a person speaks over one."""
    answers = [("An answer.", babble(2.2, seed=n + 2)) for n in range(ECHO_ANSWERS)]
    script = Script(
        greeting=("Hi.", babble(1)), answers=[*answers, ("A long answer.", babble(6, seed=20)), ("Yes?", babble(1))]
    )
    asking = spoken((2, 1.0), *([(4.6, 1.0)] * ECHO_ANSWERS), (2.0, 1.2), (20, 0))
    with (
        realtime_server(script) as server,
        chromium.open(live_server_process.url, microphone=asking, realtime=server.port, echo=True) as talk,
    ):
        talk.start()
        talk.until(
            f"window.wire.filter(([, type]) => type === 'repartee.turn').length === {ECHO_ANSWERS}", within_s=100
        )
        done = [event["response"]["status"] for event in server.sent("response.done")]
        assert done == ["completed"] * (1 + ECHO_ANSWERS)
        assert len(server.sent("input_audio_buffer.speech_started")) <= ECHO_ANSWERS + 1
        assert talk.page.locator("#captions .interrupted").count() == 0
        talk.until("document.querySelector('#captions .interrupted')", within_s=20)


def blind(page: Page) -> None:
    page.add_init_script(BLIND)


def test_without_the_guard_the_agent_would_hear_itself(chromium: Chromium, live_server_process: Server) -> None:
    """The echo of the test above is loud enough to matter. The guard is blind without what is played."""
    with (
        realtime_server(Script(greeting=("Hi.", babble(3)))) as server,
        chromium.open(
            live_server_process.url,
            microphone=spoken((20, 0)),
            realtime=server.port,
            echo=True,
            prepare=blind,
        ) as talk,
    ):
        talk.start()
        talk.until("window.wire.some(([, type]) => type === 'input_audio_buffer.speech_started')", within_s=8)
        assert server.sent("response.done")[0]["response"]["status"] == "cancelled"
