"""What a listener waited for: the way from the end of their speech to the first sound of the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from telemetry.names import (
    EOT_DECIDED,
    FIRST_AUDIO_SENT,
    FIRST_TOKEN,
    REQUEST_SENT,
    RETRIEVAL_END,
    STT_FINAL,
    TEXT_READY,
    TTS_FIRST_AUDIBLE,
    TTS_FIRST_BYTE,
    TURN_COMMITTED,
    VAD_STOP,
    Owner,
    numbered,
)

_CALL = re.compile(r"(llm|tool|seg)\[(\d+)\]\.")


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the way. `start_us` is an offset from the turn's opening; both numbers are µs."""

    name: str
    owner: Owner
    start_us: int
    duration_us: int


def critical_path(marks: Mapping[str, int], *, start: int, end: int) -> tuple[Step, ...]:
    """The steps from `start` to `end` (µs), whose durations sum to exactly `end` - `start`.

    A step ends at its mark; one that lies behind the steps before it took no time of its own. What is
    left after the last mark is the network's and the player's.
    """
    steps: list[Step] = []
    cursor = start
    for name, owner, mark in _boundaries(marks):
        reached = min(max(mark, cursor), end)
        steps.append(Step(name, owner, cursor, reached - cursor))
        cursor = reached
    if cursor < end:
        steps.append(Step("network_playout", "network", cursor, end - cursor))
    return tuple(steps)


def winning_call(marks: Mapping[str, int]) -> int | None:
    """The LLM call that gave the first words spoken: the last whose first token came before them."""
    spoken = marks.get(numbered("seg", 0, TEXT_READY))
    tokens = {n: at for n in calls(marks, "llm") if (at := marks.get(numbered("llm", n, FIRST_TOKEN))) is not None}
    in_time = [n for n, at in tokens.items() if spoken is None or at <= spoken]
    return max(in_time, default=None)


def calls(marks: Mapping[str, int], group: str) -> list[int]:
    """The numbers of `group` ("llm", "tool", "seg") that left any mark, in order."""
    found = (_CALL.match(name) for name in marks)
    return sorted({int(match[2]) for match in found if match and match[1] == group})


def _boundaries(marks: Mapping[str, int]) -> Iterator[tuple[str, Owner, int]]:
    winner = winning_call(marks)
    first, tools_end = _before_winner(marks, winner)
    ordered: tuple[tuple[str, Owner, int | None], ...] = (
        ("vad_hangover", "setting", marks.get(VAD_STOP)),
        ("stt_finalize", "stt", marks.get(STT_FINAL)),
        ("endpointing_wait", "turn_detector", marks.get(EOT_DECIDED)),
        ("commit", "platform", marks.get(TURN_COMMITTED)),
        ("retrieval", "retrieval", _retrieved(marks, first)),
        ("llm_queue", "llm", _of_call(marks, first, REQUEST_SENT)),
        ("tool_rounds", "tool", tools_end),
        ("llm_ttft", "llm", _of_call(marks, winner, FIRST_TOKEN)),
        ("sentence", "setting", marks.get(numbered("seg", 0, TEXT_READY))),
        ("tts_ttfb", "tts", marks.get(numbered("seg", 0, TTS_FIRST_BYTE))),
        ("tts_silence", "tts", marks.get(numbered("seg", 0, TTS_FIRST_AUDIBLE))),
        ("pacing", "platform", marks.get(FIRST_AUDIO_SENT)),
    )
    return ((name, owner, at) for name, owner, at in ordered if at is not None)


def _before_winner(marks: Mapping[str, int], winner: int | None) -> tuple[int | None, int | None]:
    """The call that opened the rounds of tools before the winner, and when those rounds ended.

    Rounds include the calls that asked for the tools. A brain without an LLM has no winner; then the
    tools count that ended before the first words.
    """
    until = marks.get(numbered("seg", 0, TEXT_READY)) if winner is None else _of_call(marks, winner, REQUEST_SENT)
    if until is None:
        return winner, None
    ran = [(_tool(marks, n, "start"), end) for n in calls(marks, "tool") if (end := _tool(marks, n, "end")) is not None]
    before = [(start, end) for start, end in ran if end <= until]
    if not before:
        return winner, None
    if winner is None:
        return None, max(end for _, end in before)
    began = min(end if start is None else start for start, end in before)
    sent = {n: _of_call(marks, n, REQUEST_SENT) for n in calls(marks, "llm")}
    asked = [n for n, at in sent.items() if at is not None and at <= began]
    return max(asked, default=winner), until


def _retrieved(marks: Mapping[str, int], call: int | None) -> int | None:
    """The end of a retrieval that was waited for: by an LLM call, or else by the first words."""
    at = marks.get(RETRIEVAL_END)
    until = marks.get(numbered("seg", 0, TEXT_READY)) if call is None else _of_call(marks, call, REQUEST_SENT)
    return at if at is None or until is None or at <= until else None


def _of_call(marks: Mapping[str, int], n: int | None, moment: str) -> int | None:
    return None if n is None else marks.get(numbered("llm", n, moment))


def _tool(marks: Mapping[str, int], n: int, moment: str) -> int | None:
    return marks.get(numbered("tool", n, moment))
