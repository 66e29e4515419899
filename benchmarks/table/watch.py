"""Who else uses the processor while a run measures.

A sample reads the CPU time of every process in /proc. What is no descendant of this process, nor one of the
kernel's own threads, is a stranger, and so is what the hypervisor gives to others. Linux only.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
SAMPLE_S: Final = 1.0
WINDOW_S: Final = 5
"""Seconds over which a stranger's use is averaged: a shell prompt may blink."""
LIMIT: Final = 0.10
KERNEL_PID: Final = 2


@dataclass(frozen=True, slots=True)
class Process:
    """`cpu_s` is what it has used since its start."""

    parent: int
    name: str
    cpu_s: float


@dataclass(slots=True)
class Watch:
    """`shares` are the strangers' shares of one core, second by second; `names` has the worst of each."""

    shares: list[float] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def worst(self) -> float:
        """The largest mean share over five seconds."""
        window: deque[float] = deque(maxlen=WINDOW_S)
        means = []
        for share in self.shares:
            window.append(share)
            means.append(sum(window) / len(window) if len(window) == WINDOW_S else 0.0)
        return max(means, default=0.0)

    def fault(self) -> str:
        """Why the run is void, or nothing."""
        if (worst := self.worst()) <= LIMIT:
            return ""
        busiest = self.names[max(range(len(self.shares)), key=self.shares.__getitem__)]
        return f"others took {worst:.0%} of a core ({busiest})"


@contextmanager
def watching() -> Iterator[Watch]:
    """Sample once a second, in a thread, until the end of the block."""
    seen, ended = Watch(), threading.Event()

    def sample() -> None:
        before, stolen = processes(), stolen_s()
        while not ended.wait(SAMPLE_S):
            after, stolen_now = processes(), stolen_s()
            used = strangers(before, after, os.getpid())
            used["the hypervisor"] = stolen_now - stolen
            seen.shares.append(sum(used.values()) / SAMPLE_S)
            seen.names.append(max(used, key=used.__getitem__))
            before, stolen = after, stolen_now

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def strangers(before: Mapping[int, Process], after: Mapping[int, Process], us: int) -> dict[str, float]:
    """Seconds of CPU time between two samples by name, of all that is neither ours nor the kernel's."""
    used: dict[str, float] = {}
    for pid, process in after.items():
        if not _below(pid, {us, KERNEL_PID}, after):
            earlier = before[pid].cpu_s if pid in before else 0.0
            used[process.name] = used.get(process.name, 0.0) + process.cpu_s - earlier
    return used


def _below(pid: int, roots: set[int], tree: Mapping[int, Process]) -> bool:
    while pid not in roots:
        if pid not in tree:
            return False
        pid = tree[pid].parent
    return True


def processes() -> dict[int, Process]:
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                found[int(folder.name)] = parsed((folder / "stat").read_text())
            except OSError:  # it has just ended
                continue
    return found


def parsed(stat: str) -> Process:
    """A line of /proc/PID/stat; the name in its parentheses may hold anything, spaces and parentheses too."""
    name, _, rest = stat[stat.index("(") + 1 :].rpartition(")")
    fields = rest.split()
    return Process(parent=int(fields[1]), name=name, cpu_s=(int(fields[11]) + int(fields[12])) / TICKS_PER_S)


def stolen_s() -> float:
    """Seconds that the hypervisor kept the machine's cores from running, all together."""
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) / TICKS_PER_S
