"""Voice to voice with one session, where its time goes, and the guard: none is cut who pauses briefly."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from benchmarks.harness import provider_log
from benchmarks.load.figures import Turn
from benchmarks.stand import FIVE_TOKENS, SILENCE_MS, Agent, Stand, pipecat, relay, repartee, scripted
from benchmarks.table.account import Account, accounted
from benchmarks.table.bench import Bench
from benchmarks.table.rows import Row, Spread, compared

PERIOD_S: Final = 5.5
GUARD_PAUSE_MS: Final = SILENCE_MS - 30
GUARD_SESSIONS: Final = 4
GUARD_S: Final = 42.0
FIVE: Final = f"reply={quote(FIVE_TOKENS, safe='')}"
PLAIN: Final = "latency: {optimistic: false}"
AGENTS: Final = (
    Agent("ten", more=PLAIN),
    Agent("five", more=PLAIN, script=FIVE),
    Agent("ten-optimistic"),
    Agent("five-optimistic", script=FIVE),
)


@dataclass(slots=True)
class Case:
    """One of those that take turns, and what was seen of it so far."""

    stand: Stand
    agent: str = ""
    waits: list[float] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    first: list[float] = field(default_factory=list)

    def take(self, turns: Sequence[Turn], accounts: Sequence[Account | None]) -> None:
        self.waits += [wait for turn in turns if (wait := turn.voice_to_voice_ms) is not None]
        self.accounts += [account for account in accounts if account is not None]

    def spread(self) -> Spread | None:
        return Spread.of(self.waits)

    def of(self, name: str) -> Spread | None:
        return Spread.of([getattr(account, name) for account in self.accounts])


def measure(bench: Bench) -> list[Row]:
    with ExitStack() as up:
        base_url = up.enter_context(scripted())
        ours = up.enter_context(repartee(base_url, AGENTS))
        floor = up.enter_context(relay(answer_ms=2_500))
        cases = {
            **({"peer": Case(up.enter_context(pipecat(base_url)))} if bench.peer else {}),
            "floor": Case(floor),
            **{agent.slug: Case(ours, agent.slug) for agent in AGENTS},
        }
        for _ in range(bench.sizes.rounds):
            for case in cases.values():
                take_turn(bench, case, base_url)
        return [*_rows(cases), *_guard(bench, ours, base_url)]


def take_turn(bench: Bench, case: Case, base_url: str) -> None:
    began = time.monotonic()
    changes = {"agent": case.agent} if case.agent else {}
    values = {"seconds": bench.sizes.seconds, "ramp_s": 1.0, "period_s": PERIOD_S, "warm_turns": 1}
    run = bench.load("latency", case.stand, **values, **changes)
    if not bench.counts(run):
        return
    log = [entry for entry in provider_log(base_url) if entry["received"] >= began]
    turns = [turn for visit in run.visits for turn in visit.turns]
    case.first += [wait for turn in turns[:1] if (wait := turn.voice_to_voice_ms) is not None]
    case.take(turns[1:], [accounted(turn, log, SILENCE_MS) for turn in turns[1:]])


def _rows(cases: dict[str, Case]) -> list[Row]:
    ten, peer = cases["ten"], cases.get("peer") or Case(cases["ten"].stand)
    floor = cases["floor"].spread()
    names = {
        "detection": ("turn detection past the silence wait", "≤ 35 / 60 ms"),
        "all_else": ("all else", "≤ 10 / 20 ms"),
        "hear_think": ("  STT's answer → LLM's request", "–"),
        "think_speak": ("  last token of the first chunk → TTS's request", "–"),
        "speak_client": ("  TTS's first byte → client", "–"),
    }

    def row(figure: str, name: str, reach: str = "–") -> Row:
        return compared(figure, cases[name].spread(), peer.spread(), floor=floor, reach=reach)

    return [
        row("voice to voice, first sentence of ten tokens, no optimism", "ten", "≤ 830 / 880 ms"),
        row("the same with optimistic replies", "ten-optimistic", "≤ 660 / 720 ms"),
        row("the same, first clause of five tokens ending in a comma", "five-optimistic", "≤ 560 / 620 ms"),
        row("five tokens and a comma, no optimism", "five"),
        compared("the first turn of a session, ten tokens, no optimism", Spread.of(ten.first), Spread.of(peer.first)),
        *(
            compared(f"overhead: {text}", ten.of(name), peer.of(name), reach=reach)
            for name, (text, reach) in names.items()
        ),
    ]


def _guard(bench: Bench, ours: Stand, base_url: str) -> list[Row]:
    """At least twenty utterances with a pause that is 30 ms shorter than the silence wait."""
    values = {"sessions": GUARD_SESSIONS, "seconds": GUARD_S, "period_s": 6.5, "pause_ms": GUARD_PAUSE_MS}
    mine = {name: bench.load("guard", ours, agent=name, **values).summary for name in ("ten", "ten-optimistic")}
    theirs = "–"
    if bench.peer:
        with pipecat(base_url, rtvi=True) as peer:
            seen = bench.load("guard", peer, **values).summary
            theirs = f"{seen.cut} of {seen.turns}"
    return [
        Row(
            f"guard: cut at an inner pause of {GUARD_PAUSE_MS} ms, agent {name}",
            f"{seen.cut} of {seen.turns}",
            theirs,
            reach="none",
        )
        for name, seen in mine.items()
    ]
