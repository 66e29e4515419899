"""When a brain looked something up, and where: for the trace of its turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from agents.spec import AgentSpec
from telemetry.trace import TurnMarks


@contextmanager
def retrieval(spec: AgentSpec, marks: TurnMarks) -> Iterator[None]:
    """Marks what runs inside as the turn's retrieval. Of several in one turn, the last counts."""
    marks.fact("retrieval_source", ",".join(spec.knowledge))
    marks.move("retrieval.start")
    try:
        yield
    finally:
        marks.move("retrieval.end")
