"""The session object of the Realtime API: what it holds, how an update merges into it, how it is shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from agents.errors import ClientError
from agents.interfaces import NO_HINTS, Hints, ToolSpec
from agents.spec import EMBEDDED, OPENAI_VOICES, AgentSpec, Override, TurnDetection
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.messages import Modality, SessionConfig
from sessions.pipeline.window import Truncation
from sessions.protocols.checks import check_length, read_object, read_tools
from sessions.protocols.realtime_audio import FORMATS, AudioFormat
from sessions.protocols.realtime_events import (
    PCM,
    PCMA,
    PCMU,
    AudioInput,
    AudioOutput,
    NamedFunction,
    NoiseReduction,
    Prompt,
    Reasoning,
    RetentionRatio,
    SemanticVad,
    ServerVad,
    SessionPatch,
    ToolChoice,
    Tracing,
    Transcription,
    VoiceId,
    explain,
)
from sessions.protocols.realtime_prompt import filled

Kind = Literal["realtime", "transcription"]
DEFAULT_VOICE = "marin"
"""What the voice of an agent is called that gives it no name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WireSession:
    """The effective session as a client sees it. `voice` "" is the agent's own."""

    spec: AgentSpec
    kind: Kind = "realtime"
    instructions: str = ""
    modality: Modality = "audio"
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    max_output_tokens: int | None = None
    voice: str = ""
    speed: float = 1.0
    turn_detection: TurnDetection
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    input_format: AudioFormat = "audio/pcm"
    output_format: AudioFormat = "audio/pcm"
    tracing: Literal["auto"] | Mapping[str, Any] | None = None
    truncation: Literal["auto", "disabled"] | RetentionRatio = "auto"
    include: tuple[str, ...] | None = None
    prompt: Prompt | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None

    @classmethod
    def of(cls, spec: AgentSpec, kind: Kind = "realtime") -> WireSession:
        """The session that an agent's own settings make."""
        return cls(
            spec=spec,
            kind=kind,
            instructions=spec.instructions,
            voice=spec.tts.voice,
            speed=spec.tts.speed,
            turn_detection=spec.turn_detection,
            transcription=Transcription(model=spec.stt.model or "whisper-1") if kind == "transcription" else None,
        )

    def config(self) -> SessionConfig:
        return SessionConfig(
            instructions=self.instructions,
            tools=self.tools,
            tool_choice=core_choice(self.tool_choice),
            modality=self.modality,
            max_output_tokens=self.max_output_tokens,
            voice=core_voice(self.spec, self.voice),
            speed=self.speed,
            transcription=self.transcription is not None,
            hints=hints_of(self.transcription),
            turn_detection=self.turn_detection,
            truncation=core_truncation(self.truncation),
            transcription_only=self.kind == "transcription",
        )

    def shown_voice(self, voice: str) -> str:
        """How the client knows the core's `voice`: by the name it used itself, if that is the one."""
        if voice and voice != core_voice(self.spec, self.voice):
            return voice
        return self.voice or DEFAULT_VOICE

    def shown(
        self, session_id: str, model: str, expires_at: int | None, *, allowed: Collection[Override]
    ) -> dict[str, Any]:
        """The session as JSON-safe data. Who is not `allowed` to change the instructions is shown nothing of them."""
        if self.kind == "transcription":
            return {
                "type": "transcription",
                "object": "realtime.transcription_session",
                "id": session_id,
                "expires_at": expires_at,
                "include": self.include,
                "audio": {"input": self._shown_input()},
            }
        may_see = "instructions" in allowed
        extras = {"parallel_tool_calls": self.parallel_tool_calls, "reasoning": self.reasoning}
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": model,
            "output_modalities": [self.modality],
            "instructions": self.instructions if may_see else "",
            "tools": [shown_tool(tool) for tool in self.tools],
            "tool_choice": self.tool_choice,
            "max_output_tokens": self.max_output_tokens or "inf",
            "tracing": self.tracing,
            "truncation": self.truncation,
            "prompt": self.prompt if may_see else None,
            "expires_at": expires_at,
            "include": self.include,
            "audio": {"input": self._shown_input(), "output": self._shown_output()},
            **{name: value for name, value in extras.items() if value is not None},
        }

    def _shown_input(self) -> dict[str, Any]:
        return {
            "format": FORMATS[self.input_format],
            "transcription": self.transcription,
            "noise_reduction": self.noise_reduction,
            "turn_detection": shown_turn_detection(self.turn_detection),
        }

    def _shown_output(self) -> dict[str, Any]:
        return {
            "format": FORMATS[self.output_format],
            "voice": self.voice or DEFAULT_VOICE,
            "speed": self.speed,
        }

    def merged(
        self, patch: SessionPatch, *, allowed: Collection[Override], bounds: Bounds
    ) -> tuple[WireSession, list[str]]:
        """The session with `patch` applied, and the dotted paths of what was asked for but not allowed.

        A `ClientError` refuses the patch as a whole.
        """
        if patch.type not in (None, self.kind):
            raise ClientError(f"A {self.kind} session cannot become a {patch.type} session.", param="session.type")
        merge = _Merge(self, allowed)
        _merge_top(merge, patch, bounds)
        if patch.audio:
            if patch.audio.input:
                _merge_input(merge, patch.audio.input)
            if patch.audio.output:
                _merge_output(merge, patch.audio.output)
        merged = dataclasses.replace(self, **merge.changes)
        _check_size(merged, bounds)
        return merged, merge.refused


