"""What is wrong with an agent's rules and feed, found before it is saved."""

from __future__ import annotations

from collections.abc import Iterator

from agents.brain import rules_brain
from agents.errors import ConfigurationError
from agents.spec import AgentSpec
from agents.structured import OutputSchema


def problems(spec: AgentSpec) -> Iterator[tuple[str, str]]:
    """(dotted path, message)"""
    yield from rules_brain.problems(spec)
    if spec.brain == "rules" and not spec.rules:
        yield "rules", 'brain "rules" needs at least one rule'
    if spec.feed.mode != "off" and spec.brain == "answers":
        yield "feed.mode", 'brain "answers" cannot decide on events; "rules" and "llm" can'
    if spec.feed.schema:
        try:
            OutputSchema(spec.feed.schema)
        except ConfigurationError as error:
            yield "feed.schema", str(error)
        if spec.feed.mode == "speech":
            yield "feed.schema", "this agent speaks its decisions, and JSON cannot be spoken"
    names = [series.name for series in spec.feed.series]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield f"feed.series[{index}].name", f'there is "{name}" already'
