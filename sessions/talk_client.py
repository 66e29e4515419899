"""A person at a microphone, as a program: speaks WAV files to an agent over the real WebSocket.

`talk` streams 20 ms frames in real time, silence between and after the clips as a microphone would, plays
the answers on a clock without sound, reports that playback, and hands every event to `tell` as a flat
dict: `t` is seconds from the start, `event` its type. Used by the `talk` command, benchmarks and tests.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from agents.audio import Audio
from sessions.talk_audio import RATE, Player, first_audible, last_sound

FRAME_MS = 20
FRAME = RATE * FRAME_MS // 1000
REPORT_EVERY_MS = 500
OPEN_TIMEOUT_S = 10.0
MAX_MESSAGE = 16 * 1024 * 1024
BENIGN = frozenset({"response_cancel_not_active", "conversation_already_has_active_response"})

Record = dict[str, Any]
E = TypeVar("E", bound=BaseException)


class TalkError(Exception):
    """The conversation could not be held; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Something to say. `name` is for the reader of the output, `last_sound` the sample at which it ends."""

    name: str
    audio: Audio
    last_sound: int

    @classmethod
    def of(cls, name: str, audio: Audio) -> Clip:
        """`audio` at 24 kHz."""
        return cls(name, audio, last_sound(audio))


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkOptions:
    """`barge_in_ms`: start each further clip that long into the answer to the one before, over it.

    `gap_ms` is the silence after an answer before the next clip. `certificate` is a file of a further
    certificate to trust with wss.
    """

    url: str
    key: str
    greeting: bool = True
    barge_in_ms: int | None = None
    gap_ms: int = 500
    answer_timeout_s: float = 30.0
    trace_timeout_s: float = 2.0
    certificate: Path | None = None


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One answer, and what it answers to. Times are seconds from the start, latencies ms.

    `voice_to_voice_ms` is measured here: from the last sound of the clip to the first audible sample of the
    answer. `reported_ms` takes the end of speech from the server; it is what was reported back.
    """

    clip: str
    response_id: str
    created: float
    item: str = ""
    turn_id: str | None = None
    spoken_at: float | None = None
    heard: str = ""
    answer: str = ""
    voice_to_voice_ms: float | None = None
    reported_ms: float | None = None
    audio_ms: float = 0.0
    played_ms: int = 0
    status: str = "in_progress"
    trace: Record | None = None


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation that was held. `recording` is what a listener would have heard, at 24 kHz."""

    exchanges: Sequence[Exchange]
    errors: Sequence[str]
    recording: Audio


def realtime_url(base: str, agent: str) -> str:
    """The WebSocket's address from anything a person may write: a host, an origin, or the whole address."""
    parts = urlsplit(base if "://" in base else f"ws://{base}")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = parts.path.rstrip("/")
    path = path if path.endswith("/realtime") else f"{path or '/v1'}/realtime"
    query = {"model": agent, **dict(parse_qsl(parts.query)), "repartee": "1"}
    return urlunsplit((scheme, parts.netloc, path, urlencode(query), ""))


async def talk(options: TalkOptions, clips: Sequence[Clip], tell: Callable[[Record], None]) -> Talk:
    """Say the clips one after the other and wait for each answer. `TalkError` when that is not possible."""
    async with _Line(options) as socket:
        conversation = _Conversation(socket, options, clips, tell)
        await conversation.hold()
    return conversation.result()


async def ticks(period_s: float) -> AsyncIterator[int]:
    """0, 1, 2 …, number n at (n + 1) periods from now: late ones catch up, so nothing drifts."""
    loop = asyncio.get_running_loop()
    start, n = loop.time(), 0
    while True:
        await asyncio.sleep(start + (n + 1) * period_s - loop.time())
        yield n
        n += 1


