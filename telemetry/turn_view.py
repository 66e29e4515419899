"""A stored turn as its pages show it."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.safestring import SafeString, mark_safe

from telemetry import names as n
from telemetry.models import Turn
from telemetry.trace import TurnTrace
from telemetry.waterfall import COLOURS, waterfall


@dataclass(frozen=True, slots=True)
class Figure:
    """A latency in ms, and where it was measured."""

    name: str
    ms: float
    provenance: str


@dataclass(frozen=True, slots=True)
class PathStep:
    name: str
    owner: str
    colour: str
    ms: float


WORDS_BY = {"voice": "as the voice placed them", "estimated": "placed by their length"}


@dataclass(frozen=True, slots=True)
class Stretch:
    """How far an answer's audio got in one respect, and who says so."""

    name: str
    ms: int
    words: int
    told_by: str


@dataclass(frozen=True, slots=True)
class TurnView:
    """`picture` and `path` need the trace, which is kept for a shorter time than the figures."""

    turn: Turn
    trace: TurnTrace | None
    picture: SafeString | None
    path: list[PathStep]
    figures: list[Figure]

    @classmethod
    def of(cls, turn: Turn) -> TurnView:
        trace = TurnTrace.from_dict(turn.trace) if turn.trace else None
        steps = trace.path if trace else ()
        return cls(
            turn=turn,
            trace=trace,
            picture=mark_safe(waterfall(trace)) if trace else None,  # noqa: S308 - waterfall() escapes
            path=[PathStep(words(s.name), words(s.owner), COLOURS[s.owner], s.duration_us / 1000) for s in steps],
            figures=[Figure(words(name), us / 1000, _provenance(turn, name)) for name, us in turn.latencies().items()],
        )

    @property
    def marks(self) -> list[tuple[str, float]]:
        """Every mark with its ms from the turn's opening, in order."""
        return [(name, us / 1000) for name, us in self.trace.marks.items()] if self.trace else []

    @property
    def playback(self) -> list[Stretch]:
        """How far the answer's audio got; empty for a turn without, or whose facts are past their retention."""
        facts = self.trace.facts if self.trace else {}
        if n.DELIVERED_MS not in facts:
            return []
        heard_by = f"{facts.get(n.HEARD_BY)}, words {WORDS_BY.get(str(facts.get(n.WORDS_BY)))}"
        return [
            Stretch(name, round(float(facts.get(ms, 0))), round(float(facts.get(count, 0))), told_by)
            for name, ms, count, told_by in (
                ("generated", n.GENERATED_MS, n.WORDS_GENERATED, "server"),
                ("released", n.RELEASED_MS, n.WORDS_RELEASED, "server"),
                ("delivered", n.DELIVERED_MS, n.WORDS_DELIVERED, "server"),
                ("heard", n.PLAYED_MS, n.WORDS_HEARD, heard_by),
            )
        ]


def words(name: str) -> str:
    return name.replace("_", " ")


def _provenance(turn: Turn, name: str) -> str:
    if name in (n.VOICE_TO_VOICE, n.PLAYOUT_DELAY):
        return words(turn.provenance)
    return words(turn.stop_provenance) if name == n.STOP_DELAY else "server"