class _Merge:
    """Gathers what a patch changes, and puts aside what the client may not change."""

    def __init__(self, session: WireSession, allowed: Collection[Override]) -> None:
        self.session = session
        self.allowed = allowed
        self.changes: dict[str, Any] = {}
        self.refused: list[str] = []

    def take(self, path: str, override: Override | None, field: str, value: Any) -> None:
        if override is None or override in self.allowed:
            self.changes[field] = value
        elif getattr(self.session, field) != value:
            self.refused.append(f"session.{path}")


def _merge_top(merge: _Merge, patch: SessionPatch, bounds: Bounds) -> None:
    if patch.output_modalities:
        merge.take("output_modalities", "formats", "modality", modality(patch.output_modalities, "session"))
    if not isinstance(patch.prompt, UnsetType):
        _merge_prompt(merge, patch.prompt, bounds)
    if patch.instructions is not None:
        check_length(patch.instructions, bounds.instructions_chars, "session.instructions")
        merge.take("instructions", "instructions", "instructions", patch.instructions)
    if patch.tools is not None:
        merge.take("tools", "tools", "tools", read_tools(patch.tools, bounds, "session.tools"))
    if patch.tool_choice:
        merge.take("tool_choice", "tools", "tool_choice", patch.tool_choice)
    if patch.max_output_tokens:
        merge.take("max_output_tokens", None, "max_output_tokens", token_limit(patch.max_output_tokens))
    _merge_kept(merge, patch, bounds)


def _merge_prompt(merge: _Merge, prompt: Prompt | None, bounds: Bounds) -> None:
    """The prompt's text takes the place of the instructions; without one they are the agent's again."""
    spec = merge.session.spec
    if prompt is None and merge.session.prompt is None:
        return
    text = spec.instructions if prompt is None else filled(prompt, spec, "session")
    check_length(text, bounds.instructions_chars, "session.prompt.variables")
    merge.take("prompt", "instructions", "prompt", prompt)
    merge.take("instructions", "instructions", "instructions", text)


def _merge_kept(merge: _Merge, patch: SessionPatch, bounds: Bounds) -> None:
    """What is accepted and shown, and changes nothing here."""
    if not isinstance(patch.tracing, UnsetType):
        merge.take("tracing", None, "tracing", tracing_of(patch.tracing, bounds))
    if not isinstance(patch.include, UnsetType):
        merge.take("include", None, "include", None if patch.include is None else tuple(patch.include))
    for field in ("truncation", "parallel_tool_calls", "reasoning"):
        if (value := getattr(patch, field)) is not None:
            merge.take(field, None, field, value)


def _merge_input(merge: _Merge, patch: AudioInput) -> None:
    if patch.format:
        merge.take("audio.input.format", "formats", "input_format", format_name(patch.format))
    if not isinstance(patch.transcription, UnsetType):
        if patch.transcription is None and merge.session.kind == "transcription":
            raise ClientError("A transcription session always transcribes.", param="session.audio.input.transcription")
        merge.take("audio.input.transcription", "transcription", "transcription", patch.transcription)
    if not isinstance(patch.noise_reduction, UnsetType):
        reduction = patch.noise_reduction if patch.noise_reduction and patch.noise_reduction.type else None
        merge.take("audio.input.noise_reduction", None, "noise_reduction", reduction)
    if not isinstance(patch.turn_detection, UnsetType):
        detection = turn_detection(patch.turn_detection, merge.session.spec.turn_detection)
        merge.take("audio.input.turn_detection", "turn_detection", "turn_detection", detection)


def _merge_output(merge: _Merge, patch: AudioOutput) -> None:
    if patch.format:
        merge.take("audio.output.format", "formats", "output_format", format_name(patch.format))
    if patch.voice:
        merge.take("audio.output.voice", "voice", "voice", voice_name(patch.voice))
    if patch.speed:
        merge.take("audio.output.speed", "voice", "speed", patch.speed)


