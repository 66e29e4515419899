"""Chromium with a microphone that plays a file, and the talk page in it as a person meets it."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Playwright

from agents.audio import Audio, join
from sessions.talk_audio import write_wav
from tests.fakes.realtime_server import babble

MIC_RATE = 48_000
SCREENSHOTS = os.environ.get("REPARTEE_SCREENSHOTS")

# What a listener hears: everything that goes to the loudspeaker, measured every 5 ms, by the clock of the audio. It
# stands while a busy machine renders nothing, and so do the moments of events below.
LISTEN = """
(() => {
  const connect = AudioNode.prototype.connect;
  window.heard = [];
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target === this.context.destination && !window.listening) {
      window.listening = this.context;
      const ear = new AnalyserNode(this.context, { fftSize: 256 });
      connect.call(this, ear);
      const samples = new Float32Array(256);
      setInterval(() => {
        ear.getFloatTimeDomainData(samples);
        const rms = Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / 256);
        window.heard.push([window.listening.currentTime * 1000, rms]);
      }, 5);
      window.echo?.(this, connect);
    }
    return connect.call(this, target, ...rest);
  };
})();
"""

# When which server event came in.
NOTE_EVENTS = """
(() => {
  const Native = window.WebSocket;
  window.wire = [];
  window.WebSocket = class extends Native {
    constructor(url, protocols) {
      const target = new URL(url);
      if (REALTIME_HOST) target.host = REALTIME_HOST;
      super(target, protocols);
      this.addEventListener("message", ({ data }) => {
        window.wire.push([(window.listening?.currentTime ?? 0) * 1000, JSON.parse(data).type]);
      });
    }
  };
})();
"""

# The page's own sound comes back into its microphone, after the browser's echo canceller.
ECHO = """
(() => {
  const Native = window.AudioContext;
  let context;
  window.AudioContext = class extends Native {
    constructor(...options) { super(...options); context = this; }
  };
  let mix;
  window.echo = (source, connect) => {
    const delay = new DelayNode(context, { delayTime: 0.12, maxDelayTime: 1 });
    const gain = new GainNode(context, { gain: 10 ** (-20 / 20) });
    connect.call(connect.call(connect.call(source, delay), gain), mix);
  };
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    const person = await ask(constraints);
    mix = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    new MediaStreamAudioSourceNode(context, { mediaStream: person }).connect(mix);
    return mix.stream;
  };
})();
"""


def spoken(*plan: tuple[float, float]) -> Audio:
    """A microphone's sound: (silence, speech) in seconds, one after the other."""
    pieces = []
    for silence, speech in plan:
        pieces.append(Audio.silence(silence * 1000, MIC_RATE))
        if speech:
            pieces.append(babble(speech, rate=MIC_RATE, pitch=190, level=0.1, seed=7))
    return join(pieces, MIC_RATE)


@dataclass(slots=True)
class TalkPage:
    """The talk page, and what to look at on it."""

    page: Page
    errors: list[str]

    def start(self) -> None:
        self.page.get_by_role("button", name="Talk to").click()

    def wait_for_state(self, *states: str, within_s: float = 20) -> None:
        wanted = ",".join(f"[data-talk][data-state={state}]" for state in states)
        self.page.wait_for_selector(wanted, timeout=within_s * 1000)

    def words(self, who: str) -> list[str]:
        return self.page.locator(f"#captions .{who} > p").all_inner_texts()

    def problem(self) -> str:
        box = self.page.locator("#problem")
        box.wait_for(state="visible")
        return box.inner_text()

    def heard(self) -> list[tuple[float, float]]:
        """(ms, RMS) of what came out of the loudspeaker."""
        return [(at, rms) for at, rms in self.page.evaluate("window.heard")]

    def wire(self, event: str) -> list[float]:
        """The moments (ms) at which this event came."""
        return [at for at, name in self.page.evaluate("window.wire") if name == event]

    def until(self, condition: str, *, within_s: float = 20) -> None:
        """Wait until this JavaScript is true. Asked from outside: the page's policy forbids `eval` inside."""
        deadline = time.monotonic() + within_s
        while not self.page.evaluate(condition):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {within_s:.0f} s: {condition}")
            self.page.wait_for_timeout(25)

    def shot(self, name: str, **options: Any) -> None:
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", **options)


@dataclass(slots=True)
class Chromium:
    playwright: Playwright
    folder: Path

    @contextlib.contextmanager
    def open(
        self,
        url: str,
        *,
        microphone: Audio | None = None,
        loop: bool = False,
        realtime: int | None = None,
        echo: bool = False,
        allow: bool = True,
        arguments: tuple[str, ...] = (),
        prepare: Callable[[Page], None] | None = None,
        **context: Any,
    ) -> Iterator[TalkPage]:
        """The page at `url`, its WebSocket led to port `realtime` if given. No `microphone` is none at all."""
        browser = self._launch(microphone, loop, allow, arguments)
        options = {"bypass_csp": realtime is not None, "ignore_https_errors": True, **context}
        page = browser.new_context(**options).new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        host = f'"127.0.0.1:{realtime}"' if realtime else "null"
        page.add_init_script(f"const REALTIME_HOST = {host};{NOTE_EVENTS}")
        page.add_init_script(LISTEN)
        if echo:
            page.add_init_script(ECHO)
        if prepare:
            prepare(page)
        try:
            page.goto(url)
            yield TalkPage(page, errors)
        finally:
            browser.close()

    def _launch(self, microphone: Audio | None, loop: bool, allow: bool, arguments: tuple[str, ...]) -> Browser:
        switches = ["--no-sandbox", "--disable-background-networking", *arguments]
        if microphone is not None:
            path = self.folder / "microphone.wav"
            write_wav(path, microphone)
            switches += ["--use-fake-device-for-media-stream"]
            switches += [f"--use-file-for-fake-audio-capture={path}{'' if loop else '%noloop'}"]
        if allow:
            switches += ["--use-fake-ui-for-media-stream"]
        return self.playwright.chromium.launch(executable_path=executable(), args=switches)


def executable() -> str:
    """Where Chromium is. Fails with what to install."""
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    assert found, "The browser tests need Chromium: install the package chromium (apt-get install chromium)."
    return found
