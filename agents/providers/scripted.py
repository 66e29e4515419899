"""Providers that do exactly what they are told, when they are told: for tests and benchmarks.

They hear, think and say nothing of their own. `ScriptedSTT` returns the texts it was given whatever the
audio is, `ScriptedLLM` the replies it was given whatever was asked, `ScriptedTTS` hums a tone as long as
the text would take to speak, and `ScriptedVAD` takes loud for speech. All time is the event loop's, so
that on virtual time a conversation runs the same to the microsecond each time.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import numpy as np

from agents.audio import Audio, join
from agents.errors import ProviderError
from agents.interfaces import (
    NO_HINTS,
    CompletionOptions,
    Hints,
    LLMOutput,
    Message,
    Segment,
    Speech,
    TextDelta,
    ToolCall,
    ToolSpec,
    Transcript,
    Usage,
    VoiceOptions,
)
from telemetry.trace import TurnMarks

T = TypeVar("T")

VAD_RATE: Final = 16_000
VAD_WINDOW: Final = 512
TTS_RATE: Final = 24_000
CHARS_PER_SECOND: Final = 15.0
"""An unhurried English voice: about 150 words a minute."""
CALLS_KEPT: Final = 100

Reply = str | Sequence[str | ToolCall]
"""What a scripted LLM answers: a text, or texts and tool calls in a row."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong after `after` outputs of a call.

    "fail" raises a ProviderError, "stall" stops moving for ever, "end" stops as if all were said. `calls`
    are the numbers, from 0, of the calls it strikes; None is every call.
    """

    kind: Literal["fail", "stall", "end"]
    after: int = 0
    calls: Collection[int] | None = None
    retryable: bool = True

    def strikes(self, call: int) -> bool:
        return self.calls is None or call in self.calls


async def _faulty(stream: AsyncGenerator[T, None], fault: Fault | None, call: int) -> AsyncGenerator[T, None]:
    """`stream`, with `fault` in it if that strikes `call`."""
    async with aclosing(stream):
        for done in itertools.count():
            if fault is not None and fault.strikes(call) and done == fault.after:
                match fault.kind:
                    case "fail":
                        raise ProviderError("scripted failure", provider="scripted", retryable=fault.retryable)
                    case "stall":
                        await asyncio.get_running_loop().create_future()
                    case "end":
                        return
            try:
                item = await anext(stream)
            except StopAsyncIteration:
                return
            yield item


class _Schedule:
    """Moments counted in seconds from its making; one that has passed is not waited for."""

    def __init__(self) -> None:
        self._start = asyncio.get_running_loop().time()

    async def reach(self, seconds: float) -> None:
        wait = self._start + seconds - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)


# --- hearing -------------------------------------------------------------------------------------


class _EnergyStream:
    def __init__(self, threshold: float, sure: float) -> None:
        self._threshold = threshold
        self._sure = sure
        self._rest = Audio(b"", VAD_RATE)
        self._end_sample = 0

    def push(self, audio: Audio) -> list[tuple[int, float]]:
        if audio.rate != VAD_RATE:
            raise ValueError(f"the VAD hears {VAD_RATE} Hz, not {audio.rate}")
        held = join([self._rest, audio], VAD_RATE)
        windows = held.samples // VAD_WINDOW
        self._rest = held.slice(windows * VAD_WINDOW)
        return [self._judge(held.slice(n * VAD_WINDOW, (n + 1) * VAD_WINDOW)) for n in range(windows)]

    def _judge(self, window: Audio) -> tuple[int, float]:
        self._end_sample += VAD_WINDOW
        loud = float(np.sqrt(np.mean(np.square(window.float32())))) >= self._threshold
        return self._end_sample, self._sure if loud else 0.01


class ScriptedVAD:
    """Speech is any 32 ms window whose RMS reaches `threshold_dbfs`: a tone is speech, silence is not.

    It is `sure` of it, with this probability.
    """

    def __init__(self, threshold_dbfs: float = -40.0, *, sure: float = 0.99) -> None:
        self._threshold = 10 ** (threshold_dbfs / 20)
        self._sure = sure

    def open(self) -> _EnergyStream:
        return _EnergyStream(self._threshold, self._sure)


class ScriptedEndOfTurn:
    """Answers with `probabilities` in turn, the last one again and again, each after `delay_s`."""

    def __init__(self, probabilities: Sequence[float] = (1.0,), *, delay_s: float = 0.0) -> None:
        self._probabilities = probabilities
        self._delay_s = delay_s
        self.calls = 0

    async def probability(self, audio: Audio) -> float:
        number = min(self.calls, len(self._probabilities) - 1)
        self.calls += 1
        await asyncio.sleep(self._delay_s)
        return self._probabilities[number]


class ScriptedSTT:
    """Transcribes the n-th utterance as the n-th of `texts`, the last one again and again.

    A function as `texts` is given the whole audio instead, for scripts in which an utterance is asked for
    more than once. With `words_per_s` partials grow while audio comes, by its length; `settled` promises that
    they only grow. The final follows `final_s` after the end of the audio. `hints` keeps those of the
    last 100 calls.
    """

    def __init__(
        self,
        texts: Sequence[str] | Callable[[Audio], str],
        *,
        final_s: float = 0.0,
        words_per_s: float | None = None,
        settled: bool = False,
        fault: Fault | None = None,
        name: str = "scripted-stt",
    ) -> None:
        self._texts = texts
        self._final_s = final_s
        self._words_per_s = words_per_s
        self._settled = settled
        self._fault = fault
        self._name = name
        self.calls = 0
        self.hints: deque[Hints] = deque(maxlen=CALLS_KEPT)

    def transcribe(
        self, audio: AsyncIterator[Audio], marks: TurnMarks, hints: Hints = NO_HINTS
    ) -> AsyncGenerator[Transcript, None]:
        call, self.calls = self.calls, self.calls + 1
        self.hints.append(hints)
        return _faulty(self._transcribe(audio, marks, call), self._fault, call)

    async def _transcribe(
        self, audio: AsyncIterator[Audio], marks: TurnMarks, call: int
    ) -> AsyncGenerator[Transcript, None]:
        marks.fact("stt_model", self._name)
        pieces: list[Audio] = []
        heard_ms = 0.0
        shown = 0
        async for piece in audio:
            pieces.append(piece)
            heard_ms += piece.ms
            if self._words_per_s is not None:
                words = self._text(pieces, call).split()
                count = min(len(words), int(heard_ms / 1000 * self._words_per_s))
                if count > shown:
                    shown = count
                    marks.stamp("stt_first_partial")
                    text = " ".join(words[:count])
                    yield Transcript(text, final=False, settled=len(text) if self._settled else 0)
        await _Schedule().reach(self._final_s)
        marks.stamp("stt_final")
        yield Transcript(self._text(pieces, call), final=True)

    def _text(self, pieces: list[Audio], call: int) -> str:
        if callable(self._texts):
            return self._texts(join(pieces, pieces[0].rate if pieces else VAD_RATE))
        return self._texts[min(call, len(self._texts) - 1)]


# --- thinking ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """What one call of a scripted LLM was given."""

    messages: Sequence[Message]
    tools: Sequence[ToolSpec]
    options: CompletionOptions


class ScriptedLLM:
    """Answers the n-th call with the n-th of `replies`, the last one again and again.

    The first token comes after `first_s`, the others at `tokens_per_s` on a fixed schedule: a reader who
    dawdles finds them waiting. A token is a word with the space after it. `asked` keeps the last 100 calls.
    """

    def __init__(
        self,
        replies: Sequence[Reply],
        *,
        first_s: float = 0.0,
        tokens_per_s: float = math.inf,
        fault: Fault | None = None,
        name: str = "scripted-llm",
    ) -> None:
        self._replies = replies
        self._first_s = first_s
        self._gap_s = 1 / tokens_per_s
        self._fault = fault
        self._name = name
        self.calls = 0
        self.asked: deque[Asked] = deque(maxlen=CALLS_KEPT)

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], options: CompletionOptions, marks: TurnMarks
    ) -> AsyncGenerator[LLMOutput, None]:
        call, self.calls = self.calls, self.calls + 1
        self.asked.append(Asked(messages, tools, options))
        reply = self._replies[min(call, len(self._replies) - 1)]
        parts = [reply] if isinstance(reply, str) else reply
        prompt = sum(len(message.text.split()) for message in messages)
        return _faulty(self._complete(parts, prompt, marks), self._fault, call)

    async def _complete(
        self, parts: Sequence[str | ToolCall], prompt_tokens: int, marks: TurnMarks
    ) -> AsyncGenerator[LLMOutput, None]:
        mark = f"llm[{marks.number('llm')}]"
        marks.fact("llm_model", self._name)
        marks.stamp(f"{mark}.request_sent")
        schedule = _Schedule()
        outputs = [output for part in parts for output in _outputs(part)]
        for n, output in enumerate(outputs):
            await schedule.reach(self._first_s + n * self._gap_s)
            marks.stamp(f"{mark}.first_chunk")
            marks.stamp(f"{mark}.first_token")
            yield output
        marks.stamp(f"{mark}.end")
        yield Usage(input_tokens=prompt_tokens, output_tokens=len(outputs))


def _outputs(part: str | ToolCall) -> list[LLMOutput]:
    return [part] if isinstance(part, ToolCall) else [TextDelta(token) for token in re.findall(r"\s*\S+\s*", part)]


# --- speaking ------------------------------------------------------------------------------------


class ScriptedTTS:
    """Hums a 440 Hz tone at −14 dBFS, as long as the text would take at 15 characters a second.

    The first audio of a segment comes `first_s` after the segment was taken, the rest at `speed` times real
    time in chunks of `chunk_ms`. A segment is taken when the one before it is out.
    `offsets`: say which character each chunk begins with.
    """

    def __init__(
        self,
        *,
        first_s: float = 0.0,
        speed: float = math.inf,
        chunk_ms: float = 100,
        rate: int = TTS_RATE,
        offsets: bool = True,
        fault: Fault | None = None,
        name: str = "scripted-tts",
    ) -> None:
        self._first_s = first_s
        self._speed = speed
        self._chunk_ms = chunk_ms
        self._rate = rate
        self._offsets = offsets
        self._fault = fault
        self._name = name
        self.calls = 0
        self.spoken: deque[str] = deque(maxlen=CALLS_KEPT)

    def synthesize(
        self, text: AsyncIterator[Segment], voice: VoiceOptions, marks: TurnMarks
    ) -> AsyncGenerator[Speech, None]:
        call, self.calls = self.calls, self.calls + 1
        return _faulty(self._synthesize(text, voice, marks), self._fault, call)

    async def _synthesize(
        self, text: AsyncIterator[Segment], voice: VoiceOptions, marks: TurnMarks
    ) -> AsyncGenerator[Speech, None]:
        marks.fact("tts_model", self._name)
        async for segment in text:
            self.spoken.append(segment.text)
            schedule = _Schedule()
            done_s = 0.0
            for chunk in hum(segment.text, self._rate, voice.speed).split(self._chunk_ms):
                await schedule.reach(self._first_s + done_s / self._speed)
                if done_s == 0.0:
                    marks.stamp(f"seg[{segment.id}].tts_first_byte")
                    marks.stamp(f"seg[{segment.id}].tts_first_audible")
                offset = round(done_s * CHARS_PER_SECOND * voice.speed)
                yield Speech(chunk, segment.id, offset if self._offsets else None)
                done_s += chunk.ms / 1000
            marks.stamp(f"seg[{segment.id}].tts_end")


def tone(ms: float, rate: int, *, hz: float = 440.0, dbfs: float = -14.0) -> Audio:
    """A sine of RMS `dbfs`: what the scripted VAD takes for speech."""
    peak = 10 ** (dbfs / 20) * math.sqrt(2)
    times = np.arange(round(ms * rate / 1000), dtype=np.float32) / rate
    return Audio.from_float((peak * np.sin(2 * np.pi * hz * times)).astype(np.float32), rate)


def hum(text: str, rate: int, speed: float = 1.0) -> Audio:
    """A tone as long as `text` would take to speak."""
    return tone(len(text) / CHARS_PER_SECOND / speed * 1000, rate)
