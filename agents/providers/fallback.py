"""When a provider fails or hangs: the next one, without the user hearing of it.

A failure can be mended as long as nothing of the answer is out; after that the error goes up, since two
voices or two half answers are worse than an apology. What the failed provider had already read of its
input is read again by the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Generic, TypeVar

from agents.audio import Audio
from agents.errors import ContextFull, ProviderError, ProviderTimeout
from agents.interfaces import (
    LLM,
    NO_HINTS,
    STT,
    TTS,
    CompletionOptions,
    Hints,
    LLMOutput,
    Message,
    Segment,
    Speech,
    ToolSpec,
    Transcript,
    VoiceOptions,
)
from telemetry.trace import TurnMarks

logger = logging.getLogger(__name__)

T = TypeVar("T")
P = TypeVar("P")

REPLAY_AUDIO_S: Final = 120.0
"""Audio kept for the next STT; as long as the longest utterance. 120 s at 16 kHz are 3.8 MB."""
REPLAY_SEGMENTS: Final = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds a provider may be waited for: until its first output, and between two."""

    first_output_s: float
    stall_s: float


@dataclass(frozen=True, slots=True)
class Candidate(Generic[P]):
    """A provider under the name of its account.

    `limits` None is for adapters that watch themselves closer to the wire, as those of
    `openai_compatible` do: a long tool call or a model that reasons is silent here but not there.
    `kind` is set for one that works in this process: traces then name it instead of the account.
    """

    account: str
    provider: P
    limits: Limits | None = None
    kind: str = ""


class Breakers:
    """Accounts that have just failed, so that the next turn does not wait for them again.

    An account is skipped for `cooldown_s` after a failure; then one call at a time probes it, at most every
    `cooldown_s`, until one succeeds. Meant to be shared by a whole process. At most `size` accounts are
    remembered, the oldest failure is forgotten first. Time is the event loop's.
    """

    def __init__(self, *, cooldown_s: float = 20.0, size: int = 256) -> None:
        self._cooldown_s = cooldown_s
        self._size = size
        self._next_try: OrderedDict[str, float] = OrderedDict()

    def admits(self, account: str) -> bool:
        """Whether to call it now. True for a failed account makes this call its probe."""
        due = self._next_try.get(account)
        if due is None:
            return True
        if asyncio.get_running_loop().time() < due:
            return False
        self.failed(account)
        return True

    def failed(self, account: str) -> None:
        self._next_try[account] = asyncio.get_running_loop().time() + self._cooldown_s
        self._next_try.move_to_end(account)
        if len(self._next_try) > self._size:
            self._next_try.popitem(last=False)

    def succeeded(self, account: str) -> None:
        self._next_try.pop(account, None)

    def order(self, candidates: Sequence[Candidate[P]]) -> Iterator[Candidate[P]]:
        """The admitted ones, then the skipped: when nobody else is left, a bad chance beats none."""
        skipped = []
        for candidate in candidates:
            if self.admits(candidate.account):
                yield candidate
            else:
                skipped.append(candidate)
        yield from skipped


