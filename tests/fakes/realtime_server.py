"""A scripted Realtime server for tests of clients: it hears energy, not words, and answers with a fixed sound.

It keeps to the order of events that a real server keeps to, paces its audio in real time with a lead of
300 ms, cuts its answer when spoken over, and records all that the client sent.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from agents.audio import Audio
from tests.processes import wait_until

RATE = 24_000
LEAD_S = 0.3
DELTA_MS = 100
SPEECH_RMS = 0.005  # -46 dBFS: hears an echo at -20 dB well
SPEECH_MS = 100
SILENCE_MS = 500
SESSION = "sess_scripted"


def babble(seconds: float, *, rate: int = RATE, pitch: float = 130.0, level: float = 0.16, seed: int = 1) -> Audio:
    """A voice without words: harmonics under formants, in syllables of changing length. `level` is the RMS."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    tune = pitch * (
        1
        + 0.12
        * np.interp(
            t,
            np.arange(0, seconds + 1, 0.25),
            rng.uniform(-1, 1, int(seconds * 4) + 4 + 1)[: len(np.arange(0, seconds + 1, 0.25))],
        )
    )
    phase = 2 * np.pi * np.cumsum(tune) / rate
    voice = sum(np.sin(n * phase) * np.exp(-(((n * pitch - 600) / 900) ** 2)) for n in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * 4.1 * t + 2 * np.sin(2 * np.pi * 0.7 * t)) + 0.55, 0.0, 1.0)
    samples = voice * syllables
    return Audio.from_float((samples * level / np.sqrt(np.mean(samples**2))).astype(np.float32), rate)


@dataclass
class Script:
    """What the server does. `answers` are spoken in turn, the last again and again; each is (words, sound)."""

    greeting: tuple[str, Audio] = ("Hello, I am scripted.", babble(1.0))
    answers: list[tuple[str, Audio]] = field(
        default_factory=lambda: [("This is the answer to it.", babble(2.0, seed=2))]
    )
    heard: str = "what the user said"
    think_s: float = 0.2
    refuse_with: dict[str, Any] | None = None  # an `error` in place of session.created
    close_code: int | None = None  # closes at once, before session.created
    drop_after_s: float | None = None  # cuts the line that long after session.created
    hold_at_s: float | None = None  # holds the first answer there for `hold_s`
    hold_s: float = 0.6
    fail_with: str | None = None  # answers fail with this message


