"""When a turn begins and ends. No I/O and no clock: time is the sample count of the user's audio."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto

from agents.spec import TurnDetection

RATE = 16_000
SAMPLES = RATE // 1000
"""In a millisecond."""
HYSTERESIS = 0.15
"""Speech goes on while the probability stays above threshold minus this, as in Silero's own iterator."""
START_MS = 96
"""Three 32 ms windows of speech begin a turn: one more than a click fills."""
INTERRUPT_MS = 128
"""Four windows of speech over the agent interrupt it: a click, or the onset of a cough, does not."""
PAUSE_MS = 192
"""After six windows of silence the words so far are worth transcribing."""
MIN_SPEECH_MS = 200
"""Less speech than this is not worth words: Whisper invents text from noise."""
LULLS_MS = (32, 64, 96, 128)
"""How long the voice must have dipped for the first lull, the second, and so on, so that the gaps inside of words do
not each cost a transcription. After as many in a row there is none for a while."""
LULL_FORGOTTEN_MS = 3_000
"""Audio after which one lull in vain is forgotten."""
FALSE_START_MS = 64
"""Silence after which a start that was not yet decided is forgotten."""
HANGOVER_MS = 64
"""A VAD goes on hearing speech for up to two windows after its last sound."""
RELEASE_MS = 128
"""What is loud so soon after a VAD has stopped hearing speech belongs to it: the t of "locked", a last s."""
LOUD_MS = 64
PROOF_MS = 192
"""Sound in the last LOUD_MS may be speech again: an s or an f is recognised up to this much later."""
JUDGED_DONE = 0.5
"""End-of-turn probability above which the turn is over at once."""
PATIENCE_MS = {"low": 2400, "medium": 1200, "auto": 1200, "high": 700}
"""How long `semantic_vad` waits when the sentence seems unfinished."""


@dataclass(frozen=True, slots=True)
class Onset:
    """Perhaps speech, from `sample` on: hold what is being said, and judge."""

    sample: int


@dataclass(frozen=True, slots=True)
class FalseStart:
    """It was nothing: go on."""


@dataclass(frozen=True, slots=True)
class Began:
    """The user speaks, since `sample`."""

    sample: int


@dataclass(frozen=True, slots=True)
class Lull:
    """The voice has dipped at `sample`: the words so far may be all, and are worth asking for if that costs little."""

    sample: int


@dataclass(frozen=True, slots=True)
class Stirred:
    """Speech again after a lull, before it was a pause."""


@dataclass(frozen=True, slots=True)
class Paused:
    """Silence since `sample`: perhaps the end."""

    sample: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """Speech again before the turn had ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The turn is over; its last speech was at `sample`, and it held `speech_ms` of speech."""

    sample: int
    speech_ms: float


TurnSignal = Onset | FalseStart | Began | Lull | Stirred | Paused | Resumed | Ended


class _State(Enum):
    QUIET = auto()
    ONSET = auto()
    SPEAKING = auto()
    PAUSED = auto()


