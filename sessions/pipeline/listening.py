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

from agents.audio import Audio, join
from agents.errors import ClientError, ProviderError, ProviderTimeout
from agents.interfaces import NO_HINTS, STT, VAD, EndOfTurn, Hints, Transcript, VADStream
from agents.spec import TurnDetection
from sessions.pipeline.audio_pipe import AudioPipe
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.findings import (
    BufferCleared,
    CommitRefused,
    Heard,
    NotTranscribed,
    Partial,
    SpeechDismissed,
    SpeechSuspected,
    Transcribed,
    UserCommitted,
    UserResumed,
    UserStarted,
)
from sessions.pipeline.intake import Intake
from sessions.pipeline.loudness import ROOM_MS, Silence
from sessions.pipeline.messages import AppendAudio, AudioCommand, ClearAudio, CommitAudio
from sessions.pipeline.turn_taking import (
    MIN_SPEECH_MS,
    Began,
    Doubted,
    Ended,
    FalseStart,
    Forgotten,
    Lull,
    Onset,
    Paused,
    Resumed,
    Spared,
    Stirred,
    TurnSignal,
    TurnTaker,
)
from sessions.pipeline.utterance import RATE, Arrivals, Tail, Utterance
from telemetry import counters, names
from telemetry.trace import TurnMarks

WINDOW = 512
"""Samples that the VAD judges at a time."""
MIN_COMMIT_MS = 100
TRANSCRIPTIONS = 4
"""Of one session at once: commits that follow each other faster than words come wait for theirs."""


@dataclass(frozen=True, slots=True)
class Ears:
    """What listening needs of an agent. `detect` runs a VAD push of at most `intake.SLICE_MS`.

    `asks_early`: the STT may be asked at the first sign of a pause, since asking in vain costs little. `language` is
    that of the words, unless the client says so.
    """

    vad: VAD
    stt: STT
    end_of_turn: EndOfTurn | None
    detect: Callable[[VADStream, Audio], Awaitable[list[tuple[int, float]]]]
    asks_early: bool = False
    language: str = "en"


