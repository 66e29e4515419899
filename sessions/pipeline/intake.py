"""Audio as a client appends it, made into audio as it is listened to: 16 kHz, in steps."""

from __future__ import annotations

from collections.abc import Iterator

from agents.audio import Audio, Resampler
from agents.resampling import PromptResampler, prompt_resampler
from sessions.pipeline.audio_pipe import AudioPipe
from sessions.pipeline.messages import AppendAudio
from sessions.pipeline.utterance import RATE, Arrivals

SLICE_MS = 100
"""Audio that arrives faster than real time is looked at in steps of this, so that turns inside it are seen."""


class Intake:
    """Resamples what comes out of the pipe, and notes when each sample came. A new rate may begin at any append."""

    def __init__(self, pipe: AudioPipe, arrivals: Arrivals) -> None:
        self._pipe = pipe
        self._arrivals = arrivals
        self._resampler: Resampler | PromptResampler | None = None
        self._given = 0
        self._received = 0
        self._received_from = 0

    def blocks(self, command: AppendAudio, at: float) -> Iterator[list[Audio]]:
        """What was appended `at` that moment (seconds), and what has been appended after it at the same rate by now.

        Small pieces that wait come together, up to a step of them: to judge them at once costs less.
        """
        rate, block, block_ms = command.audio.rate, list[Audio](), 0.0
        if self._resampler is None or self._resampler.source != rate:
            self._resampler = prompt_resampler(rate, RATE)
            self._received, self._received_from = 0, self._given
        appended: tuple[AppendAudio, float] | None = (command, at)
        while appended is not None:
            for step in self._steps(self._resampler, *appended):
                if block and block_ms + step.ms > SLICE_MS:
                    yield block
                    block, block_ms = [], 0.0
                block.append(step)
                block_ms += step.ms
            appended = self._pipe.more_audio(rate)
        if block:
            yield block

    def _steps(self, resampler: Resampler | PromptResampler, command: AppendAudio, at: float) -> Iterator[Audio]:
        rate, left = command.audio.rate, command.audio.samples
        for piece in command.audio.split(SLICE_MS):
            left -= piece.samples
            self._received += piece.samples
            client_end = None
            if command.start_sample is not None:
                client_end = command.start_sample + command.audio.samples - left
            end_sample = self._received_from + self._received * RATE // rate
            self._arrivals.note(end_sample, at - left / rate, rate=rate, client_end=client_end)
            step = resampler.push(piece)
            self._given += step.samples
            yield step
