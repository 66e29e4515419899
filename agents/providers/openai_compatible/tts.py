"""Speech of any OpenAI-compatible server, as PCM while it is being made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import openai

from agents.audio import Audio
from agents.errors import ProviderError
from agents.interfaces import Segment, Speech, VoiceOptions
from agents.providers.openai_compatible.client import Client
from agents.providers.openai_compatible.errors import is_openai
from agents.providers.openai_compatible.speech_decoder import NotPCM, SpeechDecoder
from agents.spec import OPENAI_VOICES, TTSSpec
from telemetry.trace import TurnMarks

DEFAULT_MODEL: Final = "tts-1"
DEFAULT_VOICE: Final = "alloy"
AUDIBLE: Final = 32768 * 10 ** (-50 / 20)
"""Peak from which audio counts as audible: −50 dBFS."""


class OpenAITTS:
    """One request a segment. The next segment's is sent while this one's audio is read, so that they join."""

    def __init__(self, client: Client, spec: TTSSpec) -> None:
        self._client = client
        self._spec = spec
        self._model = spec.model or DEFAULT_MODEL
        self._has_openais_voices = is_openai(client.account.base_url)

    async def synthesize(
        self, text: AsyncIterator[Segment], voice: VoiceOptions, marks: TurnMarks
    ) -> AsyncGenerator[Speech, None]:
        marks.fact("tts_model", self._model)
        async with self._client.lease() as api, _Ahead(lambda: self._next(api, text, voice, marks)) as ahead:
            while (answer := await ahead.take()) is not None:
                async with aclosing(self._speech(answer, marks)) as speech:
                    async for piece in speech:
                        yield piece

    async def _next(
        self, api: openai.AsyncOpenAI, text: AsyncIterator[Segment], voice: VoiceOptions, marks: TurnMarks
    ) -> _Answer | None:
        """The answer to the next segment that has something to say, at its first bytes; None after the last."""
        while (segment := await anext(text, None)) is not None:
            if any(character.isalnum() for character in segment.text):
                return await self._ask(api, segment, voice, marks)
        return None

    async def _ask(self, api: openai.AsyncOpenAI, segment: Segment, voice: VoiceOptions, marks: TurnMarks) -> _Answer:
        due = self._client.first_due()
        async with AsyncExitStack() as stack:

            def create() -> Awaitable[openai.AsyncAPIResponse[bytes]]:
                return stack.enter_async_context(
                    api.audio.speech.with_streaming_response.create(**self._request(segment, voice))
                )

            response = (await self._client.send(due, create)).http_response
            body = response.aiter_bytes()
            first = await self._client.wait(due, anext(body, b""))
            marks.stamp(f"seg[{segment.id}].tts_first_byte")
            decoder = SpeechDecoder(response.headers.get("content-type", ""))
            return _Answer(segment, decoder, first, body, stack.pop_all())

    def _request(self, segment: Segment, voice: VoiceOptions) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self._model,
            "input": segment.text,
            "voice": self._voice(voice.voice),
            "response_format": "pcm",
        }
        speed = self._spec.speed if voice.speed == 1.0 else voice.speed
        return request if speed == 1.0 else request | {"speed": speed}

    def _voice(self, asked: str) -> str:
        stands_in = asked in OPENAI_VOICES and not self._has_openais_voices
        return ("" if stands_in else asked) or self._spec.voice or DEFAULT_VOICE

    async def _speech(self, answer: _Answer, marks: TurnMarks) -> AsyncGenerator[Speech, None]:
        segment = answer.segment
        samples = 0
        silent = True
        async with answer.held:
            data = answer.first
            while data:
                audio = self._decode(answer.decoder, data)
                if audio.samples:
                    if silent and _audible(audio):
                        silent = False
                        marks.stamp(f"seg[{segment.id}].tts_first_audible")
                    yield Speech(audio, segment.id, None if samples else 0)
                    samples += audio.samples
                data = await self._client.wait(self._client.next_due(), anext(answer.body, b""))
        if not samples:
            raise self._failed("answered without any audio; check the model and the voice")
        marks.stamp(f"seg[{segment.id}].tts_end")

    def _decode(self, decoder: SpeechDecoder, data: bytes) -> Audio:
        try:
            return decoder.push(data)
        except NotPCM as error:
            raise self._failed(
                f"sent {error} where PCM audio was asked for; use a server or model that can answer "
                "/audio/speech with response_format pcm or wav"
            ) from error

    def _failed(self, text: str) -> ProviderError:
        name = self._client.account.name
        return ProviderError(f"account {name!r}: {text}", provider=name, retryable=False)


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer that has begun. Leaving `held` ends it and its connection."""

    segment: Segment
    decoder: SpeechDecoder
    first: bytes
    body: AsyncIterator[bytes]
    held: AsyncExitStack


class _Ahead:
    """The one answer that is fetched ahead of its use.

    Its task belongs to the generator that reads the answers and ends with it. A TaskGroup cannot hold it:
    the generator yields meanwhile, and a group must never be left suspended at a yield.
    """

    def __init__(self, fetch: Callable[[], Coroutine[Any, Any, _Answer | None]]) -> None:
        self._fetch = fetch
        self._task = asyncio.create_task(fetch())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        (answer,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(answer, _Answer):
            await answer.held.aclose()

    async def take(self) -> _Answer | None:
        """The next answer; the one after it is fetched from now on."""
        answer = await self._task
        if answer is not None:
            self._task = asyncio.create_task(self._fetch())
        return answer


def _audible(audio: Audio) -> bool:
    samples = audio.int16()
    return max(int(samples.max()), -int(samples.min())) > AUDIBLE
