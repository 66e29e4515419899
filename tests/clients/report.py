"""What came of each scenario of each client, as lines, as a table and as one closing line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, cast

Outcome: TypeAlias = Literal["PASS", "FAIL", "NONE"]

SCENARIOS: Final = (
    "text turn",
    "voice turn",
    "manual commit",
    "tool round trip",
    "barge-in",
    "bad key",
    "client secret",
    "transcription",
    "text over HTTP",
    "strict events",
)
"""What a driver tells of its client."""
RULES: Final = "event order"
"""What the runner finds in the frames that a driver saw."""
COLUMNS: Final = (*SCENARIOS, RULES)
SIGNS: Final = {"PASS": "pass", "FAIL": "FAIL", "NONE": "–"}
_LINE: Final = re.compile(r"(?P<outcome>PASS|FAIL|NONE) (?P<scenario>[^:]+): (?P<detail>.*)")


@dataclass(frozen=True, slots=True)
class Result:
    """`outcome` NONE: the client has nothing of the kind, and `detail` says why."""

    outcome: Outcome
    client: str
    scenario: str
    detail: str

    def __str__(self) -> str:
        return f"{self.outcome} {self.client} {self.scenario}: {self.detail}"


def parsed(client: str, line: str) -> Result | None:
    """What a driver's line says; None for one that is no result."""
    match = _LINE.fullmatch(line.rstrip())
    if match is None:
        return None
    return Result(cast("Outcome", match["outcome"]), client, match["scenario"], match["detail"])


@dataclass(slots=True)
class Report:
    results: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        self.results.append(result)
        print(result, flush=True)  # noqa: T201

    def missing(self, client: str, scenarios: tuple[str, ...] = SCENARIOS) -> None:
        """A scenario that the driver said nothing of has failed."""
        told = {result.scenario for result in self.results if result.client == client}
        for scenario in scenarios:
            if scenario not in told:
                self.add(Result("FAIL", client, scenario, "the driver ended before it"))

    @property
    def failed(self) -> int:
        return Counter(result.outcome for result in self.results)["FAIL"]

    def lines(self) -> Iterator[str]:
        """The table and the closing line."""
        outcomes = {(result.client, result.scenario): SIGNS[result.outcome] for result in self.results}
        clients = list(dict.fromkeys(result.client for result in self.results if result.client != "docs"))
        width = max(map(len, clients), default=0) + 2
        yield " " * width + "  ".join(COLUMNS)
        for client in clients:
            cells = [outcomes.get((client, scenario), "").center(len(scenario)) for scenario in COLUMNS]
            yield f"{client.ljust(width)}{'  '.join(cells)}".rstrip()
        passed = Counter(result.outcome for result in self.results)["PASS"]
        yield f"{passed} passed, {self.failed} failed"
