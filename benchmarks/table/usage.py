"""What a server's process, with its children, uses while a run measures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import psutil

SAMPLE_S: Final = 1.0


@dataclass(slots=True)
class Usage:
    """Second by second: share of one core, and resident MB (of 10^6 bytes)."""

    cpu: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)

    def busiest(self) -> float:
        """The largest share over three seconds."""
        windows = [sum(self.cpu[n : n + 3]) / 3 for n in range(len(self.cpu) - 2)]
        return max(windows, default=0.0)


@contextmanager
def using(pid: int) -> Iterator[Usage]:
    """Sample once a second, in a thread, until the end of the block."""
    seen, ended = Usage(), threading.Event()

    def sample() -> None:
        before = _cpu_s(pid)
        while not ended.wait(SAMPLE_S):
            after = _cpu_s(pid)
            seen.cpu.append((after - before) / SAMPLE_S)
            seen.rss_mb.append(rss_mb(pid))
            before = after

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def rss_mb(pid: int) -> float:
    return sum(one.memory_info().rss for one in _tree(pid)) / 1e6


def _cpu_s(pid: int) -> float:
    return sum(one.cpu_times().user + one.cpu_times().system for one in _tree(pid))


def _tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]
