"""Audio in, turns and transcripts out: the half of a session that listens.

One loop takes audio and what must keep its place among it from one pipe, asks the VAD, lets the
TurnTaker judge, and keeps the audio of the turn. Transcription and the end-of-turn model run beside it,
from the moment speech pauses; if the user goes on they are cancelled and asked again at the next pause.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass

from agents.audio import Audio, Resampler
from agents.errors import ClientError, ProviderError
from agents.interfaces import STT, VAD, EndOfTurn, Transcript, VADStream
from agents.spec import TurnDetection
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.messages import AppendAudio, AudioCommand, ClearAudio, CommitAudio
from sessions.pipeline.turn_taking import Began, Ended, FalseStart, Onset, Paused, Resumed, TurnSignal, TurnTaker
from sessions.pipeline.utterance import RATE, Arrivals, Tail, Utterance
from telemetry.trace import TurnMarks

SLICE_MS = 100
"""Audio that arrives faster than real time is looked at in steps of this, so that turns inside it are seen."""
MIN_SPEECH_MS = 200
"""Less speech than this is not worth words: Whisper invents text from noise."""
MIN_COMMIT_MS = 100
TAIL_MS = 500
"""Kept beyond the prefix padding: a start is decided up to this long after its first sample."""
CHUNK_COST = 128
"""Bytes that a queued piece counts for beside its audio, so that tiny pieces are bounded too."""


# --- what listening tells the session ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpeechSuspected:
    pass


@dataclass(frozen=True, slots=True)
class SpeechDismissed:
    pass


@dataclass(frozen=True, slots=True)
class UserStarted:
    utterance: Utterance
    start_ms: int


@dataclass(frozen=True, slots=True)
class UserResumed:
    utterance: Utterance


@dataclass(frozen=True, slots=True)
class UserCommitted:
    """The turn is an item now. `stopped_ms` is None when the client committed it by hand."""

    utterance: Utterance
    stopped_ms: int | None
    user_end_sample: int | None


@dataclass(frozen=True, slots=True)
class CommitRefused:
    """Audio was refused. `asked` says that a client's commit was, and is done with."""

    error: ClientError
    event_id: str | None
    asked: bool


@dataclass(frozen=True, slots=True)
class BufferCleared:
    pass


@dataclass(frozen=True, slots=True)
class Partial:
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Transcribed:
    utterance: Utterance
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class NotTranscribed:
    utterance: Utterance
    error: ProviderError


Heard = (
    SpeechSuspected
    | SpeechDismissed
    | UserStarted
    | UserResumed
    | UserCommitted
    | CommitRefused
    | BufferCleared
    | Partial
    | Transcribed
    | NotTranscribed
)


@dataclass(frozen=True, slots=True)
class Ears:
    """What listening needs of an agent. `detect` runs a VAD push where it blocks nobody."""

    vad: VAD
    stt: STT
    end_of_turn: EndOfTurn | None
    detect: Callable[[VADStream, Audio], Awaitable[list[tuple[int, float]]]]