class _Line:
    """Opens the WebSocket, and turns each way it can fail into words."""

    def __init__(self, options: TalkOptions) -> None:
        self._options = options
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> ClientConnection:
        url = self._options.url
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        try:
            self._socket = await connect(
                url,
                additional_headers={"Authorization": f"Bearer {self._options.key}"},
                ssl=self._ssl() if url.startswith("wss:") else None,
                max_size=MAX_MESSAGE,
                compression=None,
                open_timeout=OPEN_TIMEOUT_S,
                proxy=None,
            )
        except InvalidStatus as error:
            raise TalkError(_refusal(error.response.status_code, bytes(error.response.body or b""))) from error
        except ssl.SSLError as error:
            raise TalkError(f"The certificate of {origin} is not trusted: {error.reason}.") from error
        except (OSError, TimeoutError) as error:
            raise TalkError(f"Nothing answers at {origin}: start the server with `make run`, or give --url.") from error
        except InvalidHandshake as error:
            raise TalkError(f"What answers at {origin} is not a Realtime server: {error}.") from error
        return self._socket

    async def __aexit__(self, *_: object) -> None:
        if self._socket is not None:
            await self._socket.close()

    def _ssl(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._options.certificate is not None:
            context.load_verify_locations(self._options.certificate)
        return context


def _refusal(status: int, body: bytes) -> str:
    try:
        message = str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = body[:200].decode(errors="replace")
    advice = {401: " Give a valid key with --key, or set REPARTEE_DEV_API_KEY.", 503: " Try again in a moment."}
    return f"The server refused the call ({status}): {message}{advice.get(status, '')}"


class _Loudspeaker:
    """Plays what comes, reports it as a page would, and measures when each answer was first heard."""

    def __init__(self, send: Callable[..., Awaitable[None]]) -> None:
        self.player = Player()
        self.open: set[str] = set()  # responses without their response.done
        self._send = send
        self._responses: dict[str, str] = {}  # item -> response
        self._reported: dict[str, int] = {}  # item that can be heard -> ms reported of it
        self._silenced: set[str] = set()

    async def play(self, event: Record, now: float, spoken_at: float | None) -> float | None:
        """Play a delta. When its first audible sample is heard, if it is the first of its item."""
        response, item = event["response_id"], event["item_id"]
        if response in self._silenced:
            return None
        known = self._responses.setdefault(item, response) and item in self._reported
        audio = Audio(base64.b64decode(event["delta"]), RATE)
        piece, audible = self.player.push(item, audio, now), first_audible(audio)
        if known or audible is None:
            return None
        heard_at = piece.at + audible / RATE
        self._reported[item] = 0
        measure = {} if spoken_at is None else {"voice_to_voice_ms": max(0, round((heard_at - spoken_at) * 1000))}
        await self._report(item, _ms(piece.offset + audible), "started", **measure)
        return heard_at

    async def report(self, now: float) -> None:
        """To be called often: tells how far each item was played."""
        self.player.advance(now)
        for item, reported in list(self._reported.items()):
            heard = _ms(self.player.heard_of(item, now))
            if not self.player.busy and self._responses[item] not in self.open:
                del self._reported[item]
                await self._report(item, heard, "ended")
            elif heard - reported >= REPORT_EVERY_MS:
                self._reported[item] = heard
                await self._report(item, heard, "playing")

    async def stop(self, now: float) -> None:
        """The user speaks: fall silent, and say what was heard."""
        self._silenced |= self.open | set(self._responses.values())
        cut = self.player.clear(now)
        if cut is None:
            return
        item, heard = cut[0], _ms(cut[1])
        self._reported.pop(item, None)
        await self._send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=heard)
        await self._report(item, heard, "stopped")

    def heard_ms(self, response: str, now: float) -> int:
        items = [item for item, other in self._responses.items() if other == response]
        return _ms(sum(self.player.heard_of(item, now) for item in items))

    async def _report(self, item: str, played_ms: int, state: str, **measure: int) -> None:
        place = {"response_id": self._responses[item], "item_id": item}
        await self._send("repartee.playback", **place, played_ms=played_ms, state=state, **measure)