class Guarded(Generic[T]):
    """A watchdog for the stream of a provider that may neither fail nor move.

    Only the time in which the provider is waited for counts. The consumer's own time never does, and time
    that the provider spends waiting for its input does not either, if it reads that through `feed`.
    """

    def __init__(self, account: str, limits: Limits) -> None:
        self._account = account
        self._limits = limits
        self._timeout: asyncio.Timeout | None = None
        self._left = 0.0
        self._starved = False

    def feed(self, source: AsyncIterator[P]) -> AsyncIterator[P]:
        """`source`, for the provider to read: the clock stands while it waits for more."""
        return _Feed(source, self._pause, self._resume)

    async def watch(self, stream: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """What comes out of `stream`, or a ProviderTimeout."""
        limit = self._limits.first_output_s
        async with aclosing(stream):
            while True:
                try:
                    item = await self._next(stream, limit)
                except StopAsyncIteration:
                    return
                yield item
                limit = self._limits.stall_s

    async def _next(self, stream: AsyncGenerator[T, None], limit: float) -> T:
        self._left = limit
        due = None if self._starved else asyncio.get_running_loop().time() + limit
        timeout = asyncio.timeout_at(due)
        try:
            async with timeout:
                self._timeout = timeout
                try:
                    return await anext(stream)
                finally:
                    self._timeout = None
        except TimeoutError:
            if not timeout.expired():
                raise
            raise ProviderTimeout(
                f"account {self._account!r}: silent for {limit:g} s; see whether its server hangs, or raise its limit",
                provider=self._account,
            ) from None

    def _pause(self) -> None:
        self._starved = True
        timeout = self._timeout
        if timeout is not None and not timeout.expired() and (due := timeout.when()) is not None:
            self._left = due - asyncio.get_running_loop().time()
            timeout.reschedule(None)

    def _resume(self) -> None:
        self._starved = False
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._left)


