"""What the talk page says when something is in the way, and that one can go on from there."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest
from playwright.sync_api import Page, Route
from websockets.sync.client import connect

from tests.browser.chromium import Chromium, TalkPage, spoken
from tests.conftest import StartServer
from tests.fakes.realtime_server import Script, babble, realtime_server
from tests.processes import Server

QUIET = spoken((20, 0))
HELLO = ("Hello there.", babble(0.6))


def assert_can_go_on(talk: TalkPage) -> None:
    """The message has the focus, so that it is read out and Tab leads to its button."""
    assert talk.page.evaluate("document.activeElement.id") == "problem"
    assert not talk.page.locator("#talk").is_visible()


def test_a_blocked_microphone(chromium: Chromium, live_server_process: Server) -> None:
    with chromium.open(live_server_process.url, microphone=QUIET, allow=False) as talk:
        talk.start()
        assert "The microphone is blocked" in talk.problem()
        assert "site settings" in talk.problem()
        assert_can_go_on(talk)
        talk.shot("problem-denied")


def test_no_microphone(chromium: Chromium, live_server_process: Server) -> None:
    with chromium.open(live_server_process.url) as talk:
        talk.start()
        assert "No microphone was found" in talk.problem()
        assert_can_go_on(talk)


def test_an_address_that_browsers_do_not_trust(chromium: Chromium, live_server_process: Server) -> None:
    host = socket.gethostname()
    rules = f"--host-resolver-rules=MAP {host} 127.0.0.1"
    url = f"http://{host}:{live_server_process.port}/"
    with chromium.open(url, microphone=QUIET, arguments=(rules,)) as talk:
        assert "make run TLS=1" in talk.problem()
        talk.shot("problem-insecure")


def test_an_old_browser(chromium: Chromium, live_server_process: Server) -> None:
    def age(page: Page) -> None:
        page.add_init_script("delete window.AudioWorkletNode")

    with chromium.open(live_server_process.url, microphone=QUIET, prepare=age) as talk:
        assert "current Chrome" in talk.problem()


def test_the_line_is_cut(chromium: Chromium, live_server_process: Server) -> None:
    script = Script(greeting=HELLO, drop_after_s=2)
    with (
        realtime_server(script) as server,
        chromium.open(live_server_process.url, microphone=QUIET, realtime=server.port) as talk,
    ):
        talk.start()
        assert "The connection was lost" in talk.problem()
        assert talk.words("agent") == ["Hello there."]
        talk.shot("problem-lost")
        script.drop_after_s = None
        talk.page.get_by_role("button", name="Connect again").click()
        talk.until("document.querySelectorAll('#captions .agent').length === 2")
        talk.wait_for_state("listening")
        assert server.connections == 2


@pytest.mark.parametrize(
    ("script", "title"),
    [
        (Script(refuse_with={"type": "invalid_request_error", "code": "invalid_api_key", "message": "x"}), "refused"),
        (Script(refuse_with={"type": "invalid_request_error", "code": "model_not_found", "message": "x"}), "not there"),
        (Script(refuse_with={"type": "server_error", "code": "server_overloaded", "message": "x"}), "lines are busy"),
        (Script(refuse_with={"type": "server_error", "code": "odd", "message": "A fuse blew."}), "A fuse blew."),
        (Script(close_code=1013), "lines are busy"),
    ],
)
def test_the_server_refuses(script: Script, title: str, chromium: Chromium, live_server_process: Server) -> None:
    with (
        realtime_server(script) as server,
        chromium.open(live_server_process.url, microphone=QUIET, realtime=server.port) as talk,
    ):
        talk.start()
        assert title in talk.problem()
        assert_can_go_on(talk)


def test_a_full_server(chromium: Chromium, start_server: StartServer) -> None:
    """Its refusal of the WebSocket looks like any other to a page, which then asks whether there is room."""
    server = start_server(REPARTEE_SESSIONS="1")
    address, headers = f"{server.ws_url}/v1/realtime?model=guide", {"Authorization": f"Bearer {server.key}"}
    with chromium.open(server.url, microphone=QUIET) as talk:
        with connect(address, additional_headers=headers):
            talk.start()
            assert "lines are busy" in talk.problem()
        talk.page.get_by_role("button", name="Try again").click()
        talk.wait_for_state("speaking", "listening")


def test_the_server_is_away(chromium: Chromium, live_server_process: Server) -> None:
    with chromium.open(live_server_process.url, microphone=QUIET) as talk:
        talk.page.context.set_offline(True)
        talk.start()
        assert "does not answer" in talk.problem()
        talk.page.context.set_offline(False)
        talk.page.get_by_role("button", name="Try again").click()
        talk.wait_for_state("speaking", "listening")


@pytest.mark.parametrize(("status", "title"), [(401, "signed in"), (404, "not there"), (503, "lines are busy")])
def test_no_secret_is_given(status: int, title: str, chromium: Chromium, live_server_process: Server) -> None:
    def refuse(page: Page) -> None:
        def answer(route: Route) -> None:
            route.fulfill(status=status, json={"error": "no"})

        page.route("**/talk/secret", answer)

    with chromium.open(live_server_process.url, microphone=QUIET, prepare=refuse) as talk:
        talk.start()
        assert title in talk.problem()
        assert talk.page.get_by_role("link", name="Sign in").is_visible() == (status == 401)


def test_an_answer_that_fails_is_said(chromium: Chromium, live_server_process: Server) -> None:
    with ExitStack() as open_:
        server = open_.enter_context(realtime_server(Script(greeting=HELLO, fail_with="The model is out of order.")))
        talk = open_.enter_context(
            chromium.open(live_server_process.url, microphone=spoken((1.5, 1), (20, 0)), realtime=server.port)
        )
        talk.start()
        talk.page.locator("#complaint").wait_for(state="visible")
        assert talk.page.locator("#complaint").inner_text() == "The model is out of order."
        talk.wait_for_state("listening")
