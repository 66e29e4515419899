"""What the parts of the table share: steady runs, raw files, progress."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, TypeVar

from benchmarks.load.run import Run
from benchmarks.stand import Stand
from benchmarks.table.watch import watching

ATTEMPTS: Final = 3


class Found(Protocol):
    """What a run gave: a frozen dataclass. `void` says why it stands for nothing, or is empty."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def void(self) -> str: ...

    def told(self) -> str:
        """In a line."""


F = TypeVar("F", bound=Found)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is run. `rounds` of A B A B …; `seconds` of a run of one session, of a run of many, of a conversation
    whose memory is measured; `interruptions` in each mode."""

    rounds: int = 4
    seconds: float = 57.0
    crowd_seconds: float = 36.0
    talk_seconds: float = 300.0
    interruptions: int = 100
    memory_sessions: tuple[int, int] = (10, 50)
    most_sessions: int = 200

    def changed(self, **values: Any) -> Sizes:
        """With those of the values that are given."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})


QUICK: Final = Sizes(
    rounds=1,
    seconds=22.0,
    crowd_seconds=22.0,
    talk_seconds=30.0,
    interruptions=10,
    memory_sessions=(5, 15),
)


@dataclass(frozen=True, slots=True)
class Bench:
    """Raw files go into `folder`, a line of JSON a run, a file a part. Void runs are among them, and say why; they
    are tried again up to `attempts` times, and left out of the table unless `keep_void`. `peer`: is it measured too?
    `capacity`: sessions that a server was found to hold, for the parts that come after."""

    folder: Path
    sizes: Sizes
    attempts: int = ATTEMPTS
    keep_void: bool = False
    peer: bool = True
    capacity: dict[str, int] = field(default_factory=dict)

    def counts(self, run: Found) -> bool:
        """Whether its figures enter the table."""
        return self.keep_void or not run.void

    def say(self, text: str) -> None:
        sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
        sys.stderr.flush()

    def record(self, part: str, **values: Any) -> None:
        with (self.folder / f"{part}.jsonl").open("a") as file:
            file.write(json.dumps(values) + "\n")

    def load(self, part: str, stand: Stand, **values: Any) -> Run:
        """A run that is not void, or the last one tried: then its `void` still says why."""
        return self.steady(part, stand.name, lambda: stand.load(**values))

    def steady(self, part: str, name: str, run: Callable[[], F]) -> F:
        for attempt in range(1, self.attempts):
            if not (found := self._tried(part, name, run, attempt)).void:
                return found
        return self._tried(part, name, run, self.attempts)

    def _tried(self, part: str, name: str, run: Callable[[], F], attempt: int) -> F:
        with watching() as watch:
            found = run()
        faults = [fault for fault in (found.void, watch.fault()) if fault]
        found = replace(found, void="; ".join(faults))
        self.record(part, name=name, attempt=attempt, strangers=watch.shares, **asdict(found))
        self.say("; ".join([f"{part}: {name}, {found.told()}", *([f"VOID: {found.void}"] if faults else [])]))
        return found
