"""Transcriptions over OpenAI's Realtime API: the audio is sent while it is spoken, and words come back meanwhile.

Each utterance has a WebSocket of its own, opened when the utterance begins: connecting costs the speaker nothing,
and closing it is all that a cancellation takes. Whoever speaks to us decides when the utterance is over, so
the server's turn detection is off and the audio is committed by hand.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self

import httpx2
import msgspec
from websockets.asyncio.client import ClientConnection, connect

from agents.audio import Audio, Resampler
from agents.interfaces import NO_HINTS, Hints, Transcript
from agents.providers.openai_compatible.client import Client, trusted
from agents.providers.openai_compatible.errors import (
    OPENAI_BASE_URL,
    failure,
    is_openai,
    refused,
    timed_out,
    unexpected,
)
from agents.spec import STTSpec
from telemetry.trace import TurnMarks

DEFAULT_MODEL: Final = "gpt-realtime-whisper"
RATE_IN: Final = 16_000
RATE: Final = 24_000
SHORTEST_MS: Final = 100.0
"""Less audio than this may not be committed."""
LONGEST_MS: Final = 119_000.0
"""A server may take two minutes in one piece and no more, as we do; what exceeds this is not heard."""
APPEND_MS: Final = 200
"""Audio in one message: 12.8 kB of base64."""
MAX_MESSAGE: Final = 1 << 20
CLOSE_S: Final = 0.5
"""What a server gets to say goodbye once all is said."""

_quiet = logging.getLogger(f"{__name__}.wire")
_quiet.setLevel(logging.INFO)  # below that, websockets logs headers and messages: keys, and what people say

_KEEPS_TURNS: Final = (
    "the server does not let its clients end turns; allow them to change its turn detection, with a Repartee among "
    "the overrides of the agent that is asked"
)
_STATUS: Final = {
    "invalid_api_key": 401,
    "account_deactivated": 403,
    "permission_denied": 403,
    "model_not_found": 404,
    "invalid_model": 404,
    "input_audio_buffer_full": 413,
    "insufficient_quota": 429,
    "billing_hard_limit_reached": 429,
    "credit_balance_exhausted": 429,
    "rate_limit_exceeded": 429,
    "server_overloaded": 503,
    "session_expired": 503,
}
"""The HTTP status that says the same as an error event's code."""


class _Error(msgspec.Struct):
    type: str | None = None
    code: str | None = None

    @property
    def status(self) -> int:
        return _STATUS.get(self.code or "", 500 if self.type == "server_error" else 400)


class _Input(msgspec.Struct):
    turn_detection: dict[str, Any] | None = None


class _AudioPart(msgspec.Struct):
    input: _Input | None = None


class _Session(msgspec.Struct):
    audio: _AudioPart | None = None

    @property
    def takes_turns(self) -> bool:
        """Whether the server commits the audio by itself, whatever it was asked."""
        return self.audio is not None and self.audio.input is not None and self.audio.input.turn_detection is not None


class _Event(msgspec.Struct):
    """What is read of a server's events; the rest of each is passed over."""

    type: str
    delta: str | None = None
    transcript: str | None = None
    text: str | None = None
    error: _Error | None = None
    session: _Session | None = None

    @property
    def says_words(self) -> bool:
        return any(words is not None for words in (self.delta, self.transcript, self.text))


_decoder = msgspec.json.Decoder(_Event)


class RealtimeSTT:
    def __init__(self, client: Client, spec: STTSpec) -> None:
        self._client = client
        self._spec = spec
        self._model = spec.model or DEFAULT_MODEL

    async def transcribe(
        self, audio: AsyncIterator[Audio], marks: TurnMarks, hints: Hints = NO_HINTS
    ) -> AsyncGenerator[Transcript, None]:
        marks.fact("stt_model", self._model)
        words = _Words()
        async with self._session(hints) as socket, _Upload(self._client, socket, audio) as upload:
            while (event := await upload.next_event()) is not None:
                if (transcript := words.after(event)) is None:
                    continue
                marks.stamp("stt_final" if transcript.final else "stt_first_partial")
                socket.done = transcript.final
                yield transcript
                if transcript.final:
                    return
            marks.stamp("stt_final")
            yield Transcript("", final=True, rejected="no_speech")

    @asynccontextmanager
    async def _session(self, hints: Hints) -> AsyncIterator[_Socket]:
        """A socket whose server has agreed to what we ask of it."""
        socket = await self._connect()
        try:
            due = self._client.first_due()
            await socket.send({"type": "session.update", "session": self._asked(hints)})
            while (event := await socket.receive(due)).type != "session.updated":
                pass
            if event.session is not None and event.session.takes_turns:
                raise failure(self._client.account, _KEEPS_TURNS, retryable=False)
            yield socket
        finally:
            await socket.close()

    async def _connect(self) -> _Socket:
        """Connect; a line that dies later is found out by pings within the account's stall timeout."""
        account = self._client.account
        due = asyncio.get_running_loop().time() + account.connect_timeout_s
        tls = await trusted()

        async def connected() -> ClientConnection:
            url = self._url()
            return await connect(
                str(url),
                ssl=tls if url.scheme == "wss" else None,
                additional_headers={"Authorization": f"Bearer {account.api_key}"} if account.api_key else None,
                compression=None,
                max_size=MAX_MESSAGE,
                open_timeout=None,
                close_timeout=CLOSE_S,
                ping_interval=account.stall_timeout_s / 2,
                ping_timeout=account.stall_timeout_s / 2,
                logger=_quiet,
            )

        return _Socket(self._client, await self._client.wait(due, connected()))

    def _url(self) -> httpx2.URL:
        """OpenAI forbids a model in the address of a transcription session, other servers go by it.

        The others are also told that we understand captions, which a Repartee sends while it is not yet sure.
        """
        base_url = self._client.account.base_url or OPENAI_BASE_URL
        base = httpx2.URL(base_url)
        scheme = {"http": "ws", "https": "wss"}.get(base.scheme)
        if scheme is None or not base.host:
            raise httpx2.InvalidURL(base_url)
        query = {"intent": "transcription"}
        if not is_openai(base_url):
            query |= {"repartee": "1"} | ({"model": self._spec.model} if self._spec.model else {})
        return base.copy_with(scheme=scheme, path=f"{base.path.rstrip('/')}/realtime").copy_merge_params(query)

    def _asked(self, hints: Hints) -> dict[str, Any]:
        given = {
            "model": self._model,
            "language": hints.language or self._spec.language,
            "prompt": hints.prompt or self._spec.prompt,
        }
        heard = {
            "format": {"type": "audio/pcm", "rate": RATE},
            "transcription": {name: value for name, value in given.items() if value},
            "turn_detection": None,
        }
        return {"type": "transcription", "audio": {"input": heard}}


