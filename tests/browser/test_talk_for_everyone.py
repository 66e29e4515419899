"""The talk page by keyboard, on a phone, in the dark, without motion, and for a screen reader."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.chromium import Chromium, spoken
from tests.fakes.realtime_server import Script, babble, realtime_server
from tests.processes import Server

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
SCRIPT = Script(
    greeting=("Hello, I am the guide. Ask me about voice agents.", babble(1)),
    answers=[("An interruption cancels one task: everything said in a reply lives in it.", babble(3, seed=2))],
    heard="What happens when I interrupt?",
)
QUESTION = spoken((2, 1.2), (20, 0))
FOCUSED = "new Promise(done => requestAnimationFrame(() => done(document.activeElement.id)))"
"""What has the focus, once the browser has drawn it there: a busy machine may take a moment to move it."""


def test_a_call_by_keyboard_alone(chromium: Chromium, live_server_process: Server) -> None:
    with (
        realtime_server(SCRIPT) as server,
        chromium.open(live_server_process.url, microphone=spoken((20, 0)), realtime=server.port) as talk,
    ):
        for _ in range(20):
            talk.page.keyboard.press("Tab")
            if talk.page.evaluate(FOCUSED) == "talk":
                break
        talk.page.keyboard.press("Enter")
        talk.wait_for_state("listening")
        assert talk.page.evaluate("document.activeElement.id") == "end"
        talk.page.keyboard.press("Shift+Tab")
        talk.page.keyboard.press("Space")
        assert talk.page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
        talk.page.keyboard.press("Escape")
        talk.wait_for_state("ended")
        assert talk.page.evaluate("document.activeElement.id") == "talk"
        talk.page.keyboard.press("Space")
        talk.wait_for_state("speaking")


def test_a_muted_microphone_is_silent_and_keeps_time(chromium: Chromium, live_server_process: Server) -> None:
    with (
        realtime_server(SCRIPT) as server,
        chromium.open(live_server_process.url, microphone=QUESTION, realtime=server.port) as talk,
    ):
        talk.start()
        talk.wait_for_state("speaking", "listening")
        talk.page.get_by_role("button", name="Mute").click()
        talk.page.wait_for_timeout(3_500)
        assert server.sent("input_audio_buffer.speech_started") == []
        frames = server.received("input_audio_buffer.append")
        assert frames[-1]["start_sample"] == (len(frames) - 1) * 480


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_call_on_a_phone(scheme: str, chromium: Chromium, live_server_process: Server) -> None:
    with (
        realtime_server(SCRIPT) as server,
        chromium.open(
            live_server_process.url, microphone=QUESTION, realtime=server.port, color_scheme=scheme, **PHONE
        ) as talk,
    ):
        talk.shot(f"phone-{scheme}-idle")
        talk.start()
        talk.until("document.querySelector('#latency svg')")
        talk.shot(f"phone-{scheme}-answered")
        talk.shot(f"phone-{scheme}-whole", full_page=True)
        assert talk.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for name in ("Mute", "End"):
            box = talk.page.get_by_role("button", name=name).bounding_box()
            assert box is not None
            assert box["height"] >= 44
            assert box["y"] + box["height"] <= 844


def test_whole_sentences_are_announced(chromium: Chromium, live_server_process: Server) -> None:
    with (
        realtime_server(SCRIPT) as server,
        chromium.open(live_server_process.url, microphone=QUESTION, realtime=server.port) as talk,
    ):
        talk.start()
        for sentence in ("Hello, I am the guide.", "You: What happens when I interrupt?", "An interruption cancels"):
            talk.until(f"document.querySelector('#announcer').textContent.includes({sentence!r})")
        title = talk.page.locator("#latency svg title")
        title.wait_for(state="attached")
        assert "milliseconds from the end of your speech" in (title.text_content() or "")


def test_nothing_moves_for_those_who_asked(chromium: Chromium, live_server_process: Server) -> None:
    with chromium.open(live_server_process.url, microphone=QUESTION, reduced_motion="reduce") as talk:
        assert talk.page.evaluate("document.getAnimations().length") == 0


def test_an_unknown_agent_is_named_with_those_there_are(chromium: Chromium, live_server_process: Server) -> None:
    with chromium.open(f"{live_server_process.url}/?agent=nobody", microphone=QUESTION) as talk:
        assert talk.page.get_by_role("heading").inner_text() == "No agent “nobody” to talk to"
        talk.page.get_by_role("link", name="Talk to").first.click()
        talk.page.get_by_role("button", name="Talk to").wait_for()