class Conversation:
    """One connection. Times are those of the loop."""

    def __init__(self, socket: ServerConnection, script: Script, log: list[dict[str, Any]]) -> None:
        self.socket = socket
        self.script = script
        self.log = log
        self.appended = 0
        self.loud_ms = 0
        self.quiet_ms = 0
        self.speech_end = 0
        self.item: str | None = None
        self.turn = 0
        self.serial = 0
        self.reply: asyncio.Task[None] | None = None
        self.speaking: tuple[str, str] | None = None

    def id(self, prefix: str) -> str:
        self.serial += 1
        return f"{prefix}_{self.serial}"

    async def send(self, type_: str, **fields: Any) -> None:
        event = {"type": type_, "event_id": self.id("event"), **fields}
        self.log.append(
            {
                "at": asyncio.get_running_loop().time(),
                "sent": True,
                **event,
                **({"delta": ""} if "audio.delta" in type_ else {}),
            }
        )
        with contextlib.suppress(Exception):  # the client may be gone
            await self.socket.send(json.dumps(event))

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        await self.send("session.created", session={"id": SESSION, "type": "realtime"})
        async for message in self.socket:
            event = json.loads(message)
            self.log.append(
                {
                    "at": asyncio.get_running_loop().time(),
                    "sent": False,
                    **{k: v for k, v in event.items() if k != "audio"},
                }
            )
            match event["type"]:
                case "session.update":
                    await self.send("session.updated", session=event["session"])
                case "response.create":
                    self.reply = tasks.create_task(self.speak(*self.script.greeting))
                case "input_audio_buffer.append":
                    await self.hear(base64.b64decode(event["audio"]), tasks)
        if self.reply:
            self.reply.cancel()

    async def hear(self, pcm: bytes, tasks: asyncio.TaskGroup) -> None:
        audio = Audio(pcm, RATE)
        self.appended += audio.samples
        loud = float(np.sqrt(np.mean(audio.float32() ** 2))) > SPEECH_RMS
        if loud:
            self.loud_ms += round(audio.ms)
            self.quiet_ms = 0
            self.speech_end = self.appended
        else:
            self.quiet_ms += round(audio.ms)
            self.loud_ms = self.loud_ms if self.quiet_ms < 200 else 0
        if self.item is None and self.loud_ms >= SPEECH_MS:
            await self.begin()
        elif self.item is not None and self.quiet_ms >= SILENCE_MS:
            await self.commit(tasks)

    async def begin(self) -> None:
        self.item = self.id("item")
        await self.send(
            "input_audio_buffer.speech_started", item_id=self.item, audio_start_ms=self.appended * 1000 // RATE
        )
        if self.reply and not self.reply.done():
            self.reply.cancel()
        if self.speaking:
            await self.done(self.speaking[0], "cancelled")

    async def commit(self, tasks: asyncio.TaskGroup) -> None:
        item, self.item = self.item, None
        self.loud_ms = 0
        await self.send("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=self.speech_end * 1000 // RATE)
        await self.send("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        self.reply = tasks.create_task(self.answer(item))

    async def answer(self, item: str | None) -> None:
        words = self.script.heard.split()
        for count in range(1, len(words)):
            await self.send("repartee.partial", item_id=item, text=" ".join(words[:count]))
        await self.send(
            "conversation.item.input_audio_transcription.completed",
            item_id=item,
            content_index=0,
            transcript=self.script.heard,
            usage={"type": "duration", "seconds": 1.0},
        )
        await asyncio.sleep(self.script.think_s)
        if self.script.fail_with is not None:
            await self.fail(self.script.fail_with)
            return
        answers = self.script.answers
        words_and_sound = answers[min(self.turn, len(answers) - 1)]
        self.turn += 1
        await self.speak(*words_and_sound, turn=self.turn)

    async def speak(self, text: str, sound: Audio, turn: int | None = None) -> None:
        response, item = self.id("resp"), self.id("item")
        self.speaking = (response, item)
        ids = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        loop = asyncio.get_running_loop()
        await self.send("response.created", response={"id": response, "status": "in_progress", "output": []})
        await self.send("response.output_audio_transcript.delta", **ids, delta=text)
        if turn is not None:
            await self.send(
                "repartee.source",
                response_id=response,
                item_id=item,
                title="The manual",
                passage="Page one says so.",
                url="",
            )
        start, sent_s = loop.time(), 0.0
        for piece in sound.split(DELTA_MS):
            if turn == 1 and self.script.hold_at_s is not None and sent_s >= self.script.hold_at_s:
                await self.hold(response)
                start += self.script.hold_s
                self.script.hold_at_s = None
            await asyncio.sleep(max(0.0, start + sent_s - LEAD_S - loop.time()))
            extra = {"turn_id": f"{SESSION}.{turn}", "user_end_sample": self.speech_end} if turn and sent_s == 0 else {}
            await self.send("response.output_audio.delta", **ids, delta=base64.b64encode(piece.pcm).decode(), **extra)
            sent_s += piece.ms / 1000
        await self.send("response.output_audio.done", **ids)
        await self.done(response, "completed")
        if turn is not None:
            await self.send("repartee.turn", trace=trace(turn))

    async def hold(self, response: str) -> None:
        await self.send("repartee.hold", response_id=response, state="held")
        await asyncio.sleep(self.script.hold_s)
        await self.send("repartee.hold", response_id=response, state="resumed")

    async def fail(self, message: str) -> None:
        response = self.id("resp")
        details = {"type": "failed", "error": {"type": "server_error", "code": None, "message": message}}
        await self.send("response.created", response={"id": response, "status": "in_progress", "output": []})
        failed = {"id": response, "status": "failed", "status_details": details, "output": []}
        await self.send("response.done", response=failed)

    async def done(self, response: str, status: str) -> None:
        self.speaking = None
        await self.send("response.done", response={"id": response, "status": status, "output": []})


def trace(turn: int) -> dict[str, Any]:
    """A turn's trace in the shape of `telemetry.trace.TurnTrace.to_dict`."""
    path: list[dict[str, Any]] = []
    start = at = 1_500_000
    for name, owner, us in (
        ("vad_hangover", "setting", 300_000),
        ("stt_finalize", "stt", 118_000),
        ("commit", "platform", 6_000),
        ("tts_ttfb", "tts", 61_000),
        ("pacing", "platform", 3_000),
        ("network_playout", "network", 74_000 + 9_000 * turn),
    ):
        path.append({"name": name, "owner": owner, "start_us": at, "duration_us": us})
        at += us
    return {
        "schema": 1,
        "session_id": SESSION,
        "index": turn,
        "kind": "plain",
        "end_reason": "completed",
        "provenance": "client_clock",
        "latencies": {"voice_to_voice": at - start},
        "path": path,
    }


class RealtimeServer:
    """Runs in a thread of its own, so that synchronous tests can use it. `log` holds all events, both ways."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.log: list[dict[str, Any]] = []
        self.connections = 0
        self.port = 0
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()

    def received(self, type_: str) -> list[dict[str, Any]]:
        return [event for event in self.log if event["type"] == type_ and not event["sent"]]

    def await_reports(self, state: str, count: int) -> list[dict[str, Any]]:
        """The playback reports of that state, once there are `count`: the page is ahead of what it has sent."""
        said: list[dict[str, Any]] = []

        def arrived() -> bool:
            said[:] = [report for report in self.received("repartee.playback") if report["state"] == state]
            return len(said) >= count

        wait_until(arrived, within_s=20, what=f"{count} playback reports of the state {state!r}")
        return said

    def sent(self, type_: str) -> list[dict[str, Any]]:
        return [event for event in self.log if event["type"] == type_ and event["sent"]]

    def _main(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with serve(
            self._handle,
            "127.0.0.1",
            0,
            select_subprotocol=lambda _, offered: Subprotocol("realtime") if "realtime" in offered else None,
            max_size=2**25,
        ) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._started.set()
            await self._stop.wait()

    async def _handle(self, socket: ServerConnection) -> None:
        self.connections += 1
        if self.script.close_code is not None:
            await socket.close(self.script.close_code)
            return
        conversation = Conversation(socket, self.script, self.log)
        if self.script.refuse_with is not None:
            await conversation.send("error", error=self.script.refuse_with)
            await socket.close(1008)
            return
        async with asyncio.TaskGroup() as tasks:
            cut = tasks.create_task(self._cut(socket)) if self.script.drop_after_s is not None else None
            with contextlib.suppress(Exception):  # the line is cut on purpose in some scripts
                await conversation.run(tasks)
            if cut:
                cut.cancel()

    async def _cut(self, socket: ServerConnection) -> None:
        await asyncio.sleep(self.script.drop_after_s or 0)
        socket.transport.abort()


@contextlib.contextmanager
def realtime_server(script: Script | None = None) -> Iterator[RealtimeServer]:
    server = RealtimeServer(script or Script())
    thread = threading.Thread(target=server._main, daemon=True)
    thread.start()
    server._started.wait(10)
    try:
        yield server
    finally:
        assert server._loop is not None
        assert server._stop is not None
        server._loop.call_soon_threadsafe(server._stop.set)
        thread.join(10)
