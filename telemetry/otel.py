"""A finished turn as OpenTelemetry spans, built from its marks.

Attributes pass an allow-list and hold no words; ids are those the trace was opened with, so sending a turn
twice gives the same spans twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from telemetry import names as n
from telemetry.critical_path import calls, winning_call
from telemetry.trace import TurnTrace

LONGEST_VALUE: Final = 128
IN_PROCESS: Final = frozenset({"", "embedded", "scripted"})
"""Kinds of providers that call no server; any other name is an account's."""
FLAGS: Final = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)
Value = str | bool | int | float
Attributes = Mapping[str, Value | None]


@dataclass(frozen=True, slots=True)
class _Part:
    """A child of the turn's span, between two offsets in µs."""

    key: str
    name: str
    start: int | None
    end: int | None
    attributes: Attributes = field(default_factory=dict)
    remote: bool = False


def spans(trace: TurnTrace, resource: Resource) -> list[ReadableSpan]:
    """The turn's root span, and a child for each part of it that has both a beginning and an end."""
    root = _context(trace.trace_id, trace.span_id)
    failed = trace.end_reason == "error"
    turn = _Part("", f"{n.SPAN_TURN} {trace.agent}", 0, trace.marks[n.TURN_CLOSE], _turn_attributes(trace))
    return [
        _span(trace, turn, root, None, resource, failed=failed),
        *(
            _span(trace, part, _context(trace.trace_id, _child_id(trace.span_id, part.key)), root, resource)
            for part in _parts(trace)
            if part.start is not None and part.end is not None and part.end >= part.start
        ),
    ]


def allowed(attributes: Attributes) -> dict[str, Value]:
    """Those attributes that may leave, none of them long."""
    return {
        name: value[:LONGEST_VALUE] if isinstance(value, str) else value
        for name, value in attributes.items()
        if value not in (None, "") and (name in n.ATTRIBUTES or _is_duration(name, value))
    }


def _is_duration(name: str, value: Value | None) -> bool:
    return isinstance(value, float) and (
        (name.startswith(n.VOICE_LATENCY) and name.removeprefix(n.VOICE_LATENCY) in n.LATENCIES)
        or (name.startswith(n.VOICE_PATH) and name.removeprefix(n.VOICE_PATH) in n.PATH_STEPS)
    )


def _span(
    trace: TurnTrace,
    part: _Part,
    context: SpanContext,
    parent: SpanContext | None,
    resource: Resource,
    *,
    failed: bool = False,
) -> ReadableSpan:
    return ReadableSpan(
        name=part.name[:LONGEST_VALUE],
        context=context,
        parent=parent,
        resource=resource,
        attributes=allowed(part.attributes),
        kind=SpanKind.CLIENT if part.remote else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
        start_time=trace.started_ns + (part.start or 0) * 1000,
        end_time=trace.started_ns + (part.end or 0) * 1000,
        instrumentation_scope=InstrumentationScope(n.SCOPE),
    )


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=FLAGS)


def _child_id(root: str, key: str) -> str:
    return hashlib.blake2b(key.encode(), key=root.encode(), digest_size=8).hexdigest()


def _turn_attributes(trace: TurnTrace) -> Attributes:
    facts = trace.facts
    return {
        n.OPERATION: n.SPAN_TURN,
        n.CONVERSATION: trace.session_id,
        n.AGENT_NAME: trace.agent,
        n.AGENT_VERSION: str(trace.agent_version),
        n.VOICE_TURN_INDEX: trace.index,
        n.VOICE_KIND: trace.kind,
        n.VOICE_INITIATOR: trace.initiator,
        n.VOICE_END_REASON: trace.end_reason,
        n.VOICE_PROVENANCE: trace.provenance,
        n.VOICE_TRANSPORT: trace.transport,
        n.VOICE_SPEC_OUTCOME: facts.get(n.SPEC_OUTCOME),
        n.VOICE_RESUMES: facts.get(n.RESUME_COUNT),
        n.USAGE_INPUT: facts.get(n.INPUT_TOKENS),
        n.USAGE_OUTPUT: facts.get(n.OUTPUT_TOKENS),
        n.ERROR_TYPE: _error_type(trace) if trace.end_reason == "error" else None,
        **{n.VOICE_LATENCY + name: value / 1e6 for name, value in trace.latencies.items()},
        **{n.VOICE_PATH + step.name: step.duration_us / 1e6 for step in trace.path},
    }


def _error_type(trace: TurnTrace) -> str:
    """A class name; anything else might be a message, and messages stay here."""
    named = str(trace.facts.get(n.ERROR_TYPE_FACT, ""))
    return named if named.isidentifier() else "_OTHER"


