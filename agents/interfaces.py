"""The parts of a voice agent, and the values they exchange.

A provider implements one of these protocols and nothing else. Streams are async generators: whoever
iterates them closes them (`aclosing`), and closing one must stop the work behind it at once. Providers
raise `ProviderError` for what is theirs, and stamp their moments on the `TurnMarks` they are handed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from agents.audio import Audio
from telemetry.trace import TurnMarks

Role = Literal["system", "user", "assistant", "tool"]
ToolChoice = Literal["auto", "none", "required"] | str  # else the name of the one function to call


# --- hearing -------------------------------------------------------------------------------------


class VADStream(Protocol):
    """Speech probability of one stream. Keeps its own state; used by one session only."""

    def push(self, audio: Audio) -> list[tuple[int, float]]:
        """(end_sample, probability) of each whole window now complete.

        `audio` is 16 kHz; `end_sample` counts from the first sample ever pushed. Synchronous, and run on the event
        loop: a tenth of a second of audio must not take more than a fraction of a millisecond.
        """


class VAD(Protocol):
    def open(self) -> VADStream: ...


class EndOfTurn(Protocol):
    async def probability(self, audio: Audio) -> float:
        """How sure it is, 0 to 1, that the speaker has finished. `audio` is the utterance so far, 16 kHz."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard. A partial replaces the partial before it; the final ends the stream.

    `settled` characters of a partial, from its start, are a promise: all that follows in this stream begins
    with them. `rejected` names why a final was emptied ("no_speech", "repetition"), for the counters.
    """

    text: str
    final: bool
    rejected: str | None = None
    settled: int = 0


@dataclass(frozen=True, slots=True)
class Hints:
    """What a client says of the speech to come. "" is as the agent has it; `language` is an ISO 639-1 code."""

    language: str = ""
    prompt: str = ""


NO_HINTS = Hints()


class STT(Protocol):
    def transcribe(
        self, audio: AsyncIterator[Audio], marks: TurnMarks, hints: Hints = NO_HINTS
    ) -> AsyncGenerator[Transcript, None]:
        """Partials while `audio` (16 kHz) flows, then exactly one final after it ends."""


# --- thinking ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the history a brain sees. `call_id` is set for role "tool"."""

    role: Role
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function a brain may call. `parameters` is a JSON schema.

    `side_effects` false means calling it twice, or in vain, changes nothing in the world. `strict` asks the model's
    server to hold the arguments to the schema; None leaves that to it.
    """

    name: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    side_effects: bool = True
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class Source:
    """Where a spoken answer was found, shown beside it."""

    title: str
    passage: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class HangUp:
    """The agent ends the call once what it has said is played."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Why an LLM's stream ended early: "length" (its token limit) or "content_filter"."""

    reason: Literal["length", "content_filter"]


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """The JSON that a text is to be: by `schema`, else any object. The rest is as in `response_format` of OpenAI's."""

    schema: Mapping[str, Any] | None = None
    name: str = "answer"
    description: str = ""
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class CompletionOptions:
    """`response_format` None is plain text. Whether the model's server holds the text to another is up to it.

    Requests with the same `cache_key` extend one another: a server that keeps what it has read of a prompt is told it.
    """

    tool_choice: ToolChoice = "auto"
    max_output_tokens: int | None = None
    temperature: float | None = None
    response_format: ResponseFormat | None = None
    cache_key: str = ""


LLMOutput = TextDelta | ToolCall | Usage | Finish
BrainOutput = TextDelta | ToolCall | Usage | Finish | Source | HangUp


class LLM(Protocol):
    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], options: CompletionOptions, marks: TurnMarks
    ) -> AsyncGenerator[LLMOutput, None]:
        """Text as it comes; each ToolCall whole, once its arguments are complete; Usage last."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back. `hang_up` asks the agent to end the call after its next words."""

    text: str
    hang_up: bool = False


class Toolbox(Protocol):
    """The tools of one session: the agent's own, run on the server, and the client's, run by the client."""

    def specs(self) -> Sequence[ToolSpec]: ...

    def on_server(self, name: str) -> bool: ...

    async def run(self, call: ToolCall, marks: TurnMarks) -> ToolResult:
        """Run a server tool to its end, or to its own timeout. A failure is a ToolError.

        It is shielded from a barge-in: the work goes on, and its result reaches the history.
        """


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """The newest event of one key, with the figures that are kept of the key, and the last decision on it."""

    key: str
    data: Mapping[str, Any]
    series: Mapping[str, float] = field(default_factory=dict)
    last: Any = None


@dataclass(frozen=True, slots=True)
class News:
    """What a decision answers: `changed`, the longest waiting first. `latest` is the newest data of every key."""

    changed: tuple[FeedEvent, ...]
    latest: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """What one reply is to answer. The last message is usually the user's. `spoken`: it will be read aloud.

    `news` is there for decisions on events, and then the last message tells of it too.
    """

    messages: Sequence[Message]
    instructions: str
    options: CompletionOptions = CompletionOptions()
    spoken: bool = True
    news: News | None = None


class Brain(Protocol):
    def reply(self, request: ReplyRequest, tools: Toolbox, marks: TurnMarks) -> AsyncGenerator[BrainOutput, None]:
        """What to say, as it is thought of. A ToolCall for a client's tool is yielded, and the reply ends."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, with the cosine similarity it was found with."""

    text: str
    title: str
    score: float
    url: str = ""
    section: str = ""


class Retriever(Protocol):
    async def search(self, text: str, k: int) -> list[Passage]: ...


# --- speaking ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of text to be spoken in one breath: a clause or a sentence. `id` counts from 0 in a reply."""

    id: int
    text: str


@dataclass(frozen=True, slots=True)
class Speech:
    """Audio of a segment. `text_offset` is the character of the segment spoken at its start, if known."""

    audio: Audio
    segment_id: int
    text_offset: int | None = None


@dataclass(frozen=True, slots=True)
class VoiceOptions:
    """`voice` "" is the provider's default; `speed` 1.0 is natural, 0.25 to 1.5."""

    voice: str = ""
    speed: float = 1.0


class TTS(Protocol):
    def synthesize(
        self, text: AsyncIterator[Segment], voice: VoiceOptions, marks: TurnMarks
    ) -> AsyncGenerator[Speech, None]:
        """Speech of the segments in order, any rate, each as soon as its first audio exists."""
