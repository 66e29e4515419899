"""A turn as a picture: one bar a stage on an axis in ms, and the critical path on top, coloured by its owners.

The axis counts from the end of the user's speech, or from the turn's opening if nobody spoke. Colours hold on
a light and on a dark page; letters take the page's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from telemetry import names as n
from telemetry.critical_path import calls
from telemetry.trace import TurnTrace

COLOURS: Final[dict[n.Owner, str]] = {
    "setting": "#8d95a5",
    "stt": "#0d9488",
    "turn_detector": "#d97706",
    "retrieval": "#65a30d",
    "llm": "#8b5cf6",
    "tool": "#db2777",
    "tts": "#3b82f6",
    "platform": "#ef4444",
    "network": "#0891b2",
}
USER: Final = "#64748b"

WIDTH: Final = 960
LEFT: Final = 130
RIGHT: Final = 24
ROW: Final = 22
BAR: Final = 14
TOP: Final = 34
LETTER: Final = 6.4  # the width of one at 11 px, roughly


@dataclass(frozen=True, slots=True)
class _Bar:
    lane: str
    start: int
    end: int
    colour: str
    label: str


def waterfall(trace: TurnTrace) -> str:
    """An `<svg>` element for a page; everything in it is escaped."""
    zero, first, last = _window(trace)
    bars = [bar for bar in (*_path(trace), *_stages(trace)) if bar.end >= first and bar.start <= last]
    lanes = list(dict.fromkeys(bar.lane for bar in bars))
    height = TOP + ROW * (len(lanes) + 1)
    scale = (WIDTH - LEFT - RIGHT) / (last - first)

    def x(at: int) -> float:
        return LEFT + (min(max(at, first), last) - first) * scale

    key = escape(trace.span_id, quote=True)
    rows = [(lane, TOP + ROW * row) for row, lane in enumerate(lanes)]
    parts = [
        f"<title id='wt-{key}'>{escape(_title(trace))}</title>",
        f"<desc id='wd-{key}'>{escape(_description(trace))}</desc>",
        *(_tick(x(at + zero), at, height, strong=at == 0) for at in _ticks(first - zero, last - zero)),
        *(
            f"<text x='{LEFT - 8}' y='{y + 11}' text-anchor='end'>{escape(lane)}</text>"
            for lane, y in [*rows, ("marks", height - ROW)]
        ),
        *(_lane([bar for bar in bars if bar.lane == lane], x, y) for lane, y in rows),
        *(_moment(name, at - zero, x(at), height - ROW) for name, at in trace.marks.items() if first <= at <= last),
    ]
    return (
        f"<svg class='waterfall' viewBox='0 0 {WIDTH} {height}' role='img' aria-labelledby='wt-{key} wd-{key}' "
        f"xmlns='http://www.w3.org/2000/svg' font-size='11' fill='currentColor'>{''.join(parts)}</svg>"
    )


def _window(trace: TurnTrace) -> tuple[int, int, int]:
    """(zero, first, last) in µs: the wait and some of what is around it, or else the whole turn."""
    marks = trace.marks
    zero = marks.get(n.USER_SPEECH_END, 0)
    if n.VOICE_TO_VOICE in trace.latencies:
        wait = max(trace.latencies[n.VOICE_TO_VOICE], 200_000)
        return zero, zero - wait // 4, zero + wait * 5 // 4
    end = marks.get(n.FIRST_AUDIO_SENT, marks.get(n.TURN_CLOSE, 0))
    return zero, min(0, zero), max(end * 5 // 4, zero + 100_000)


def _path(trace: TurnTrace) -> Iterator[_Bar]:
    for step in trace.path:
        if step.duration_us:
            yield _Bar(
                "critical path",
                step.start_us,
                step.start_us + step.duration_us,
                COLOURS[step.owner],
                step.name.replace("_", " "),
            )


def _stages(trace: TurnTrace) -> Iterator[_Bar]:
    marks = trace.marks
    end = marks.get(n.TURN_CLOSE, 0)
    settled: tuple[tuple[str, str, str, str, str], ...] = (
        ("user speaks", n.USER_SPEECH_START, n.USER_SPEECH_END, USER, "speech"),
        ("voice activity", n.USER_SPEECH_END, n.VAD_STOP, COLOURS["setting"], "hangover"),
        ("speech to text", n.USER_SPEECH_END, n.STT_FINAL, COLOURS["stt"], "final transcript"),
        ("end of turn", n.USER_SPEECH_END, n.EOT_DECIDED, COLOURS["turn_detector"], "decided"),
        ("optimistic reply", n.SPEC_STARTED, n.TURN_COMMITTED, COLOURS["setting"], "unheard"),
        ("commit", n.EOT_DECIDED, n.TURN_COMMITTED, COLOURS["platform"], "committed"),
        ("retrieval", n.RETRIEVAL_START, n.RETRIEVAL_END, COLOURS["retrieval"], "search"),
    )
    for lane, start, stop, colour, label in settled:
        if start in marks and stop in marks:
            yield _Bar(lane, marks[start], max(marks[start], marks[stop]), colour, label)
    for group, lane, label, first, last, colour in (
        ("llm", "LLM", "call", n.REQUEST_SENT, n.END, COLOURS["llm"]),
        ("tool", "tools", "tool", n.START, n.END, COLOURS["tool"]),
        ("seg", "text to speech", "segment", n.TEXT_READY, n.TTS_END, COLOURS["tts"]),
    ):
        for call in calls(marks, group):
            begun = marks.get(n.numbered(group, call, first))
            if begun is not None:
                ended = marks.get(n.numbered(group, call, last), end)
                yield _Bar(lane, begun, max(begun, ended), colour, f"{label} {call + 1}")
    if n.FIRST_AUDIO_SENT in marks:
        sent = marks[n.FIRST_AUDIO_SENT]
        yield _Bar("audio out", sent, max(sent, marks.get(n.LAST_AUDIO_SENT, end)), COLOURS["platform"], "audio sent")


def _lane(bars: Sequence[_Bar], x: Callable[[int], float], y: int) -> str:
    """The bars of one lane; a label has the room up to the next bar."""
    limits = [*(x(bar.start) for bar in bars[1:]), float(WIDTH)]
    return "".join(_bar(bar, x(bar.start), x(bar.end), limit, y) for bar, limit in zip(bars, limits, strict=True))


def _bar(bar: _Bar, left: float, right: float, limit: float, y: int) -> str:
    width = max(right - left, 1.5)
    ms = f"{(bar.end - bar.start) / 1000:.0f} ms"
    room = (min(right, limit) - left - 8) / LETTER
    said = next((label for label in (f"{bar.label} {ms}", ms) if len(label) <= room), "")
    text = f"<text x='{left + 4:.1f}' y='{y + 11}' fill='#fff' font-size='10'>{escape(said)}</text>" if said else ""
    return (
        f"<g><title>{escape(bar.label)}: {ms}</title><rect x='{left:.1f}' y='{y}' width='{width:.1f}' "
        f"height='{BAR}' rx='2' fill='{bar.colour}' stroke='#fff' stroke-opacity='0.35'/>{text}</g>"
    )


def _moment(name: str, at: int, x: float, y: int) -> str:
    """A mark: a small triangle that points at its moment on the axis."""
    return (
        f"<g><title>{escape(name)}: {at / 1000:.0f} ms</title>"
        f"<path d='M{x:.1f} {y + 2} l4 9 h-8 z' fill-opacity='0.7'/></g>"
    )


def _tick(x: float, at: int, height: int, *, strong: bool) -> str:
    label = f"{at // 1000} ms"
    return (
        f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{TOP - 8}' y2='{height - ROW}' stroke='currentColor' "
        f"stroke-opacity='{0.6 if strong else 0.15}'/>"
        f"<text x='{x:.1f}' y='{TOP - 14}' text-anchor='middle' fill-opacity='0.75'>{label}</text>"
    )


def _ticks(first: int, last: int) -> range:
    """Round numbers of µs between two offsets, about eight of them."""
    about = (last - first) / 8
    step = next((size for size in _STEPS if size >= about), _STEPS[-1])
    return range(-(-first // step) * step, last + 1, step)


_STEPS: Final = [base * 10**power for power in range(3, 8) for base in (1, 2, 5)]


def _title(trace: TurnTrace) -> str:
    heard = trace.latencies.get(n.VOICE_TO_VOICE)
    return f"Turn {trace.index}: " + (
        f"answered after {heard / 1000:.0f} ms ({trace.provenance})" if heard is not None else trace.kind
    )


def _description(trace: TurnTrace) -> str:
    steps = (f"{step.name} {step.duration_us / 1000:.0f} ms ({step.owner})" for step in trace.path)
    return ", ".join(steps) or f"No spoken answer was waited for: {trace.end_reason}."