class _Words:
    """What has been heard of one utterance: the text that stands, and the newest caption beyond it."""

    def __init__(self) -> None:
        self._standing = ""
        self._caption = ""
        self._newest = Transcript("", final=False)

    def after(self, event: _Event) -> Transcript | None:
        """The transcript that `event` makes of it, if it changes anything."""
        match event:
            case _Event(type="conversation.item.input_audio_transcription.completed", transcript=str(text)):
                return Transcript(text.strip(), final=True)
            case _Event(type="conversation.item.input_audio_transcription.delta", delta=str(delta)):
                self._standing += delta
            case _Event(type="repartee.partial", text=str(text)):
                self._caption = text.strip()
            case _:
                return None
        standing = self._standing.strip()
        text = self._caption if self._caption.startswith(standing) else standing
        before, self._newest = self._newest, Transcript(text, final=False, settled=len(standing))
        return None if self._newest == before else self._newest


class _Socket:
    """A connection that speaks events. What goes wrong with it is a ProviderError.

    `done` says that the server has told us all: then it is left politely, else at once.
    """

    def __init__(self, client: Client, connection: ClientConnection) -> None:
        self.done = False
        self._client = client
        self._connection = connection

    async def send(self, event: dict[str, Any]) -> None:
        """Hand `event` to the network, which takes it when there is room."""
        await self._client.wait(self._client.next_due(), self._connection.send(msgspec.json.encode(event).decode()))

    async def receive(self, due: float | None = None) -> _Event:
        """The server's next event, but for those that say that it failed: they are raised."""
        account = self._client.account
        message = await self._client.wait(due, self._connection.recv())
        try:
            event = _decoder.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise unexpected(account, "text that cannot be read") from None
        if event.type == "error":
            raise refused(account, (event.error or _Error()).status)
        if event.type == "conversation.item.input_audio_transcription.failed":
            raise failure(account, "the server could not transcribe what it heard")
        return event

    async def close(self) -> None:
        if self.done:
            await self._connection.close()
        else:
            self._connection.transport.abort()
            await self._connection.wait_closed()


class _Upload:
    """An utterance on its way to the server, beside the reading of what comes back.

    Its task belongs to the generator that reads, and ends with it. A TaskGroup cannot hold it: the generator
    yields meanwhile, and a group must never be left suspended at a yield.
    """

    def __init__(self, client: Client, socket: _Socket, audio: AsyncIterator[Audio]) -> None:
        self._client = client
        self._socket = socket
        self._audio = audio
        self._due: float | None = None
        self._waiting: asyncio.Timeout | None = None

    async def __aenter__(self) -> Self:
        self._sending = asyncio.create_task(self._send())
        self._sending.add_done_callback(self._sent)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)

    async def next_event(self) -> _Event | None:
        """What the server says next; None when there was too little audio to ask for words.

        While the user speaks a server may be silent. Once all is sent it is waited for.
        """
        try:
            async with asyncio.timeout_at(self._due) as self._waiting:
                event = await self._socket.receive()
        except TimeoutError:
            if self._sending.done() and not self._sending.result():
                return None
            raise timed_out(self._client.account) from None
        finally:
            self._waiting = None
        if self._due is not None and event.says_words:
            self._due = self._client.next_due()
        return event

    async def _send(self) -> bool:
        """Whether there was enough audio to be committed."""
        resampler = Resampler(RATE_IN, RATE)
        heard_ms = 0.0
        async for piece in self._audio:
            heard_ms += piece.ms
            if heard_ms <= LONGEST_MS:
                await self._append(resampler.push(piece))
        if heard_ms < SHORTEST_MS:
            return False
        await self._append(resampler.push(Audio(b"", RATE_IN), last=True))
        await self._socket.send({"type": "input_audio_buffer.commit"})
        return True

    async def _append(self, audio: Audio) -> None:
        for part in audio.split(APPEND_MS):
            encoded = base64.b64encode(part.pcm).decode()
            await self._socket.send({"type": "input_audio_buffer.append", "audio": encoded})

    def _sent(self, task: asyncio.Task[bool]) -> None:
        """Wait for the words from now on; or no longer, if they were not asked for."""
        if task.cancelled():
            return
        asked = task.exception() is None and task.result()
        self._due = self._client.first_due() if asked else 0.0
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(self._due)
