"""When a turn begins and ends. No I/O and no clock: time is the sample count of the user's audio."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto

from agents.spec import TurnDetection
from sessions.pipeline.patience import Pace, Reason, wait_ms
from sessions.pipeline.wording import is_backchannel, unfinished, wordless

RATE = 16_000
SAMPLES = RATE // 1000
"""In a millisecond."""
HYSTERESIS = 0.15
"""Speech goes on while the probability stays above threshold minus this, as in Silero's own iterator."""
START_MS = 96
"""Three 32 ms windows of speech begin a turn: one more than a click fills."""
INTERRUPT_MS = 128
"""Four windows of speech over the agent interrupt it: a click, or the onset of a cough, does not."""
SURE = ((0.75, 64), (0.65, 96))
"""(probability, ms): two or three are enough if the VAD is as sure as this of the last two, which it is of voices and
not of coughs."""
PAUSE_MS = 192
"""After six windows of silence the words so far are worth transcribing."""
MIN_SPEECH_MS = 200
"""Less speech than this is not worth words: Whisper invents text from noise."""
FADING = 0.9
"""Below this probability a voice may be ending that a VAD still takes for speech: then its level is looked at."""
LULLS_MS = (30, 30, 60, 90)
"""How long the voice must have dipped, or it must be quiet, for the first lull, the second, and so on, so that the gaps
inside of words do not each cost a transcription. After as many of a turn there is none for a while."""
LULL_FORGOTTEN_MS = 3_000
"""Audio after which one lull in vain is forgotten."""
FALSE_START_MS = 64
"""Silence after which a start that was not yet decided is forgotten."""
HANGOVER_MS = 128
"""A VAD goes on hearing speech for up to two windows after its last sound, and in a room that rustles for four."""
RELEASE_MS = 128
"""What is loud so soon after a VAD has stopped hearing speech belongs to it: the t of "locked", a last s."""
LOUD_MS = 64
PROOF_MS = 192
"""Sound in the last LOUD_MS may be speech again: an s or an f is recognised up to this much later."""
DOUBT_MS = 512
"""So much speech over the agent is an interruption, whatever its words are."""
DOUBT_PAUSE_MS = 96
"""Silence after which what was said over the agent is all, and is judged by its words."""
WORDLESS_MS = 2_000
"""How long those words may take before it is taken for a noise."""
TOO_SOON_MS = 1_500
"""A turn that begins so soon after the last one ended shows that it had not: the pause was inside it."""
KEPT_MS = 1_000
"""Speech so soon after a backchannel goes on with it; and if the agent ends so soon after one, it was an answer."""


@dataclass(frozen=True, slots=True)
class Onset:
    """Perhaps speech, from `sample` on: hold what is being said, and judge."""

    sample: int


@dataclass(frozen=True, slots=True)
class FalseStart:
    """It was nothing: go on."""


@dataclass(frozen=True, slots=True)
class Doubted:
    """Speech over the agent since `sample`. Its words, or more of it, will say whether the agent is to stop."""

    sample: int