def _parts(trace: TurnTrace) -> Iterator[_Part]:
    marks, facts = trace.marks, trace.facts
    speech_end, stopped = marks.get(n.USER_SPEECH_END), marks.get(n.CLIENT_PLAYBACK_STOPPED, marks.get(n.BI_FLUSHED))
    yield _Part("vad", n.SPAN_VAD, marks.get(n.USER_SPEECH_START), marks.get(n.VAD_STOP))
    yield _Part("endpointing", n.SPAN_ENDPOINTING, speech_end, marks.get(n.EOT_DECIDED))
    stt = _model(trace, n.SPAN_STT, n.STT_MODEL, n.STT_PROVIDER)
    yield _Part("stt", stt.name, speech_end, marks.get(n.STT_FINAL), stt.attributes, stt.remote)
    yield _retrieval(trace)
    yield from _chats(trace)
    yield from _tools(trace)
    yield from _segments(trace)
    yield _Part("playback", n.SPAN_PLAYBACK, marks.get(n.FIRST_AUDIO_SENT), _playback_end(marks))
    about = {n.VOICE_STOP_PROVENANCE: trace.stop_provenance, n.VOICE_RESUMES: facts.get(n.RESUME_COUNT)}
    yield _Part("interruption", n.SPAN_INTERRUPTION, marks.get(n.BI_SPEECH_START), stopped, about)


@dataclass(frozen=True, slots=True)
class _Model:
    name: str
    attributes: Attributes
    remote: bool


def _model(trace: TurnTrace, operation: str, model_fact: str, provider_fact: str) -> _Model:
    model, provider = str(trace.facts.get(model_fact, "")), str(trace.facts.get(provider_fact, ""))
    attributes = {n.OPERATION: operation, n.REQUEST_MODEL: model, n.PROVIDER: provider}
    return _Model(f"{operation} {model}".rstrip(), attributes, provider not in IN_PROCESS)


def _retrieval(trace: TurnTrace) -> _Part:
    source = str(trace.facts.get(n.RETRIEVAL_SOURCE, ""))
    attributes = {n.OPERATION: n.SPAN_RETRIEVAL, n.DATA_SOURCE: source}
    start, end = (trace.marks.get(mark) for mark in (n.RETRIEVAL_START, n.RETRIEVAL_END))
    return _Part("retrieval", f"{n.SPAN_RETRIEVAL} {source}".rstrip(), start, end, attributes)


def _chats(trace: TurnTrace) -> Iterator[_Part]:
    marks = trace.marks
    model, winner, decided = (
        _model(trace, n.SPAN_CHAT, n.LLM_MODEL, n.LLM_PROVIDER),
        winning_call(marks),
        marks.get(n.EOT_DECIDED),
    )
    for call in calls(marks, "llm"):
        sent, chunk = (marks.get(n.numbered("llm", call, moment)) for moment in (n.REQUEST_SENT, n.FIRST_CHUNK))
        attributes = {
            **model.attributes,
            n.TIME_TO_FIRST_CHUNK: None if sent is None or chunk is None else (chunk - sent) / 1e6,
            n.VOICE_SPECULATIVE: sent is not None and decided is not None and sent < decided,
            n.USAGE_CACHED: trace.facts.get(n.CACHED_TOKENS) if call == winner else None,
        }
        end = marks.get(n.numbered("llm", call, n.END))
        yield _Part(f"llm{call}", model.name, sent, end, attributes, model.remote)


def _tools(trace: TurnTrace) -> Iterator[_Part]:
    for call in calls(trace.marks, "tool"):
        tool = str(trace.facts.get(f"tool[{call}].name", ""))
        attributes = {n.OPERATION: n.SPAN_TOOL, n.TOOL_NAME: tool}
        start, end = (trace.marks.get(n.numbered("tool", call, moment)) for moment in (n.START, n.END))
        yield _Part(f"tool{call}", f"{n.SPAN_TOOL} {tool}".rstrip(), start, end, attributes)


def _segments(trace: TurnTrace) -> Iterator[_Part]:
    model = _model(trace, n.SPAN_TTS, n.TTS_MODEL, n.TTS_PROVIDER)
    for segment in calls(trace.marks, "seg"):
        start, end = (trace.marks.get(n.numbered("seg", segment, moment)) for moment in (n.TEXT_READY, n.TTS_END))
        attributes = {
            **model.attributes,
            n.SPEECH_VOICE: trace.facts.get(n.TTS_VOICE),
            n.VOICE_SEGMENT: segment,
        }
        yield _Part(f"seg{segment}", model.name, start, end, attributes, model.remote)


def _playback_end(marks: Mapping[str, int]) -> int | None:
    ends = (n.CLIENT_PLAYBACK_ENDED, n.CLIENT_PLAYBACK_STOPPED, n.BI_FLUSHED, n.LAST_AUDIO_SENT)
    return next((marks[end] for end in ends if end in marks), None)
