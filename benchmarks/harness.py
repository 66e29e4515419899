"""What the benchmarks share: servers of their own, a client with a clock, and a slow line.

All processes run on one machine and read CLOCK_MONOTONIC, so their times can be subtracted.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from agents.audio import Audio
from agents.providers.local import hibari
from benchmarks.load.figures import percentile
from tests.processes import ROOT, Server, end, manage

RATE = 24_000
FRAME_MS = 20
SPEECH_DBFS = -40.0


def summary(values: list[float]) -> str:
    p50, p95 = percentile(values, 0.5), percentile(values, 0.95)
    return f"p50 {p50:7.1f}   p95 {p95:7.1f}   jitter {p95 - p50:6.1f}   worst {max(values):7.1f}   n {len(values)}"


def speech(text: str) -> Audio:
    """`text` in the embedded voice at 24 kHz, without silence around it: speech that a real VAD takes for speech."""
    model = hibari.load(threads=1)
    samples = np.concatenate([model.from_phonemes(line, 1.0, seed=0) for line in model.phonemize(text)])
    loud = np.flatnonzero(np.abs(samples) > 10 ** (SPEECH_DBFS / 20))
    return Audio.from_float(samples[loud[0] : loud[-1] + 1], RATE)


@contextmanager
def providers(*arguments: str) -> Iterator[str]:
    """The scripted OpenAI-compatible server of benchmarks/providers; its base URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.providers", "--port", "0", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=False,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().decode().strip()
    finally:
        end(process)


def provider_log(base_url: str) -> list[dict[str, Any]]:
    """When each request reached the scripted server and left it."""
    with urllib.request.urlopen(base_url.removesuffix("/v1") + "/_log", timeout=5) as response:  # noqa: S310 - our own
        entries: list[dict[str, Any]] = json.load(response)["requests"]
    return entries


def apply_agent(server: Server, base_url: str, folder: Path, extra: str = "", *, silence_ms: int = 300) -> None:
    """The agent "bench" on the scripted providers."""
    path = folder / "bench.yaml"
    path.write_text(
        f"""\
accounts:
  - {{name: lab, kind: openai_compatible, base_url: "{base_url}", api_key: unused}}
agents:
  - slug: bench
    instructions: You are terse.
    brain: llm
    stt: {{account: lab, model: whisper-1}}
    llm: {{account: lab, model: any}}
    tts: {{account: lab, model: tts-1, voice: alloy}}
    turn_detection: {{type: server_vad, silence_duration_ms: {silence_ms}}}
{extra}"""
    )
    manage(server.data, "agent", "apply", str(path))


@dataclass
class Client:
    """A Realtime client that notes when each event came, in seconds of CLOCK_MONOTONIC."""

    socket: ClientConnection
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    sent: int = 0
    _seen: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        async for message in self.socket:
            self.events.append((time.monotonic(), json.loads(message)))
            self._news.set()

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def append(self, audio: Audio) -> None:
        await self.send("input_audio_buffer.append", audio=base64.b64encode(audio.pcm).decode())

    async def play(self, audio: Audio) -> float:
        """Send audio at the pace of a microphone; the moment at which its last sample was uploaded."""
        start = time.monotonic()
        for n, frame in enumerate(audio.split(FRAME_MS), start=1):
            await asyncio.sleep(start + n * FRAME_MS / 1000 - time.monotonic())
            await self.append(frame)
        return time.monotonic()

    async def quiet(self, ms: float) -> None:
        await self.play(Audio.silence(ms, RATE))

    async def until(
        self, kind: str, *, within: float = 30, where: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> tuple[float, dict[str, Any]]:
        """The next event of `kind` not yet waited for, and when it came."""
        async with asyncio.timeout(within):
            while True:
                while self._seen < len(self.events):
                    at, event = self.events[self._seen]
                    self._seen += 1
                    if event["type"] == "error":
                        raise RuntimeError(event["error"]["message"])
                    if event["type"] == kind and where(event):
                        return at, event
                self._news.clear()
                await self._news.wait()

    async def quiet_until(self, kind: str, **options: Any) -> tuple[float, dict[str, Any]]:
        """`until`, with the microphone open."""
        async with asyncio.TaskGroup() as group:
            silence = group.create_task(self.quiet(60_000))
            found = await self.until(kind, **options)
            silence.cancel()
        return found


@asynccontextmanager
async def client(
    url: str, key: str, agent: str = "bench", *, port: int | None = None, query: str = ""
) -> AsyncIterator[Client]:
    """Connected to `agent`; `port` goes through a line of ours instead of the server's own."""
    address = f"{url if port is None else f'ws://127.0.0.1:{port}'}/v1/realtime?model={agent}&repartee=1{query}"
    headers = {"Authorization": f"Bearer {key}"}
    async with connect(address, additional_headers=headers, compression=None, max_size=None, proxy=None) as socket:
        one = Client(socket)
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(one.listen())
            await one.until("session.created")
            yield one
            await socket.close()
            listening.cancel()


class SlowLine:
    """A TCP line that delivers everything `up_ms` and `down_ms` late, and notes when audio left the server."""

    def __init__(self, target_port: int, *, up_ms: float, down_ms: float) -> None:
        self.first_audio: float | None = None
        self._target = target_port
        self._up_s, self._down_s = up_ms / 1000, down_ms / 1000

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._delay(reader, server_writer, self._up_s, watch=False))
            group.create_task(self._delay(server_reader, writer, self._down_s, watch=True))

    async def _delay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float, *, watch: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(65_536):
            if watch and self.first_audio is None and b'"response.output_audio.delta"' in data:
                self.first_audio = time.monotonic()
            loop.call_later(delay_s, writer.write, data)
        loop.call_later(delay_s, writer.close)
