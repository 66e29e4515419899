"""How quickly a turn ends against how often it is cut off, for each setting that an agent may have.

    python -m benchmarks.turn_taking [--svg docs/images/turn-taking.svg]

Recorded utterances with the pauses inside of them (benchmarks/clips.py) run through the listening half of a session:
the real VAD, end-of-turn model and Whisper, on virtual time, in which a transcript takes 250 ms and a judgement 60. So
it is faster than real time, the same on every machine, and the latencies hold no queueing.

"cut" is the share of utterances whose turn ended before they did. "decided" counts from the last sound to the end of
the turn; "answerable" to when the words are in as well: before that no reply can be heard.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agents.audio import Audio, join
from agents.providers.scripted import ScriptedSTT
from agents.spec import TurnDetection
from benchmarks.clips import RATE, Kind, Utterance, in_a_room, utterances
from benchmarks.load.figures import percentile
from benchmarks.offline_ears import offline_ears, offline_stt
from sessions.pipeline.findings import Transcribed, UserCommitted
from sessions.pipeline.listening import Ears
from tests.listening import Found, listen, of
from tests.virtual_time import run

KINDS: tuple[Kind, ...] = ("natural", "hesitant", "dictated")
LEAD_MS = 500
AFTER_MS = 4_500


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    detection: TurnDetection
    words: bool = True


SETTINGS = [
    *(
        Setting(f"server_vad {ms}", TurnDetection(silence_duration_ms=ms), False)
        for ms in (200, 300, 400, 500, 700, 1000)
    ),
    *(Setting(f"semantic_vad {e}", TurnDetection(type="semantic_vad", eagerness=e)) for e in ("high", "auto", "low")),
    Setting("semantic_vad auto, deaf to words", TurnDetection(type="semantic_vad"), words=False),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: Kind
    cut: bool
    decided_ms: float
    answerable_ms: float


def outcome(utterance: Utterance, setting: Setting, ears: Ears) -> Outcome | None:
    """None if nothing was heard of it."""
    lead, after = (Audio.silence(ms, RATE) for ms in (LEAD_MS, AFTER_MS))
    found = run(listen(in_a_room(join([lead, utterance.audio, after], RATE)), setting.detection, ears))
    end_ms = LEAD_MS + utterance.audio.ms
    turns = of(UserCommitted, found)
    if not turns:
        return None
    last_ms, last = turns[-1]
    return Outcome(
        utterance.kind,
        any(ms < end_ms for ms, _ in turns),
        last_ms - end_ms,
        max(last_ms, _words_ms(found, last)) - end_ms,
    )


def _words_ms(found: Sequence[Found], turn: UserCommitted) -> float:
    return max(ms for ms, heard in of(Transcribed, list(found)) if heard.utterance is turn.utterance)


def measure(setting: Setting, ears: Ears, said: Sequence[Utterance]) -> list[Outcome]:
    found = (outcome(utterance, setting, ears) for utterance in said)
    return [one for one in found if one is not None]


def cut_share(outcomes: Sequence[Outcome], kind: Kind | None = None) -> float:
    of_kind = [one for one in outcomes if kind in (None, one.kind)]
    return 100 * sum(one.cut for one in of_kind) / len(of_kind)


def row(name: str, outcomes: Sequence[Outcome]) -> str:
    decided = [one.decided_ms for one in outcomes]
    answerable = [one.answerable_ms for one in outcomes]
    shares = " | ".join(f"{cut_share(outcomes, kind):.0f} %" for kind in (None, *KINDS))
    figures = " | ".join(f"{percentile(v, 0.5):.0f} / {percentile(v, 0.95):.0f}" for v in (decided, answerable))
    return f"| {name} | {shares} | {figures} |"


# --- the picture ---------------------------------------------------------------------------------

WIDTH, HEIGHT, MARGIN = 760, 420, 60


@dataclass(frozen=True, slots=True)
class Point:
    """A setting: ms until an answer may begin, and the share cut off in per cent."""

    name: str
    p50: float
    p95: float
    share: float


def picture(points: Sequence[Point]) -> str:
    """An SVG: a dot at each median, a thin line from it to the 95th percentile."""
    most_ms = max(point.p95 for point in points) * 1.1
    most_share = max(10.0, *(point.share * 1.1 for point in points))

    def x(ms: float) -> float:
        return MARGIN + ms / most_ms * (WIDTH - 2 * MARGIN)

    def y(share: float) -> float:
        return HEIGHT - MARGIN - share / most_share * (HEIGHT - 2 * MARGIN)

    below = "ms from the last sound until an answer may begin: median, and line to the 95th percentile"
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/><g font-size="12">',
        f'<path d="M{MARGIN} {MARGIN}V{HEIGHT - MARGIN}H{WIDTH - MARGIN}" fill="none" stroke="#333"/>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 14}" text-anchor="middle">{below}</text>',
        f'<text x="{MARGIN}" y="{MARGIN - 18}">utterances cut off, %</text>',
    ]
    drawn += (
        f'<text x="{x(ms):.0f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle" fill="#555">{ms}</text>'
        for ms in range(0, int(most_ms), 400)
    )
    drawn += (
        f'<text x="{MARGIN - 8}" y="{y(share) + 4:.0f}" text-anchor="end" fill="#555">{share}</text>'
        for share in range(0, int(most_share) + 1, 10)
    )
    for point in points:
        colour, at = "#1d4ed8" if point.name.startswith("semantic") else "#b45309", y(point.share)
        drawn += (
            f'<path d="M{x(point.p50):.1f} {at:.1f}H{x(point.p95):.1f}" stroke="{colour}"/>',
            f'<circle cx="{x(point.p50):.1f}" cy="{at:.1f}" r="4" fill="{colour}"/>',
            f'<text x="{x(point.p50) + 8:.1f}" y="{at - 5:.1f}" fill="{colour}">{point.name}</text>',
        )
    return "\n".join([*drawn, "</g></svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--svg", type=Path, help="draw the curve here")
    parser.add_argument("--every", type=int, default=1, help="only every n-th utterance")
    options = parser.parse_args()
    points = list[Point]()
    with tempfile.TemporaryDirectory() as name:
        stt = offline_stt(Path(name))
        ears = offline_ears(stt)
        said = utterances(stt.text_of)[:: options.every]
        print(f"{len(said)} utterances:", ", ".join(f"{sum(u.kind == kind for u in said)} {kind}" for kind in KINDS))
        print("\n| setting | cut | natural | hesitant | dictated | decided p50 / p95 | answerable p50 / p95 |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        deaf = replace(ears, stt=ScriptedSTT(["That was it."], final_s=0.25))
        for setting in SETTINGS:
            outcomes = measure(setting, ears if setting.words else deaf, said)
            print(row(setting.name, outcomes), flush=True)
            waits = [one.answerable_ms for one in outcomes]
            points.append(Point(setting.name, percentile(waits, 0.5), percentile(waits, 0.95), cut_share(outcomes)))
    if options.svg:
        options.svg.write_text(picture([point for point in points if "deaf" not in point.name]))


if __name__ == "__main__":
    main()
