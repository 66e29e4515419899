"""What listening tells the session."""

from __future__ import annotations

from dataclasses import dataclass

from agents.errors import ClientError, ProviderError
from agents.interfaces import Transcript
from sessions.pipeline.utterance import Utterance


@dataclass(frozen=True, slots=True)
class SpeechSuspected:
    pass


@dataclass(frozen=True, slots=True)
class SpeechDismissed:
    """It was no turn. `backchannel` if it had words, such as "mhm"."""

    backchannel: bool = False


@dataclass(frozen=True, slots=True)
class UserStarted:
    """A turn has begun. `onset` is when the speech did that made it one: it may go on with a "mhm" said before."""

    utterance: Utterance
    start_ms: int
    onset: float


@dataclass(frozen=True, slots=True)
class UserResumed:
    utterance: Utterance


@dataclass(frozen=True, slots=True)
class UserCommitted:
    """The turn is an item now. `stopped_ms` is None when the client committed it by hand."""

    utterance: Utterance
    stopped_ms: int | None


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
    """The words so far. The first `settled` characters will stay as they are."""

    utterance: Utterance
    text: str
    settled: int


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