def _check_size(session: WireSession, bounds: Bounds) -> None:
    """Clients have a bound of their own on a message, and it ends the connection."""
    with_instructions: tuple[Override, ...] = ("instructions",)
    size = len(msgspec.json.encode(session.shown("", "", None, allowed=with_instructions)))
    if size > bounds.session_bytes:
        raise ClientError(
            f"The session would have {size} bytes of JSON when it is sent back; it may have {bounds.session_bytes}. "
            "Give shorter instructions, or less about the tools.",
            param="session",
        )


# --- from the wire's values to ours --------------------------------------------------------------


def turn_detection(patch: ServerVad | SemanticVad | None, defaults: TurnDetection) -> TurnDetection:
    """The whole new turn detection; what the client leaves out is as the agent has it."""
    if patch is None:
        return msgspec.structs.replace(defaults, type="none", idle_timeout_ms=None)
    asked = {name: value for name, value in msgspec.structs.asdict(patch).items() if value not in (None, UNSET)}
    if isinstance(patch, SemanticVad):
        return msgspec.structs.replace(defaults, type="semantic_vad", idle_timeout_ms=None, **asked)
    if patch.idle_timeout_ms is None:
        asked["idle_timeout_ms"] = None
    return msgspec.structs.replace(defaults, type="server_vad", **asked)


def shown_turn_detection(detection: TurnDetection) -> dict[str, Any] | None:
    answers = {
        "create_response": detection.create_response,
        "interrupt_response": detection.interrupt_response,
    }
    match detection.type:
        case "none":
            return None
        case "semantic_vad":
            return {"type": "semantic_vad", "eagerness": detection.eagerness, **answers}
        case "server_vad":
            return {
                "type": "server_vad",
                "threshold": detection.threshold,
                "prefix_padding_ms": detection.prefix_padding_ms,
                "silence_duration_ms": detection.silence_duration_ms,
                "idle_timeout_ms": detection.idle_timeout_ms,
                **answers,
            }


def modality(asked: Sequence[Modality], within: str) -> Modality:
    if len(asked) > 1:
        raise ClientError(
            'Ask for one modality, ["audio"] or ["text"]; audio always comes with its transcript.',
            param=f"{within}.output_modalities",
        )
    return asked[0]


def token_limit(asked: int | Literal["inf"]) -> int | None:
    return None if asked == "inf" else asked


def format_name(asked: PCM | PCMU | PCMA) -> AudioFormat:
    match asked:
        case PCM():
            return "audio/pcm"
        case PCMU():
            return "audio/pcmu"
        case PCMA():
            return "audio/pcma"


def voice_name(asked: str | VoiceId) -> str:
    return asked.id if isinstance(asked, VoiceId) else asked


def core_voice(spec: AgentSpec, voice: str) -> str:
    """OpenAI's voices stand for the agent's own. Whether a service has them is for its provider to know."""
    return spec.tts.voice if spec.tts.account == EMBEDDED and voice in OPENAI_VOICES else voice


def core_choice(choice: ToolChoice) -> str:
    return choice.name if isinstance(choice, NamedFunction) else choice


def hints_of(asked: Transcription | None) -> Hints:
    """What a client says of its speech. "de-CH" is German; what is no language's code is passed over."""
    if asked is None:
        return NO_HINTS
    language = (asked.language or "").partition("-")[0].lower()
    known = len(language) in (2, 3) and language.isascii() and language.isalpha()
    return Hints(language if known else "", asked.prompt or "")


def core_truncation(asked: Literal["auto", "disabled"] | RetentionRatio) -> Truncation:
    if isinstance(asked, RetentionRatio):
        limits = asked.token_limits
        return Truncation("auto", asked.retention_ratio, limits.post_instructions if limits else None)
    return Truncation(asked)


def shown_tool(tool: ToolSpec) -> dict[str, Any]:
    known = {"description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "name": tool.name, **{name: value for name, value in known.items() if value}}


def tracing_of(asked: Literal["auto"] | Tracing | None, bounds: Bounds) -> Literal["auto"] | dict[str, Any] | None:
    """As it is shown again."""
    if not isinstance(asked, Tracing):
        return asked
    metadata = read_object(asked.metadata, bounds.schema_bytes, "session.tracing.metadata")
    given = {"workflow_name": asked.workflow_name, "group_id": asked.group_id, "metadata": metadata}
    return {name: value for name, value in given.items() if value is not None}


def patch_of(session: object) -> SessionPatch:
    """A session object that came as plain JSON data, checked."""
    try:
        return msgspec.json.decode(msgspec.json.encode(session), type=SessionPatch)
    except msgspec.ValidationError as error:
        raise explain(error, within="session") from None
