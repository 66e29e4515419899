"""What each further session costs in memory, after a conversation of five minutes in all of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Final

from benchmarks.stand import Stand, pipecat, repartee, scripted
from benchmarks.table.bench import Bench
from benchmarks.table.rows import Row, times
from benchmarks.table.usage import using

PERIOD_S: Final = 10.0
SERVER = Callable[[], AbstractContextManager[Stand]]


def slope_mb(few: tuple[int, float], many: tuple[int, float]) -> float:
    """MB a session between two points (sessions, MB)."""
    return (many[1] - few[1]) / (many[0] - few[0])


def measure(bench: Bench) -> list[Row]:
    with scripted() as base_url:
        ours = slope(bench, partial(repartee, base_url))
        bare = slope(bench, partial(repartee, base_url, settings={"REPARTEE_ITEM_AUDIO_ITEMS": "0"}))
        peer = slope(bench, partial(pipecat, base_url)) if bench.peer else None
    few, many = bench.sizes.memory_sessions
    minutes = bench.sizes.talk_seconds / 60
    figure = f"RSS from {few} to {many} sessions, after a conversation of {minutes:.1f} minutes"
    return [
        Row(
            name,
            f"{mb:.2f} MB a session",
            "–" if peer is None else f"{peer:.2f} MB a session",
            "–" if peer is None else times(peer, mb),
            reach=reach,
        )
        for name, mb, reach in ((figure, ours, "≤ 3 MB"), (f"{figure}, item audio not kept", bare, "≤ 1 MB"))
    ]


def slope(bench: Bench, server: SERVER) -> float:
    """MB a session."""
    few, many = (_rss_mb(bench, server, sessions) for sessions in bench.sizes.memory_sessions)
    return slope_mb(few, many)


def _rss_mb(bench: Bench, server: SERVER, sessions: int) -> tuple[int, float]:
    """A fresh server each time: what an allocator has kept of other sessions is not counted for these."""
    with server() as stand, using(stand.pid) as used:
        run = stand.load(sessions=sessions, seconds=bench.sizes.talk_seconds, period_s=PERIOD_S, ramp_s=5.0)
    rss = used.rss_mb[-2]
    bench.record("memory", name=stand.name, sessions=sessions, held=run.summary.held, rss_mb=used.rss_mb, cpu=used.cpu)
    bench.say(f"memory: {stand.name}, {sessions} sessions ({run.summary.held} held): {rss:.0f} MB")
    return run.summary.held, rss
