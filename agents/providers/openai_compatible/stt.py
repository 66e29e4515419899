"""Transcriptions of any OpenAI-compatible server.

The API takes whole files, so the audio is collected and sent at the end of the utterance. Models that
stream their transcript give partials from then on; the others answer at once.
"""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final

import openai
from openai import AsyncStream
from openai.types.audio import TranscriptionStreamEvent, TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent

from agents.audio import BYTES_PER_SAMPLE, Audio, join
from agents.errors import ProviderError
from agents.interfaces import NO_HINTS, Hints, Transcript
from agents.providers.openai_compatible.client import Client
from agents.providers.openai_compatible.errors import broken_off, refusal, unexpected
from agents.spec import STTSpec
from telemetry.trace import TurnMarks

DEFAULT_MODEL: Final = "whisper-1"
RATE: Final = 16_000
SHORTEST_MS: Final = 100.0
"""OpenAI refuses less audio than this."""

END_WAIT_S: Final = 1.0

# Whisper's own limits for "this was no speech", and "this is a loop": openai/whisper, transcribe.py
NO_SPEECH: Final = 0.6
LOW_LOGPROB: Final = -1.0
REPETITIVE: Final = 2.4


@dataclass(frozen=True, slots=True)
class _Manner:
    """How a model is asked: streaming, or with the figures that tell speech from invention, or plainly."""

    stream: bool
    figures: bool

    @classmethod
    def of(cls, model: str) -> _Manner:
        name = model.lower()
        return cls(stream="transcribe" in name, figures="whisper" in name)

    def body(self) -> dict[str, Any]:
        if self.stream:
            return {"stream": True, "response_format": "json"}
        return {"response_format": "verbose_json" if self.figures else "json"}

    def after(self, words: str) -> _Manner:
        """The manner to try next when this one was refused with `words`; the same if that explains nothing."""
        if self.stream and "stream" in words:
            return replace(self, stream=False)
        if self.figures and ("response_format" in words or "verbose_json" in words):
            return replace(self, figures=False)
        return self


class OpenAISTT:
    def __init__(self, client: Client, spec: STTSpec) -> None:
        self._client = client
        self._spec = spec
        self._model = spec.model or DEFAULT_MODEL
        self._manner = _Manner.of(self._model)

    async def transcribe(
        self, audio: AsyncIterator[Audio], marks: TurnMarks, hints: Hints = NO_HINTS
    ) -> AsyncGenerator[Transcript, None]:
        heard = join([piece async for piece in audio], RATE)
        marks.fact("stt_model", self._model)
        if heard.ms < SHORTEST_MS:
            marks.stamp("stt_final")
            yield Transcript("", final=True, rejected="no_speech")
            return
        async with self._client.lease() as api:
            due = self._client.first_due()
            answer = await self._ask(api, wav(heard), due, hints)
            if isinstance(answer, AsyncStream):
                try:
                    async with aclosing(self._read(answer, due, marks)) as transcripts:
                        async for transcript in transcripts:
                            yield transcript
                finally:
                    await answer.close()
            else:
                marks.stamp("stt_final")
                yield self._judge(answer)

    async def _ask(
        self, api: openai.AsyncOpenAI, file: bytes, due: float, hints: Hints
    ) -> AsyncStream[TranscriptionStreamEvent] | object:
        """The stream or the answer, once the server's manner is found; it is remembered for later calls."""
        given = {
            "language": hints.language or self._spec.language,
            "prompt": hints.prompt or self._spec.prompt,
        }
        request = {key: value for key, value in given.items() if value}
        while True:
            manner = self._manner
            body: dict[str, Any] = request | manner.body()

            def create(body: dict[str, Any] = body) -> Awaitable[AsyncStream[TranscriptionStreamEvent] | object]:
                return api.audio.transcriptions.create(model=self._model, file=("audio.wav", file, "audio/wav"), **body)

            try:
                return await self._client.send(due, create)
            except ProviderError as error:
                self._manner = manner.after(refusal(error))
                if self._manner == manner:
                    raise

    async def _read(
        self, stream: AsyncStream[TranscriptionStreamEvent], due: float, marks: TurnMarks
    ) -> AsyncGenerator[Transcript, None]:
        if "event-stream" not in stream.response.headers.get("content-type", ""):
            answer = await self._client.wait(due, _whole(stream))
            marks.stamp("stt_final")
            yield self._judge(answer)
            return
        text = ""
        while (event := await self._client.wait(due, anext(stream, None))) is not None:
            due = self._client.next_due()
            match event:
                case TranscriptionTextDeltaEvent(delta=str(delta)):
                    text += delta
                    marks.stamp("stt_first_partial")
                    standing = text.strip()
                    yield Transcript(standing, final=False, settled=len(standing))
                case TranscriptionTextDoneEvent(text=str(done)):
                    marks.stamp("stt_final")
                    yield Transcript(done.strip(), final=True)
                    await self._drain(stream)
                    return
        raise broken_off(self._client.account)

    async def _drain(self, stream: AsyncStream[TranscriptionStreamEvent]) -> None:
        """Read to the very end, if it comes soon: only then can the connection be used again."""
        due = asyncio.get_running_loop().time() + END_WAIT_S
        try:
            while await self._client.wait(due, anext(stream, None)) is not None:
                pass
        except ProviderError:
            return

    def _judge(self, answer: object) -> Transcript:
        text = _field(answer, "text")
        if not isinstance(text, str):
            raise unexpected(self._client.account, "a transcription without text")
        rejected = _rejection(_field(answer, "segments"))
        return Transcript("" if rejected else text.strip(), final=True, rejected=rejected)


def wav(audio: Audio) -> bytes:
    """`audio` as a WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(audio.rate)
        file.writeframes(audio.pcm)
    return out.getvalue()


async def _whole(stream: AsyncStream[TranscriptionStreamEvent]) -> object:
    """The answer of a server that was asked to stream and did not."""
    return json.loads(await stream.response.aread())


def _rejection(segments: object) -> str | None:
    """Why a transcript is to be taken for invented, if all of its segments say so."""
    if not isinstance(segments, list) or not segments:
        return None
    if all(_no_speech(part) for part in segments):
        return "no_speech"
    if all(_number(part, "compression_ratio") > REPETITIVE for part in segments):
        return "repetition"
    return None


def _no_speech(segment: object) -> bool:
    return _number(segment, "no_speech_prob") > NO_SPEECH and _number(segment, "avg_logprob") < LOW_LOGPROB


def _number(segment: object, name: str) -> float:
    value = _field(segment, name)
    return float(value) if isinstance(value, int | float) else 0.0


def _field(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)