class Listening:
    """The listening half. `post` takes what it finds; `run` does the work.

    `unhurried` says that nobody waits for an answer: then words that a streaming STT has settled may be promised
    while the user speaks, and such an utterance is not transcribed ahead of time at its pauses.
    """

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
        unhurried: Callable[[], bool],
        hints: Hints = NO_HINTS,
    ) -> None:
        self._agent_speaking = agent_speaking
        self._unhurried = unhurried
        self._hints = hints
        self._ears = ears
        self._bounds = bounds
        self._post = post
        self._clock = clock
        self._new_item_id = new_item_id
        self._taker = TurnTaker(detection, lulls=ears.asks_early, language=hints.language or ears.language)
        self._pipe = AudioPipe(bounds.audio_in_bytes)
        self._tail = Tail(detection.prefix_padding_ms + ROOM_MS)
        self._arrivals = Arrivals()
        self._intake = Intake(self._pipe, self._arrivals)
        self._silence = Silence(self._tail)
        self._vad: VADStream | None = None
        self._utterance: Utterance | None = None
        self._taken = 0
        self._withheld: Transcribed | NotTranscribed | None = None
        self._places = asyncio.Semaphore(TRANSCRIPTIONS)
        self._hearing: asyncio.Task[None] | None = None
        self._judging: asyncio.Task[None] | None = None

    # --- from the session ---

    def has_room(self, command: AudioCommand) -> bool:
        """Whether `put` would not wait."""
        return self._pipe.has_room(command)

    async def put(self, command: AudioCommand) -> None:
        """Queue audio, a commit or a clear; waits while the pipe is full."""
        await self._pipe.put(command, self._clock())

    def configure(self, detection: TurnDetection, hints: Hints) -> None:
        """Speech under way goes on under the new settings; without turn detection the client is to commit it."""
        self._hints, self._taker.language = hints, hints.language or self._ears.language
        by_hand, self._taker.detection = self._taker.detection.type == "none", detection
        self._tail.resize(detection.prefix_padding_ms + ROOM_MS)
        if detection.type == "none" and not by_hand:
            self._leave_to_client()
        elif by_hand and detection.type != "none":
            self._drop()

    @property
    def heard_ms(self) -> int:
        """Audio heard so far, as the client counts it."""
        return self._tail.end_sample * 1000 // RATE

    @property
    def in_turn(self) -> bool:
        return self._taker.in_turn

    @property
    def item_id(self) -> str | None:
        """Of the utterance that is open."""
        return None if self._utterance is None else self._utterance.item_id

    async def run(self) -> None:
        """Listen until cancelled. There is no listening without a VAD: its ProviderError leaves as it is."""
        async with asyncio.TaskGroup() as self._group:
            while True:
                command, at = await self._pipe.get()
                match command:
                    case AppendAudio():
                        await self._append(command, at)
                    case CommitAudio():
                        self._commit_by_hand(command.event_id)
                        await asyncio.sleep(0)
                    case ClearAudio():
                        self._drop()
                        self._taker.reset()
                        self._post(BufferCleared())
                        await asyncio.sleep(0)

    # --- audio ---

    async def _append(self, command: AppendAudio, at: float) -> None:
        """Hear what was appended, and after it what waits. After each step all other sessions have their turn."""
        for n, block in enumerate(self._intake.blocks(command, at)):
            if n:
                await asyncio.sleep(0)
            await self._hear(block)

    async def _hear(self, block: list[Audio]) -> None:
        """Ask the VAD about the steps of a block at once, and take them in one after the other."""
        if self._vad is None:
            self._vad = self._ears.vad.open()
        windows = deque(await self._ears.detect(self._vad, join(block, RATE)))
        for step in block:
            self._tail.append(step)
            judged: list[tuple[int, float]] = []
            while windows and windows[0][0] <= self._tail.end_sample:
                judged.append(windows.popleft())
            self._take_in(step, judged)

    def _take_in(self, audio: Audio, windows: list[tuple[int, float]]) -> None:
        if self._utterance is not None:
            self._utterance.append(audio)
        if self._taker.detection.type == "none":
            self._hear_by_hand(audio, windows)
            return
        self._taker.agent_speaking = self._agent_speaking()
        for end_sample, probability in windows:
            self._obey(self._taker.feed(end_sample, probability))
            self._look_for_the_end(end_sample)
        self._look_for_the_end(self._tail.end_sample)
        if self._utterance is not None and self._utterance.ms > self._bounds.utterance_ms:
            self._stop_at_the_bound(self._utterance)

    def _stop_at_the_bound(self, utterance: Utterance) -> None:
        if self._taker.undecided:
            self._drop()
            self._taker.reset()
        else:
            self._commit_here(utterance, stopped=True)

    def _look_for_the_end(self, end_sample: int) -> None:
        """Let the turn lull, pause or end, by all that is in up to `end_sample`."""
        if self._taker.falling_silent:
            self._obey(self._taker.listen(end_sample, self._silence.since(end_sample)))
        elif self._taker.fading:
            self._obey(self._taker.fade(end_sample, self._silence.since(end_sample)))
        else:
            self._silence.broken()

    def _hear_by_hand(self, audio: Audio, windows: list[tuple[int, float]]) -> None:
        utterance = self._utterance
        if utterance is None:
            utterance = self._open_utterance(self._tail.end_sample - audio.samples)
            utterance.append(audio)
        threshold = self._taker.detection.threshold
        for end_sample, probability in windows:
            self._taker.skip(end_sample)
            if probability >= threshold:
                utterance.marks.stamp("user_speech_start", self._arrivals.time_of(end_sample - WINDOW))
                self._spoke(utterance, end_sample, utterance.speech_ms + WINDOW * 1000 / RATE)
        if utterance.ms > self._bounds.utterance_ms:
            counters.count(names.QUEUE_DROPPED, pipe="utterance")
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

    def _obey(self, signals: list[TurnSignal]) -> None:
        for signal in signals:
            self._on_signal(signal)

    def _on_signal(self, signal: TurnSignal) -> None:
        match signal:
            case Onset():
                self._post(SpeechSuspected())
            case FalseStart():
                self._post(SpeechDismissed())
            case Doubted(sample):
                self._doubt(sample)
            case Spared(backchannel):
                self._post(SpeechDismissed(backchannel=backchannel))
            case Forgotten():
                self._drop()
            case Began(sample):
                self._begin(sample)
            case Lull(sample):
                self._ask_early(sample)
            case Stirred():
                self._go_on()
            case Paused(sample):
                self._pause(sample)
            case Resumed():
                self._resume()
            case Ended():
                self._end(signal)

    def _end(self, ended: Ended) -> None:
        utterance = self._utterance
        if utterance is not None:
            utterance.marks.fact("turn_ended_by", ended.why)
            utterance.marks.fact("turn_wait_ms", round(self._taker.silence_ms))
            self._spoke(utterance, ended.sample, ended.speech_ms)
            self._commit(utterance, stopped=True)

    def _open_utterance(self, start_sample: int) -> Utterance:
        marks = TurnMarks(self._clock)
        marks.stamp("turn_open", self._arrivals.time_of(start_sample))
        self._utterance = Utterance(self._new_item_id(), start_sample, marks)
        self._listen_to(self._utterance)
        return self._utterance

    def _begin(self, sample: int) -> None:
        """A turn, which may have been heard in doubt, or been spared, before it was one."""
        utterance = self._doubt(sample)
        self._post(
            UserStarted(utterance, utterance.start_sample * 1000 // RATE, self._arrivals.time_of(self._taker.onset))
        )
        self._give_words()
        if self._taker.paused:
            self._begin_judging(utterance)

    def _doubt(self, sample: int) -> Utterance:
        """The utterance that begins at `sample`, from its start; it goes on if it has begun."""
        utterance = self._utterance
        if utterance is not None:
            if utterance.complete and not self._taker.falling_silent:
                self._hear_again(utterance)
            return utterance
        utterance = self._open_utterance(sample)
        utterance.marks.stamp("user_speech_start", self._arrivals.time_of(sample))
        utterance.start_sample = max(self._taken, sample - self._taker.detection.prefix_padding_ms * RATE // 1000)
        utterance.append(self._tail.since(utterance.start_sample))
        self._silence.learn_room(self._taken, sample)
        return utterance

    def _ask_early(self, sample: int) -> None:
        utterance = self._utterance
        if utterance is not None and not self._unhurried():
            self._spoke(utterance, sample, self._taker.speech_ms)
            utterance.close()

    def _pause(self, sample: int) -> None:
        utterance = self._utterance
        if utterance is None:
            return
        self._spoke(utterance, sample, self._taker.speech_ms)
        if self._taker.detection.type == "semantic_vad":
            utterance.marks.move("vad_stop")
        if not utterance.promised:
            utterance.close()
        if not self._taker.undecided:
            self._begin_judging(utterance)
        elif utterance.speech_ms < MIN_SPEECH_MS:
            self._obey(self._taker.words(""))

    def _resume(self) -> None:
        if self._utterance is not None:
            self._utterance.marks.add("resume_count", 1)
            self._utterance.marks.at.pop("vad_stop", None)
            self._go_on()

    def _go_on(self) -> None:
        utterance = self._utterance
        if utterance is None:
            return
        if utterance.complete or (self._hearing is not None and self._hearing.done()):
            self._hear_again(utterance)
        else:
            self._stop_judging()
        if not self._taker.undecided:
            self._post(UserResumed(utterance))

    def _hear_again(self, utterance: Utterance) -> None:
        """Transcribe the longer utterance from its start; what was heard of the shorter one is void."""
        self._stop_hearing()
        self._withheld = None
        utterance.reopen()
        for mark in ("stt_final", "stt_first_partial", "vad_stop"):
            utterance.marks.at.pop(mark, None)
        self._listen_to(utterance)

    def _spoke(self, utterance: Utterance, end_sample: int, speech_ms: float) -> None:
        """Speech up to `end_sample`, `speech_ms` of it in all. The last window's end may have come much later."""
        utterance.speech_end, utterance.speech_ms = end_sample, speech_ms
        utterance.client_end = self._arrivals.client_sample(end_sample, WINDOW)
        begun = self._arrivals.time_of(end_sample - WINDOW)
        utterance.marks.move("user_speech_end", min(begun + WINDOW / RATE, self._arrivals.time_of(end_sample)))

    def _leave_to_client(self) -> None:
        utterance = self._utterance
        if utterance is not None:
            self._spoke(utterance, self._taker.last_speech, self._taker.speech_ms)
            if utterance.complete:
                self._resume()
        self._taker.reset()

    def _commit_here(self, utterance: Utterance, *, stopped: bool) -> None:
        """End the turn with all that was heard, in the middle of speech if need be."""
        if self._taker.in_turn:
            self._spoke(utterance, self._taker.last_speech, self._taker.speech_ms)
        self._taker.reset()
        self._commit(utterance, stopped=stopped)
        self._taken = self._tail.end_sample

    def _commit(self, utterance: Utterance, *, stopped: bool) -> None:
        if utterance.speech_end is None:
            self._spoke(utterance, self._tail.end_sample, 0)
        end = utterance.speech_end or 0
        self._utterance, self._taken = None, end
        utterance.marks.fact("speech_ms", round(utterance.speech_ms))
        utterance.marks.stamp("vad_stop")
        utterance.marks.stamp("eot_decided")
        utterance.close()
        hearing, self._hearing = self._hearing, None
        self._stop_hearing()
        if self._withheld is not None:
            self._give_words()
        elif utterance.speech_ms < MIN_SPEECH_MS and not utterance.promised:
            self._deliver_empty(utterance, hearing)
        elif hearing is not None and not hearing.done():
            self._spawn(self._await_words(hearing, utterance))
        self._post(UserCommitted(utterance, end * 1000 // RATE if stopped else None))

    def _commit_by_hand(self, event_id: str | None) -> None:
        utterance = self._utterance
        if utterance is None or utterance.ms < MIN_COMMIT_MS:
            ms = utterance.ms if utterance else 0
            error = ClientError(
                f"Error committing input audio buffer: buffer too small. Expected at least {MIN_COMMIT_MS}ms of audio, "
                f"but buffer only has {ms:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
            self._post(CommitRefused(error, event_id, asked=True))
            return
        self._commit_here(utterance, stopped=False)

    def _drop(self) -> None:
        self._stop_hearing()
        self._withheld = None
        self._utterance, self._taken = None, self._tail.end_sample

    # --- words ---

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        return self._group.create_task(work)

    def _listen_to(self, utterance: Utterance) -> None:
        self._hearing = self._spawn(self._transcribe(utterance, utterance.version))

    def _stop_hearing(self) -> None:
        if self._hearing is not None:
            self._hearing.cancel()
        self._hearing = None
        self._stop_judging()

    def _stop_judging(self) -> None:
        if self._judging is not None:
            self._judging.cancel()
        self._judging = None

    async def _transcribe(self, utterance: Utterance, version: int) -> None:
        async with self._places:
            await self._take_down(utterance, version)

    async def _take_down(self, utterance: Utterance, version: int) -> None:
        try:
            stream = self._ears.stt.transcribe(utterance.stream(), utterance.marks, self._hints)
            async with aclosing(stream) as transcripts:
                async for transcript in transcripts:
                    if version != utterance.version:
                        return
                    if transcript.final:
                        self._deliver(Transcribed(utterance, transcript), transcript.text)
                        return
                    self._show(utterance, transcript)
            raise ProviderError("The speech model ended without a transcript.", provider="stt")
        except ProviderError as error:
            if version == utterance.version:
                self._deliver(NotTranscribed(utterance, error), "")

    def _give_words(self) -> None:
        if self._withheld is not None:
            self._post(self._withheld)
        self._withheld = None

    def _deliver(self, heard: Transcribed | NotTranscribed, text: str) -> None:
        """Words go to the session if they are a turn's, and to the turn taker while it has not ended."""
        if heard.utterance is not self._utterance:
            self._post(heard)
            return
        if self._taker.undecided:
            self._withheld = heard
        else:
            self._post(heard)
        self._obey(self._taker.words(text))

    def _show(self, utterance: Utterance, partial: Transcript) -> None:
        """Post a caption, unless it is shorter than the last: another transcription has begun and is catching up."""
        if utterance is self._utterance and self._taker.undecided:
            self._obey(self._taker.words(partial.text, final=False))
            return
        settled = partial.settled if self._stands(utterance) else 0
        if settled or len(partial.text) >= utterance.shown:
            utterance.shown = len(partial.text)
            utterance.promised = utterance.promised or settled > 0
            self._post(Partial(utterance, partial.text, settled))

    def _stands(self, utterance: Utterance) -> bool:
        """Whether what is settled in this transcription is so for good: the user's going on will not void it."""
        return utterance is not self._utterance or (self._unhurried() and not utterance.complete)

    async def _await_words(self, hearing: asyncio.Task[None], utterance: Utterance) -> None:
        """The watchdog of last resort over a committed turn: providers have shorter ones of their own."""
        await asyncio.wait([hearing], timeout=self._bounds.reply_stall_s)
        if not hearing.done():
            hearing.cancel()
            counters.count(names.PROVIDER_STALLS, stage="stt")
            self._post(NotTranscribed(utterance, ProviderTimeout("No transcript came in time.", provider="stt")))

    def _deliver_empty(self, utterance: Utterance, hearing: asyncio.Task[None] | None) -> None:
        if hearing is not None:
            hearing.cancel()
        utterance.marks.stamp("stt_final")
        self._post(Transcribed(utterance, Transcript("", final=True, rejected="too_short")))

    def _begin_judging(self, utterance: Utterance) -> None:
        if self._taker.detection.type == "semantic_vad" and self._ears.end_of_turn is not None:
            self._judging = self._spawn(self._judge(self._ears.end_of_turn, utterance, utterance.version))

    async def _judge(self, model: EndOfTurn, utterance: Utterance, version: int) -> None:
        try:
            probability = await model.probability(utterance.audio())
        except ProviderError:
            return  # the silence timeout of the TurnTaker decides
        if version == utterance.version and self._utterance is utterance:
            self._judging = None
            utterance.marks.fact("eot_probability", round(probability, 3))
            self._obey(self._taker.judge(probability))