class TurnTaker:
    """Turns speech probabilities into turns. One user, one stream.

    `agent_speaking` is set by whoever knows; it raises the bar for a start, since a false one then costs
    an interruption. `last_speech` is the sample at which the turn under way was last heard to speak. Without
    `lulls` the first that is heard of a silence is the pause.
    """

    def __init__(self, detection: TurnDetection, *, lulls: bool = False) -> None:
        self.detection = detection
        self._lulls = lulls
        self.agent_speaking = False
        self._judged_to = 0
        self._heard_to = 0
        self.reset()

    def reset(self) -> None:
        """Forget a turn under way. The sample clock runs on."""
        self._state = _State.QUIET
        self._onset = 0
        self._speech = 0
        self._last_window = 0
        self.last_speech = 0
        self._loud = False
        self._judged: float | None = None
        self._dip = 0
        self._in_lull = False
        self._in_vain = 0.0

    @property
    def in_turn(self) -> bool:
        return self._state in (_State.SPEAKING, _State.PAUSED)

    @property
    def speech_ms(self) -> float:
        """Speech in the turn under way."""
        return self._speech / SAMPLES

    @property
    def falling_silent(self) -> bool:
        """Whether a turn is under way and the newest window was no speech."""
        return self.in_turn and self._last_window < self._judged_to

    def skip(self, end_sample: int) -> None:
        """A window that is not to be judged."""
        self._judged_to = end_sample

    def feed(self, end_sample: int, probability: float) -> list[TurnSignal]:
        """What the window ending at `end_sample` (16 kHz) means. Only `listen` finds the end of a turn."""
        window, self._judged_to = end_sample - self._judged_to, end_sample
        self._heard_to = max(self._heard_to, end_sample)
        speaking = probability >= self.detection.threshold - (HYSTERESIS if self._state is not _State.QUIET else 0)
        if speaking:
            self._last_window = self.last_speech = end_sample
            self._loud = False
            self._speech += window
        match self._state:
            case _State.QUIET if speaking:
                self._onset, self._speech = end_sample - window, window
                self._state = _State.ONSET
                return [Onset(self._onset)]
            case _State.ONSET:
                return self._decide_start(speaking)
            case _State.SPEAKING:
                return self._watch(window, speaking=speaking, dipped=probability < self.detection.threshold)
            case _State.PAUSED if speaking:
                self._state, self._judged, self._dip = _State.SPEAKING, None, 0
                return [Resumed()]
        return []

    def listen(self, end_sample: int, quiet_since: int) -> list[TurnSignal]:
        """All audio up to `end_sample` is in, whether a window is full or not, and it is quiet since `quiet_since`.

        That places the end of speech inside the windows that the VAD took for speech, and lets the turn end between
        two of them. What is loud after the last of them may be speech that has just begun again.
        """
        if not self.falling_silent:
            return []
        self._heard_to = end_sample
        earliest = self._last_window - HANGOVER_MS * SAMPLES
        if quiet_since <= self._last_window:
            self.last_speech = min(self.last_speech, max(quiet_since, earliest))
        elif quiet_since <= self._last_window + RELEASE_MS * SAMPLES:
            self.last_speech = quiet_since
        self._loud = quiet_since > max(self.last_speech, end_sample - LOUD_MS * SAMPLES)
        return self._decide_end() if self._state is _State.PAUSED else self._pause()

    def judge(self, probability: float) -> list[TurnSignal]:
        """The end-of-turn model's word on the present pause."""
        if self._state is not _State.PAUSED:
            return []
        self._judged = probability
        return self._decide_end()

    def wait_ms(self) -> float:
        """Silence that ends the turn, as things stand."""
        if self.detection.type != "semantic_vad":
            return self.detection.silence_duration_ms
        if self._judged is not None and self._judged >= JUDGED_DONE:
            return PAUSE_MS
        return PATIENCE_MS[self.detection.eagerness]

    def _silence_ms(self) -> float:
        return (self._heard_to - self.last_speech) / SAMPLES

    def _decide_start(self, speaking: bool) -> list[TurnSignal]:
        needed = INTERRUPT_MS if self.agent_speaking else START_MS
        if self.speech_ms >= needed:
            self._state, self._judged = _State.SPEAKING, None
            return [Began(self._onset)]
        if not speaking and self._silence_ms() >= FALSE_START_MS:
            self._state = _State.QUIET
            return [FalseStart()]
        return []

    def _watch(self, window: int, *, speaking: bool, dipped: bool) -> list[TurnSignal]:
        """Whether a lull begins or ends. The bar for a dip is the higher one: a voice that fades is heard at once."""
        self._in_vain = max(0.0, self._in_vain - window / SAMPLES / LULL_FORGOTTEN_MS)
        self._dip = self._dip + window if dipped else 0
        if self._in_lull:
            if speaking:
                self._in_lull, self._dip = False, 0
            return [Stirred()] if speaking else []
        before = math.ceil(self._in_vain)
        enough = self._lulls and self.speech_ms >= MIN_SPEECH_MS and before < len(LULLS_MS)
        if not dipped or not enough or self._dip / SAMPLES < LULLS_MS[before]:
            return []
        self._in_lull, self._in_vain = True, self._in_vain + 1
        return [Lull(self.last_speech)]

    def _pause(self) -> list[TurnSignal]:
        if self._silence_ms() < min(PAUSE_MS, self.wait_ms()):
            return []
        self._state, self._in_lull = _State.PAUSED, False
        return [Paused(self.last_speech), *self._decide_end()]

    def _decide_end(self) -> list[TurnSignal]:
        if self._silence_ms() < self.wait_ms() + (PROOF_MS if self._loud else 0):
            return []
        self._state = _State.QUIET
        return [Ended(self.last_speech, self.speech_ms)]