class _Feed(AsyncIterator[P]):
    def __init__(self, source: AsyncIterator[P], pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._source = source
        self._pause = pause
        self._resume = resume

    async def __anext__(self) -> P:
        self._pause()
        try:
            return await anext(self._source)
        finally:
            self._resume()


class _Replay(Generic[P]):
    """An input that can be read from its start again, as long as it fits in `limit`."""

    def __init__(self, source: AsyncIterator[P], limit: float, cost: Callable[[P], float]) -> None:
        self._source = source
        self._room = limit
        self._cost = cost
        self._held: list[P] = []
        self._ended = False
        self.whole = True
        """False once the start is gone, or the source broke under a cancelled read."""

    def read(self) -> AsyncIterator[P]:
        return _Reader(self)

    async def item(self, n: int) -> P:
        """The n-th item; readers ask for each in turn."""
        if n < len(self._held):
            return self._held[n]
        if self._ended:
            raise StopAsyncIteration
        try:
            item = await anext(self._source)
        except StopAsyncIteration:
            self._ended = True
            raise
        except asyncio.CancelledError:
            self.whole = self.whole and not isinstance(self._source, AsyncGenerator)
            raise
        self._keep(item)
        return item

    def _keep(self, item: P) -> None:
        self._room -= self._cost(item)
        if self._room < 0:
            self.whole = False
            self._held.clear()
        if self.whole:
            self._held.append(item)


class _Reader(AsyncIterator[P]):
    def __init__(self, replay: _Replay[P]) -> None:
        self._replay = replay
        self._n = 0

    async def __anext__(self) -> P:
        item = await self._replay.item(self._n)
        self._n += 1
        return item


@dataclass(frozen=True, slots=True)
class _Rules(Generic[T]):
    """When an output rules out another candidate, whether one must come, and whether the input is still whole.

    `named` is told who is asked; who was asked last is who answered.
    """

    named: Callable[[str], None]
    binds: Callable[[T], bool]
    must_bind: bool
    may_retry: Callable[[], bool]


def _always(*_: object) -> bool:
    return True


Start = Callable[[P, Guarded[T] | None], AsyncGenerator[T, None]]
"""Begins a provider's stream, its input read through the guard if there is one."""


async def _first_that_answers(
    candidates: Sequence[Candidate[P]], breakers: Breakers, start: Start[P, T], rules: _Rules[T]
) -> AsyncGenerator[T, None]:
    """The stream of the first candidate that gets as far as an output that binds."""
    failure = ProviderError("no provider is configured")
    for candidate in breakers.order(candidates):
        bound = False
        rules.named(candidate.kind or candidate.account)
        try:
            async with aclosing(_open(candidate, start)) as stream:
                async for item in stream:
                    if not bound and rules.binds(item):
                        bound = True
                        breakers.succeeded(candidate.account)
                    yield item
            _require(bound or not rules.must_bind, candidate.account)
            breakers.succeeded(candidate.account)
            return
        except ProviderError as error:
            if not isinstance(error, ContextFull):  # that is no fault of the account's
                breakers.failed(candidate.account)
            if bound or not rules.may_retry():
                raise
            logger.warning("provider failed", extra={"account": candidate.account, "error": type(error).__name__})
            failure = error
    raise failure


def _require(answered: bool, account: str) -> None:
    if not answered:
        raise ProviderError(f"account {account!r}: ended without an answer", provider=account)


def _open(candidate: Candidate[P], start: Start[P, T]) -> AsyncGenerator[T, None]:
    if candidate.limits is None:
        return start(candidate.provider, None)
    guard = Guarded[T](candidate.account, candidate.limits)
    return guard.watch(start(candidate.provider, guard))


class FallbackSTT:
    """Transcribes with the first candidate that gives a final; a partial can still be replaced.

    So nothing of a partial is settled while there is another candidate who may hear it otherwise.
    """

    def __init__(self, candidates: Sequence[Candidate[STT]], breakers: Breakers) -> None:
        self._candidates = candidates
        self._breakers = breakers

    def transcribe(
        self, audio: AsyncIterator[Audio], marks: TurnMarks, hints: Hints = NO_HINTS
    ) -> AsyncGenerator[Transcript, None]:
        kept_s = REPLAY_AUDIO_S if len(self._candidates) > 1 else 0.0
        replay = _Replay(audio, kept_s * 1000, lambda piece: piece.ms)

        def start(stt: STT, guard: Guarded[Transcript] | None) -> AsyncGenerator[Transcript, None]:
            heard = replay.read()
            transcripts = stt.transcribe(guard.feed(heard) if guard else heard, marks, hints)
            return transcripts if len(self._candidates) == 1 else _unsettled(transcripts)

        rules: _Rules[Transcript] = _Rules(
            partial(marks.fact, "stt_provider"),
            lambda transcript: transcript.final,
            must_bind=True,
            may_retry=lambda: replay.whole,
        )
        return _first_that_answers(self._candidates, self._breakers, start, rules)


async def _unsettled(transcripts: AsyncGenerator[Transcript, None]) -> AsyncGenerator[Transcript, None]:
    async with aclosing(transcripts):
        async for transcript in transcripts:
            yield replace(transcript, settled=0)


class FallbackLLM:
    """Completes with the first candidate that gives any output."""

    def __init__(self, candidates: Sequence[Candidate[LLM]], breakers: Breakers) -> None:
        self._candidates = candidates
        self._breakers = breakers

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], options: CompletionOptions, marks: TurnMarks
    ) -> AsyncGenerator[LLMOutput, None]:
        def start(llm: LLM, _: Guarded[LLMOutput] | None) -> AsyncGenerator[LLMOutput, None]:
            return llm.complete(messages, tools, options, marks)

        rules: _Rules[LLMOutput] = _Rules(
            partial(marks.fact, "llm_provider"), _always, must_bind=True, may_retry=_always
        )
        return _first_that_answers(self._candidates, self._breakers, start, rules)


class FallbackTTS:
    """Speaks a whole reply with the first candidate that gives audio: a voice does not change mid-reply.

    No audio at all is no failure: there may be nothing in the text to speak.
    """

    def __init__(self, candidates: Sequence[Candidate[TTS]], breakers: Breakers) -> None:
        self._candidates = candidates
        self._breakers = breakers

    def synthesize(
        self, text: AsyncIterator[Segment], voice: VoiceOptions, marks: TurnMarks
    ) -> AsyncGenerator[Speech, None]:
        replay = _Replay(text, REPLAY_SEGMENTS, lambda _: 1)

        def start(tts: TTS, guard: Guarded[Speech] | None) -> AsyncGenerator[Speech, None]:
            lines = replay.read()
            return tts.synthesize(guard.feed(lines) if guard else lines, voice, marks)

        rules: _Rules[Speech] = _Rules(
            partial(marks.fact, "tts_provider"), _always, must_bind=False, may_retry=lambda: replay.whole
        )
        return _first_that_answers(self._candidates, self._breakers, start, rules)