@dataclass(frozen=True, slots=True)
class Spared:
    """It was nothing that should stop the agent: go on. `backchannel` if there were words."""

    backchannel: bool


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Nothing followed what was spared."""


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
    why: Reason = "silence"


TurnSignal = Onset | FalseStart | Doubted | Spared | Forgotten | Began | Lull | Stirred | Paused | Resumed | Ended


class _State(Enum):
    QUIET = auto()
    ONSET = auto()
    SPEAKING = auto()
    PAUSED = auto()
    SPARED = auto()


class TurnTaker:
    """Turns speech probabilities into turns. One user, one stream.

    `agent_speaking` is set by whoever knows; a false start then costs an interruption. `server_vad` asks for more
    speech. `semantic_vad` doubts: it waits for words, up to DOUBT_MS of speech, and spares a backchannel or a noise.
    `onset` is where the speech under way began, `last_speech` where it was last heard. Without `lulls` the first that
    is heard of a silence is the pause. `language` is that of the words.
    """

    def __init__(self, detection: TurnDetection, *, lulls: bool = False, language: str = "en") -> None:
        self.detection = detection
        self.language = language
        self.agent_speaking = False
        self._lulls = lulls
        self._pace = Pace()
        self._judged_to = 0
        self._heard_to = 0
        self._ended_at: int | None = None
        self.reset()

    def reset(self) -> None:
        """Forget a turn under way. The sample clock runs on, and what is known of the speaker stays."""
        self._state = _State.QUIET
        self._turn_onset = 0
        self.onset = 0
        self._speech = 0
        self._fresh = 0
        self._newest = (0.0, 0.0)
        self._last_window = 0
        self.last_speech = 0
        self._loud = False
        self._doubted = False
        self._spared: Spared | None = None
        self._judged: float | None = None
        self._words: str | None = None
        self._dip = 0
        self._fades = False
        self._in_lull = False
        self._quiet_since: int | None = None
        self._in_vain = 0.0

    @property
    def in_turn(self) -> bool:
        return self._state in (_State.SPEAKING, _State.PAUSED)

    @property
    def paused(self) -> bool:
        return self._state is _State.PAUSED

    @property
    def undecided(self) -> bool:
        """Whether there is speech over the agent of which it is not known yet, or not thought, that it is a turn."""
        return self._doubted or self._spared is not None

    @property
    def speech_ms(self) -> float:
        """Speech in the turn under way."""
        return self._speech / SAMPLES

    @property
    def silence_ms(self) -> float:
        return (self._heard_to - self.last_speech) / SAMPLES

    @property
    def falling_silent(self) -> bool:
        """Whether a turn is under way and the newest window was no speech."""
        return self.in_turn and self._last_window < self._judged_to

    @property
    def fading(self) -> bool:
        """Whether the newest window is speech, and may be the last: its level says more."""
        speaks = self._state is _State.SPEAKING and not self.falling_silent
        return self._lulls and speaks and (self._fades or self._quiet_since is not None)

    def skip(self, end_sample: int) -> None:
        """A window that is not to be judged."""
        self._judged_to = end_sample

    def feed(self, end_sample: int, probability: float) -> list[TurnSignal]:
        """What the window ending at `end_sample` (16 kHz) means. Only `listen` finds the end of a turn."""
        window, self._judged_to = end_sample - self._judged_to, end_sample
        self._heard_to = max(self._heard_to, end_sample)
        quiet = self._state in (_State.QUIET, _State.SPARED)
        speaking = probability >= self.detection.threshold - (0 if quiet else HYSTERESIS)
        silence_ms = self.silence_ms - window / SAMPLES
        self._fades = probability < FADING
        self._newest = (self._newest[1], probability)
        if speaking:
            self._last_window = self.last_speech = end_sample
            self._loud = False
            self._speech += window
            self._fresh += window
        match self._state:
            case _State.QUIET | _State.SPARED if speaking:
                return self._start(end_sample - window, window)
            case _State.SPARED:
                return self._keep()
            case _State.ONSET:
                return self._decide_start(speaking)
            case _State.SPEAKING:
                if speaking and not self._in_lull:
                    self._pace.paused(silence_ms)
                watched = self._watch(window, speaking=speaking, dipped=probability < self.detection.threshold)
                return watched + self._decide_doubt()
            case _State.PAUSED if speaking:
                self._pace.paused(silence_ms)
                self._state, self._dip = _State.SPEAKING, 0
                self._judged = self._words = None
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

    def fade(self, end_sample: int, quiet_since: int) -> list[TurnSignal]:
        """The VAD still hears speech up to `end_sample`, but it is quiet since `quiet_since`: perhaps a lull."""
        if self._in_lull:
            return self._stir() if self._quiet_since is not None and quiet_since > self._quiet_since else []
        signals = self._lull((end_sample - quiet_since) / SAMPLES, quiet_since)
        self._quiet_since = quiet_since if signals else None
        return signals

    def judge(self, probability: float) -> list[TurnSignal]:
        """The end-of-turn model's word on the present pause."""
        if self._state is not _State.PAUSED:
            return []
        self._judged = probability
        return self._decide_end()

    def words(self, text: str, *, final: bool = True) -> list[TurnSignal]:
        """What has been said up to the present lull or pause, or not `final`, what of it is known by now."""
        if not self.in_turn:
            return []
        if final:
            self._words = text
        return self._decide_doubt(text) or (self._decide_end() if final else [])

    def wait_ms(self) -> float:
        """Silence that ends the turn, as things stand."""
        return self._wait()[0]

    def _wait(self) -> tuple[float, Reason]:
        more = self._words is not None and unfinished(self._words, self.language)
        return wait_ms(self.detection, self._pace, judged=self._judged, words=self._words, more_to_come=more)

    @property
    def _doubts(self) -> bool:
        detection = self.detection
        return self.agent_speaking and detection.type == "semantic_vad" and detection.interrupt_response

    def _start(self, sample: int, window: int) -> list[TurnSignal]:
        self.onset, self._fresh = sample, window
        if self._spared is None:
            self._turn_onset, self._speech = sample, window
        self._state = _State.ONSET
        return [Onset(sample)]

    def _decide_start(self, speaking: bool) -> list[TurnSignal]:
        if self._fresh / SAMPLES >= self._needed_ms():
            self._state, self._doubted, self._spared = _State.SPEAKING, self._doubts, None
            self._judged = self._words = None
            return [Doubted(self._turn_onset) if self._doubted else self._began()]
        if not speaking and self.silence_ms >= FALSE_START_MS:
            self._state = _State.QUIET if self._spared is None else _State.SPARED
            return [FalseStart()]
        return []

    def _needed_ms(self) -> float:
        """Speech that begins a turn."""
        if not self.agent_speaking or self._doubts:
            return START_MS
        return next((ms for sure, ms in SURE if min(self._newest) >= sure), INTERRUPT_MS)

    def _began(self) -> Began:
        if self._ended_at is not None and (since_ms := (self._turn_onset - self._ended_at) / SAMPLES) <= TOO_SOON_MS:
            self._pace.paused(since_ms)
        return Began(self._turn_onset)

    def _decide_doubt(self, heard: str | None = None) -> list[TurnSignal]:
        """Whether what is said over the agent is to stop it, once that can be told. `heard` are words so far."""
        if not self._doubted:
            return []
        words, silent = self._words, self._state is _State.PAUSED
        said = words if heard is None else heard
        worded = said is not None and not wordless(said)
        meant = worded and not is_backchannel(said or "", self.language)
        answers = worded and silent and not self.agent_speaking
        if meant or answers or self._fresh / SAMPLES >= DOUBT_MS:
            self._doubted = False
            return [self._began()]
        if not silent or (words is None and self.silence_ms < WORDLESS_MS):
            return []
        self._state, self._doubted, self._spared = _State.SPARED, False, Spared(worded)
        return [self._spared]

    def _keep(self) -> list[TurnSignal]:
        """What was spared is an answer if the agent has just ended, and nothing once it is long ago."""
        spared = self._spared
        if spared is not None and spared.backchannel and not self.agent_speaking:
            self._state, self._spared = _State.PAUSED, None
            return [self._began()]
        if self.silence_ms < KEPT_MS:
            return []
        self._state, self._spared = _State.QUIET, None
        return [Forgotten()]

    def _watch(self, window: int, *, speaking: bool, dipped: bool) -> list[TurnSignal]:
        """Whether a lull begins or ends. The bar for a dip is the higher one: a voice that fades is heard at once."""
        self._in_vain = max(0.0, self._in_vain - window / SAMPLES / LULL_FORGOTTEN_MS)
        self._dip = self._dip + window if dipped else 0
        if self._in_lull:
            hangs_over = self._quiet_since is not None and self._judged_to <= self._quiet_since + HANGOVER_MS * SAMPLES
            return self._stir() if speaking and not hangs_over else []
        return self._lull(self._dip / SAMPLES, self.last_speech) if dipped else []

    def _stir(self) -> list[TurnSignal]:
        self._in_lull, self._quiet_since, self._dip, self._words = False, None, 0, None
        return [Stirred()]

    def _lull(self, ms: float, sample: int) -> list[TurnSignal]:
        """A lull, if one begins after `ms` of a dip or of quiet; speech ended at `sample`."""
        before = math.ceil(self._in_vain)
        enough = self._lulls and self.speech_ms >= MIN_SPEECH_MS and before < len(LULLS_MS)
        if self._in_lull or not enough or ms < LULLS_MS[before]:
            return []
        self._in_lull, self._in_vain = True, self._in_vain + 1
        return [Lull(sample)]

    def _pause(self) -> list[TurnSignal]:
        if self.silence_ms < (DOUBT_PAUSE_MS if self._doubted else min(PAUSE_MS, self.wait_ms())):
            return self._lull(self.silence_ms, self.last_speech)
        self._state, self._in_lull, self._quiet_since = _State.PAUSED, False, None
        return [Paused(self.last_speech), *self._decide_doubt(), *self._decide_end()]

    def _decide_end(self) -> list[TurnSignal]:
        if self._state is not _State.PAUSED:
            return []
        if self._doubted:
            return self._decide_doubt()
        wait, why = self._wait()
        if self.silence_ms < wait + (PROOF_MS if self._loud else 0):
            return []
        self._state, self._ended_at, self._in_vain = _State.QUIET, self.last_speech, 0.0
        return [Ended(self.last_speech, self.speech_ms, why)]