class Listening:
    """The listening half. `post` takes what it finds; `run` does the work."""

    _group: asyncio.TaskGroup

    def __init__(
        self,
        ears: Ears,
        detection: TurnDetection,
        bounds: Bounds,
        *,
        post: Callable[[Heard], None],
        clock: Callable[[], float],
        new_item_id: Callable[[], str],
        agent_speaking: Callable[[], bool],
    ) -> None:
        self._agent_speaking = agent_speaking
        self._ears = ears
        self._bounds = bounds
        self._post = post
        self._clock = clock
        self._new_item_id = new_item_id
        self._taker = TurnTaker(detection)
        self._pipe = _AudioPipe(bounds.audio_in_bytes)
        self._vad: VADStream | None = None
        self._resampler: Resampler | None = None
        self._tail = Tail(detection.prefix_padding_ms + TAIL_MS)
        self._arrivals = Arrivals()
        self._utterance: Utterance | None = None
        self._speech_samples = 0
        self._client_offset: int | None = None
        self._client_rate = 24_000
        self._hearing: asyncio.Task[None] | None = None
        self._judging: asyncio.Task[None] | None = None

    # --- from the session ---

    async def put(self, command: AudioCommand) -> None:
        """Queue audio, a commit or a clear; waits while the pipe is full."""
        await self._pipe.put(command, self._clock())

    def configure(self, detection: TurnDetection) -> None:
        if detection != self._taker.detection:
            self._taker = TurnTaker(detection)
            self._tail.resize(detection.prefix_padding_ms + TAIL_MS)
            self._drop()

    @property
    def in_turn(self) -> bool:
        return self._taker.in_turn

    async def run(self) -> None:
        """Listen until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            while True:
                command, at = await self._pipe.get()
                match command:
                    case AppendAudio():
                        await self._append(command, at)
                    case CommitAudio():
                        self._commit_by_hand(command.event_id)
                    case ClearAudio():
                        self._drop()
                        self._taker.reset()
                        self._post(BufferCleared())

    # --- audio ---

    async def _append(self, command: AppendAudio, at: float) -> None:
        if self._resampler is None or self._resampler.source != command.audio.rate:
            self._resampler = Resampler(command.audio.rate, RATE)
            self._client_offset = None
        self._client_rate = command.audio.rate
        if command.start_sample is not None:
            self._client_offset = command.start_sample - self._tail.end_sample * self._client_rate // RATE
        end_ms = command.audio.ms
        for piece in command.audio.split(SLICE_MS):
            end_ms -= piece.ms
            heard = self._resampler.push(piece)
            self._arrivals.note(self._tail.end_sample + heard.samples, at - end_ms / 1000)
            await self._hear(heard)

    async def _hear(self, audio: Audio) -> None:
        if self._vad is None:
            self._vad = self._ears.vad.open()
        windows = await self._ears.detect(self._vad, audio)
        self._tail.append(audio)
        if self._utterance is not None:
            self._utterance.append(audio)
        if self._taker.detection.type == "none":
            self._hear_by_hand(audio, windows)
            return
        self._taker.agent_speaking = self._agent_speaking()
        for end_sample, probability in windows:
            for signal in self._taker.feed(end_sample, probability):
                self._on_signal(signal)
        if self._utterance is not None and self._utterance.ms > self._bounds.utterance_ms:
            self._taker.reset()
            self._commit(self._tail.end_sample, stopped=True)

    def _hear_by_hand(self, audio: Audio, windows: list[tuple[int, float]]) -> None:
        utterance = self._utterance
        if utterance is None:
            utterance = self._open_utterance(self._tail.end_sample - audio.samples)
            utterance.append(audio)
        threshold = self._taker.detection.threshold
        for end_sample, probability in windows:
            if probability >= threshold:
                self._speech_samples += 512
                utterance.marks.move("user_speech_end", self._arrivals.time_of(end_sample))
        if utterance.ms > self._bounds.utterance_ms:
            self._drop()
            self._post(
                CommitRefused(
                    ClientError(
                        f"More than {self._bounds.utterance_ms // 1000} s of audio without a commit; the buffer was "
                        "cleared. Commit more often, or turn on turn detection.",
                        code="input_audio_buffer_full",
                    ),
                    None,
                    asked=False,
                )
            )

    # --- turns ---

    def _on_signal(self, signal: TurnSignal) -> None:
        match signal:
            case Onset():
                self._post(SpeechSuspected())
            case FalseStart():
                self._post(SpeechDismissed())
            case Began(sample):
                self._begin(sample)
            case Paused(sample):
                self._pause(sample)
            case Resumed():
                self._resume()
            case Ended(sample, speech_ms):
                self._speech_samples = round(speech_ms * RATE / 1000)
                self._commit(sample, stopped=True)

    def _open_utterance(self, start_sample: int) -> Utterance:
        marks = TurnMarks(self._clock)
        marks.stamp("turn_open", self._arrivals.time_of(start_sample))
        self._speech_samples = 0
        self._utterance = Utterance(self._new_item_id(), start_sample, marks)
        self._listen_to(self._utterance)
        return self._utterance

    def _begin(self, sample: int) -> None:
        start = max(0, sample - self._taker.detection.prefix_padding_ms * RATE // 1000)
        utterance = self._open_utterance(sample)
        utterance.marks.stamp("user_speech_start", self._arrivals.time_of(sample))
        utterance.start_sample = start
        utterance.append(self._tail.since(start))
        self._post(UserStarted(utterance, start * 1000 // RATE))

    def _pause(self, sample: int) -> None:
        utterance = self._utterance
        if utterance is None:
            return
        utterance.marks.move("user_speech_end", self._arrivals.time_of(sample))
        utterance.close()
        if self._taker.detection.type == "semantic_vad" and self._ears.end_of_turn is not None:
            self._judging = self._spawn(self._judge(self._ears.end_of_turn, utterance, utterance.version))

    def _resume(self) -> None:
        utterance = self._utterance
        if utterance is None:
            return
        self._stop_hearing()
        utterance.reopen()
        for mark in ("stt_final", "stt_first_partial", "user_speech_end", "vad_stop"):
            utterance.marks.at.pop(mark, None)
        utterance.marks.add("resume_count", 1)
        self._listen_to(utterance)
        self._post(UserResumed(utterance))

    def _commit(self, end_sample: int, *, stopped: bool) -> None:
        utterance, self._utterance = self._utterance, None
        if utterance is None:
            return
        utterance.marks.fact("speech_ms", round(self._speech_samples * 1000 / RATE))
        utterance.marks.stamp("user_speech_end", self._arrivals.time_of(end_sample))
        utterance.marks.stamp("vad_stop")
        utterance.marks.stamp("eot_decided")
        utterance.close()
        if self._speech_samples * 1000 < MIN_SPEECH_MS * RATE:
            self._stop_hearing()
            self._deliver_empty(utterance)
        self._hearing = self._judging = None
        user_end = None
        if self._client_offset is not None:
            user_end = self._client_offset + end_sample * self._client_rate // RATE
        stopped_ms = end_sample * 1000 // RATE if stopped else None
        self._post(UserCommitted(utterance, stopped_ms, user_end))

    def _commit_by_hand(self, event_id: str | None) -> None:
        if self._utterance is None or self._utterance.ms < MIN_COMMIT_MS:
            ms = self._utterance.ms if self._utterance else 0
            error = ClientError(
                f"Error committing input audio buffer: buffer too small. Expected at least {MIN_COMMIT_MS}ms of audio, "
                f"but buffer only has {ms:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
            self._post(CommitRefused(error, event_id, asked=True))
            return
        if self._taker.in_turn:
            self._speech_samples = round(self._taker.speech_ms * RATE / 1000)
        self._taker.reset()
        self._commit(self._tail.end_sample, stopped=False)

    def _drop(self) -> None:
        self._stop_hearing()
        self._utterance = None

    # --- words ---

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        return self._group.create_task(work)

    def _listen_to(self, utterance: Utterance) -> None:
        self._hearing = self._spawn(self._transcribe(utterance, utterance.version))

    def _stop_hearing(self) -> None:
        for task in (self._hearing, self._judging):
            if task is not None:
                task.cancel()
        self._hearing = self._judging = None

    async def _transcribe(self, utterance: Utterance, version: int) -> None:
        try:
            async with aclosing(self._ears.stt.transcribe(utterance.stream(), utterance.marks)) as transcripts:
                async for transcript in transcripts:
                    if version != utterance.version:
                        return
                    if transcript.final:
                        self._post(Transcribed(utterance, transcript))
                    else:
                        self._post(Partial(utterance.item_id, transcript.text))
        except ProviderError as error:
            self._post(NotTranscribed(utterance, error))

    def _deliver_empty(self, utterance: Utterance) -> None:
        utterance.marks.stamp("stt_final")
        self._post(Transcribed(utterance, Transcript("", final=True, rejected="too_short")))

    async def _judge(self, model: EndOfTurn, utterance: Utterance, version: int) -> None:
        try:
            probability = await model.probability(utterance.audio())
        except ProviderError:
            return  # the silence timeout of the TurnTaker decides
        if version == utterance.version and self._utterance is utterance:
            utterance.marks.fact("eot_probability", round(probability, 3))
            for signal in self._taker.judge(probability):
                self._on_signal(signal)


class _AudioPipe:
    """Audio and its commits in arrival order, bounded by bytes. Writers wait; nothing is dropped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._items: deque[tuple[AudioCommand, float, int]] = deque(maxlen=limit // CHUNK_COST + 64)
        self._ready = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, command: AudioCommand, at: float) -> None:
        cost = CHUNK_COST + (len(command.audio.pcm) if isinstance(command, AppendAudio) else 0)
        while self._bytes and self._bytes + cost > self._limit:
            self._room.clear()
            await self._room.wait()
        self._bytes += cost
        self._items.append((command, at, cost))
        self._ready.set()

    async def get(self) -> tuple[AudioCommand, float]:
        while not self._items:
            self._ready.clear()
            await self._ready.wait()
        command, at, cost = self._items.popleft()
        self._bytes -= cost
        self._room.set()
        return command, at
