"""A few words at once, when the answer takes longer: made beforehand, and spoken only if they are needed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from agents.audio import Audio
from agents.interfaces import TTS, VoiceOptions
from agents.spec import AgentSpec
from sessions.pipeline.phrasebook import Phrasebook, Voice
from telemetry import counters, names
from telemetry.trace import TurnMarks


@dataclass(frozen=True, slots=True)
class Clip:
    """`text` as it stands before the answer, and what it sounds like."""

    text: str
    audio: Audio


class Acknowledger:
    """One session's acknowledgements, of which its replies take turns."""

    def __init__(self, spec: AgentSpec, tts: TTS, book: Phrasebook) -> None:
        self._spec = spec
        self._tts = tts
        self._book = book
        self._count = 0

    @property
    def silent(self) -> bool:
        """Whether there is never anything to say."""
        return not self._spec.acknowledgement.phrases

    def prepare(self, group: asyncio.TaskGroup, voice: VoiceOptions) -> None:
        """Have the phrases voiced in `group`, if there are any that are not."""
        if phrases := self._spec.acknowledgement.phrases:
            group.create_task(self._book.make(self._tts, Voice(self._spec.tts, voice), phrases), name="phrases")

    def wait_s(self, marks: TurnMarks) -> float | None:
        """How long the answer of this turn is waited for, from now; None if it is not to be acknowledged.

        Only what the user said is. It counts from the decision that they had finished.
        """
        decided = marks.at.get(names.EOT_DECIDED)
        if decided is None or self.silent:
            return None
        return max(0.0, decided + self._spec.acknowledgement.after_ms / 1000 - marks.clock())

    def take(self, voice: VoiceOptions) -> Clip | None:
        """The next phrase, if it has been voiced."""
        phrases = self._spec.acknowledgement.phrases
        text = phrases[self._count % len(phrases)]
        audio = self._book.find(Voice(self._spec.tts, voice), text)
        counters.count(names.INTERJECTIONS, kind="missing" if audio is None else "acknowledgement")
        if audio is None:
            return None
        self._count += 1
        return Clip(f"{text.strip()} ", audio)