class _Conversation:
    """One loop of 20 ms speaks, plays and decides; one task beside it takes in what the server says."""

    def __init__(
        self, socket: ClientConnection, options: TalkOptions, clips: Sequence[Clip], tell: Callable[[Record], None]
    ) -> None:
        self.socket, self.options, self.tell = socket, options, tell
        self.start = _now()
        self.loudspeaker = _Loudspeaker(self._send)
        self.exchanges: list[Exchange] = []
        self.errors: list[str] = []
        self._to_say = deque(clips)
        self._clip: Clip | None = None
        self._clip_start = 0  # in samples of the microphone
        self._sent = 0
        self._mic_start = self.start  # the moment of the microphone's sample 0
        self._speech = False  # the server hears us
        self._awaiting = options.greeting  # an answer is owed
        self._quiet_since: float | None = None
        self._deadline = self.start + options.answer_timeout_s
        self._committed = ""
        self._transcripts: dict[str, str] = {}
        self._closed: ConnectionClosed | None = None

    # --- the loop ---

    async def hold(self) -> None:
        audio = {"input": {"transcription": {"model": "whisper-1"}}}
        try:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(self._listen())
                await self._send("session.update", session={"type": "realtime", "audio": audio})
                if self.options.greeting:
                    await self._send("response.create")
                await self._speak(listening)
                listening.cancel()
        except* ConnectionClosed as closed:
            self._closed = next(_leaves(closed))
        except* TalkError as failed:
            raise next(_leaves(failed)) from None
        self._check_end()

    async def _speak(self, listening: asyncio.Task[None]) -> None:
        self._mic_start = _now()
        async for _ in ticks(FRAME_MS / 1000):
            if listening.done():
                return
            await self._send_frame()
            await self.loudspeaker.report(_now())
            settled = self._settled(_now())
            if settled and not self._to_say:
                return
            if settled or self._may_barge_in(_now()):
                self._begin()
            elif _now() > self._deadline:
                what = self._clip.name if self._clip else "the call: no greeting came"
                raise TalkError(f"No answer to {what} within {self.options.answer_timeout_s:.0f} s.")

    def _begin(self) -> None:
        self._clip, self._clip_start = self._to_say.popleft(), self._sent
        self._awaiting, self._quiet_since = True, None
        seconds = self._clip.audio.samples / RATE
        self._deadline = _now() + seconds + self.options.answer_timeout_s
        self._tell("say", clip=self._clip.name, seconds=round(seconds, 3))

    async def _send_frame(self) -> None:
        frame = Audio.silence(FRAME_MS, RATE).pcm
        if self._clip is not None:
            at = self._sent - self._clip_start
            said = self._clip.audio.slice(at, at + FRAME).pcm
            frame = said + frame[len(said) :]
        audio = base64.b64encode(frame).decode()
        message = {"type": "input_audio_buffer.append", "audio": audio, "start_sample": self._sent}
        await self.socket.send(json.dumps(message))
        self._sent += FRAME

    def _settled(self, now: float) -> bool:
        """Whether all was answered and played, and it has been quiet for the gap (or, at the end, the trace is in)."""
        saying = self._clip is not None and self._sent - self._clip_start < self._clip.audio.samples
        if saying or self._speech or self._awaiting or self.loudspeaker.open or self.loudspeaker.player.busy:
            self._quiet_since = None
            return False
        self._quiet_since = self._quiet_since or now
        untraced = not self._to_say and any(one.turn_id and one.trace is None for one in self.exchanges)
        wait_s = self.options.trace_timeout_s if untraced else self.options.gap_ms / 1000
        return now - self._quiet_since >= wait_s

    def _may_barge_in(self, now: float) -> bool:
        if self.options.barge_in_ms is None or not self._to_say or self._clip is None or now < self._clip_end():
            return False
        answer = self.exchanges[-1]
        if answer.clip != self._clip.name or answer.status == "cancelled":
            return False
        return self.loudspeaker.heard_ms(answer.response_id, now) >= self.options.barge_in_ms

    # --- what the server says ---

    async def _listen(self) -> None:
        async for message in self.socket:
            event = json.loads(message)
            self._tell(event["type"], **_shown(event))
            await self._take(event)

    async def _take(self, event: Record) -> None:
        match event["type"]:
            case "input_audio_buffer.speech_started":
                self._speech = True
                await self.loudspeaker.stop(_now())
            case "input_audio_buffer.speech_stopped":
                self._speech = False
            case "input_audio_buffer.committed":
                self._committed = event["item_id"]
            case "conversation.item.input_audio_transcription.completed":
                self._note_heard(event["item_id"], event["transcript"])
            case "response.created":
                self._note_created(event["response"]["id"])
            case "response.output_audio_transcript.delta":
                self._of(event["response_id"]).answer += event["delta"]
            case "response.output_audio.delta":
                await self._play(event)
            case "response.done":
                self._note_done(event["response"])
            case "repartee.hold":
                self._hold(event["state"] == "held")
            case "repartee.turn":
                self._note_trace(event["trace"])
            case "error" if event["error"].get("code") not in BENIGN:
                self.errors.append(event["error"]["message"])

    def _note_heard(self, item: str, transcript: str) -> None:
        self._transcripts[item] = transcript
        if not transcript.strip() and self._clip is not None and _now() >= self._clip_end():
            self._awaiting = bool(self.loudspeaker.open)
            if not self._awaiting:
                self.errors.append(f"Nothing was understood of {self._clip.name}.")

    def _note_created(self, response: str) -> None:
        self.loudspeaker.open.add(response)
        clip = self._clip.name if self._clip else "greeting"
        created = _now() - self.start
        self.exchanges.append(Exchange(clip=clip, response_id=response, created=created, item=self._committed))

    def _note_done(self, response: Record) -> None:
        self.loudspeaker.open.discard(response["id"])
        self._of(response["id"]).status = response["status"]
        if response["status"] == "failed":
            details = (response.get("status_details") or {}).get("error") or {}
            self.errors.append(details.get("message") or "The answer failed.")
        if response["status"] != "cancelled" and not self._speech and _now() >= self._clip_end():
            self._awaiting = False

    def _note_trace(self, trace: Record) -> None:
        turn_id = f"{trace.get('session_id')}.{trace.get('index')}"
        for exchange in self.exchanges:
            if exchange.turn_id == turn_id:
                exchange.trace = trace

    def _hold(self, held: bool) -> None:
        player = self.loudspeaker.player
        (player.hold if held else player.resume)(_now())

    async def _play(self, event: Record) -> None:
        exchange = self._of(event["response_id"])
        exchange.turn_id = event.get("turn_id", exchange.turn_id)
        exchange.audio_ms += len(event["delta"]) * 3 / 4 / (2 * RATE / 1000)
        if "user_end_sample" in event:
            exchange.spoken_at = self._mic_start + event["user_end_sample"] / RATE
        heard_at = await self.loudspeaker.play(event, _now(), exchange.spoken_at)
        if heard_at is None or self._clip is None:
            return
        exchange.voice_to_voice_ms = round((heard_at - self._clip_end()) * 1000, 1)
        if exchange.spoken_at is not None:
            exchange.reported_ms = round((heard_at - exchange.spoken_at) * 1000, 1)

    # --- the end ---

    def _check_end(self) -> None:
        normal = self._closed is None or (self._closed.rcvd is not None and self._closed.rcvd.code == 1000)
        if not normal:
            raise TalkError(f"The connection was lost: {self._closed}.")
        if self._to_say or self._awaiting:
            raise TalkError("The agent ended the call before everything was said and answered.")

    def result(self) -> Talk:
        end = float("inf")
        player = self.loudspeaker.player
        player.advance(end)
        for exchange in self.exchanges:
            exchange.heard = self._transcripts.get(exchange.item, "") if exchange.clip != "greeting" else ""
            exchange.played_ms = self.loudspeaker.heard_ms(exchange.response_id, end)
        return Talk(self.exchanges, self.errors, player.recording(self.start))

    # --- small things ---

    async def _send(self, type_: str, **fields: Any) -> None:
        self._tell(f"> {type_}", **{name: value for name, value in fields.items() if name != "session"})
        await self.socket.send(json.dumps({"type": type_, **fields}))

    def _tell(self, event: str, **fields: Any) -> None:
        self.tell({"t": round(_now() - self.start, 4), "event": event, **fields})

    def _of(self, response: str) -> Exchange:
        return next(exchange for exchange in self.exchanges if exchange.response_id == response)

    def _clip_end(self) -> float:
        """The moment of the clip's last sound; without a clip, the beginning."""
        if self._clip is None:
            return self.start
        return self._mic_start + (self._clip_start + self._clip.last_sound) / RATE


def _now() -> float:
    return asyncio.get_running_loop().time()


def _ms(samples: int) -> int:
    return round(samples * 1000 / RATE)


def _leaves(group: BaseExceptionGroup[E]) -> Iterator[E]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one


def _shown(event: Record) -> Record:
    """An event's fields without what nobody reads: ids of events, and sound as its length."""
    shown = {name: value for name, value in event.items() if name not in ("type", "event_id", "session")}
    if event["type"] == "response.output_audio.delta":
        shown["delta"] = f"{len(event['delta']) * 3 // 4 // (2 * RATE // 1000)} ms"
    return shown
