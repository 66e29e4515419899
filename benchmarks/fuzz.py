"""Hostile clients against a real server: sequences of good and broken events on many live sessions at once.

    python -m benchmarks.fuzz --sequences 100000 --seed 3 --at-once 32 --minutes 26
    python -m benchmarks.fuzz --seed 3 --only 4711      # what a failure said to run again

Agents answer through scripted providers, one of which breaks off, stalls or talks for long; the VAD is the embedded
one. All that the server says is held against `tests.invariants`, and each event must get the answer it is owed. At
the end nothing may be left of the clients. Exit code 1 if any of that fails: the sequence is then tried alone, cut
to the steps that it needs, and printed.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice, takewhile
from pathlib import Path
from random import Random

import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from benchmarks.harness import speech
from benchmarks.load.figures import percentile
from tests.fakes.scripted_server import ScriptedServer, scripted_server
from tests.faults.live import Agent, document
from tests.hostile.breaking import Frame
from tests.hostile.events import Kind, Sounds
from tests.hostile.sequences import Situation, Step, sequence
from tests.hostile.watching import Watch, perform, settled
from tests.invariants import Broken
from tests.processes import Server, manage, server

LONGEST_RUN = 25
"""Sequences on one connection, one after the other."""
SETTLE_S = 60.0
"""What a sequence gets to be answered in full, and the server to forget its clients."""
STEPS_S = 60.0
FAILURES = 5
TRIES = 60
SHRINK_S = 5.0
LOG_LINES = 12
WARM_S = 30.0
REPORT_S = 15.0
LONG = "Let me tell you all about it, one thing after the other. "
PATIENT = 0.15
"""Share of sequences whose responses are heard to their end; pacing makes that take as long as the speech."""
PROVIDERS: dict[str, dict[str, object]] = {
    "good": {"reply": "Yes.", "stt_ms": 20, "llm_first_ms": 5, "tts_first_ms": 5, "tts_speed": 0},
    "chatty": {"reply": LONG, "llm_first_ms": 20, "llm_tokens_per_s": 100, "tts_first_ms": 20, "tts_speed": 10},
    "calling": {"reply": "Done.", "tool": "look", "llm_first_ms": 5, "tts_first_ms": 5, "tts_speed": 0},
    "leaving": {"reply": LONG, "fault": "disconnect", "fault_after": 3},
    "stalling": {"reply": LONG, "fault": "stall", "fault_after": 2, "stt_ms": 20, "llm_first_ms": 5},
    "babbling": {"reply": LONG, "fault": "garbage", "fault_after": 2},
}
AGENTS = [
    Agent("quick"),
    Agent("chatty", llm="account: chatty, model: any", tts="account: chatty, model: tts-1"),
    Agent("calling", llm="account: calling, model: any"),
    Agent("fed", feed="mode: speech, deadline_ms: 500"),
    Agent("absent", llm="account: leaving, model: any"),
    Agent("mute", tts="account: stalling, model: tts-1"),
    Agent("deaf", stt="account: babbling, model: whisper-1", llm="account: babbling, model: any"),
]
KINDS: tuple[Kind, ...] = ("transcription", *(("realtime",) * 9))
OFTEN = ["quick", "quick", "quick", "chatty", "calling", "calling", *(agent.slug for agent in AGENTS)]


# --- what is to be done --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """One connection to `agent`, with the sequences from number `first` on; `rude` clients leave in the middle."""

    seed: int
    first: int
    count: int
    agent: str
    situation: Situation
    rude: bool

    def steps(self, number: int, sounds: Sounds) -> list[Step]:
        return sequence(Random(f"{self.seed}/{number}"), f"s{number}", self.situation, sounds)


def runs(seed: int) -> Iterator[Run]:
    """Without end, the same for the same seed."""
    r, first = Random(seed), 0
    while True:
        count = r.randint(1, LONGEST_RUN)
        agent = r.choice(OFTEN)
        situation = Situation(r.choice(KINDS), extensions=r.random() < 0.5, feed=agent == "fed")
        yield Run(seed, first, count, agent, situation, rude=r.random() < 0.2)
        first += count


@dataclass
class Failure:
    run: Run
    number: int
    reason: str
    said: list[str]


@dataclass
class Report:
    sequences: int = 0
    sent: int = 0
    received: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    settled_ms: list[float] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What was left of the clients at the end, or in the log."""

    def add(self, watch: Watch) -> None:
        self.sent += watch.sent
        self.received += watch.events
        self.kinds += watch.kinds

    @property
    def bad(self) -> bool:
        return bool(self.failures or self.left)


# --- doing it ------------------------------------------------------------------------------------


@asynccontextmanager
async def connected(running: Server, run: Run, watch: Watch) -> AsyncIterator[ClientConnection]:
    """A client whose watch sees all that it is sent; `Broken` ends it."""
    address = f"{running.ws_url}/v1/realtime?model={run.agent}"
    address += "&repartee=1" * run.situation.extensions + "&intent=transcription" * (
        run.situation.kind == "transcription"
    )
    headers = {"Authorization": f"Bearer {running.key}"}
    async with connect(
        address, additional_headers=headers, compression=None, max_size=None, proxy=None, open_timeout=30
    ) as socket:

        async def listen() -> None:
            async for message in socket:
                watch.takes(message)

        async with asyncio.TaskGroup() as group:
            listening = group.create_task(listen())
            yield socket
            listening.cancel()


async def one(number: int, steps: Sequence[Step], watch: Watch, socket: ClientConnection, within_s: float) -> float:
    """Perform one sequence; ms until all of it was answered."""
    async with asyncio.timeout(STEPS_S):
        await perform(steps, watch, socket.send)
    began = time.monotonic()
    in_haste = Random(number).random() > PATIENT
    await settled(f"s{number}", watch, socket.send, within_s=within_s, in_haste=in_haste)
    return (time.monotonic() - began) * 1000


async def perform_run(running: Server, run: Run, sounds: Sounds, report: Report, *, until: float) -> None:
    watch, number = Watch(), run.first
    try:
        async with connected(running, run, watch) as socket:
            for number in range(run.first, run.first + run.count):
                if time.monotonic() > until:
                    break
                steps = run.steps(number, sounds)
                if run.rude and number == run.first + run.count - 1:
                    await perform(steps, watch, socket.send)
                    socket.transport.abort()
                else:
                    report.settled_ms.append(await one(number, steps, watch, socket, SETTLE_S))
                report.sequences += 1
    except* (Broken, ConnectionClosed, InvalidHandshake, TimeoutError, OSError) as error:
        left = run.rude and number == run.first + run.count - 1 and not error.subgroup(Broken)
        if not left:
            report.failures.append(Failure(run, number, _reason(error), list(watch.last)))
            print(f"sequence {number} failed: {_reason(error)[:500]}", flush=True)
    report.add(watch)


def _reason(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_reason(inner) for inner in error.exceptions)
    return f"{type(error).__name__}: {error}"


async def fuzz(running: Server, todo: Iterator[Run], sounds: Sounds, *, at_once: int, until: float) -> Report:
    """Perform runs, `at_once` beside each other, until none are left, time is up, or too many have failed."""
    report, begun = Report(), time.monotonic()

    async def work() -> None:
        for run in todo:
            if time.monotonic() > until or len(report.failures) >= FAILURES or running.process.poll() is not None:
                return
            await perform_run(running, run, sounds, report, until=until)

    async def tell() -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            print(f"{time.monotonic() - begun:5.0f} s  {progress(running, report)}", flush=True)

    async with asyncio.TaskGroup() as group:
        telling = group.create_task(tell())
        async with asyncio.TaskGroup() as clients:
            for _ in range(at_once):
                clients.create_task(work())
        telling.cancel()
    return report


def progress(running: Server, report: Report) -> str:
    done = report.kinds["response.done"]
    return (
        f"{report.sequences:,} sequences, {report.sent:,} events sent, {report.received:,} received, "
        f"{done:,} responses done, {rss_mib(running):.0f} MiB, {len(report.failures)} failures"
    )


# --- what is left --------------------------------------------------------------------------------


def rss_mib(running: Server) -> float:
    with suppress(psutil.NoSuchProcess):
        return float(psutil.Process(running.process.pid).memory_info().rss) / 2**20
    return 0.0


def open_sockets(running: Server) -> int:
    """Of clients, in any state but listening and closed."""
    connections = psutil.Process(running.process.pid).net_connections("tcp")
    return sum(c.laddr.port == running.port and c.status not in ("LISTEN", "TIME_WAIT") for c in connections)


def open_sessions(running: Server) -> int:
    """Sessions that by their record have not ended."""
    with sqlite3.connect(f"file:{running.data / 'repartee.sqlite3'}?mode=ro", uri=True) as database:
        count: int = database.execute("SELECT count(*) FROM voice_sessions_session WHERE ended_at IS NULL").fetchone()[
            0
        ]
    return count


async def what_is_left(running: Server, *, log_from: int = 0) -> list[str]:
    """Of clients that are all gone: nothing, once the server has had time to notice."""
    if running.process.poll() is not None:
        return [f"the server ended with {running.process.returncode}"]
    counts: dict[str, int] = {}
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        counts = {"sockets": open_sockets(running), "sessions": open_sessions(running)}
        if not any(counts.values()):
            break
        await asyncio.sleep(0.2)
    found = [f"{count} {name} left open" for name, count in counts.items() if count]
    lines = running.log[log_from:].splitlines()
    faults = [n for n, line in enumerate(lines) if "Traceback" in line or " ERROR " in line]
    return [*found, *("in the log: " + "\n  ".join(lines[n : n + LOG_LINES]) for n in faults[:5])]


# --- making a failure small ----------------------------------------------------------------------


async def fails(running: Server, run: Run, number: int, steps: Sequence[Step], within_s: float) -> str:
    """Why these steps fail on a connection of their own; empty if they do not."""
    watch, reason = Watch(), ""
    try:
        async with connected(running, run, watch) as socket:
            await one(number, steps, watch, socket, within_s)
    except* (Broken, ConnectionClosed, TimeoutError) as error:
        reason = _reason(error)
    return reason


async def shrunk(steps: list[Step], still_fail: Callable[[list[Step]], Awaitable[bool]]) -> list[Step]:
    """The steps that are enough to fail: ever smaller pieces are left out, as long as what is left still fails."""
    size, tries = len(steps) // 2, 0
    while size:
        at = 0
        while at < len(steps) and tries < TRIES:
            tries += 1
            fewer = steps[:at] + steps[at + size :]
            if await still_fail(fewer):
                steps = fewer
            else:
                at += size
        size //= 2
    return steps


async def smallest(running: Server, failure: Failure, sounds: Sounds) -> list[Step]:
    """The steps of the failing sequence that are enough for it to fail alone; none if all are not."""
    run, number = failure.run, failure.number

    async def still_fail(steps: list[Step]) -> bool:
        return bool(await fails(running, run, number, steps, SHRINK_S))

    steps = run.steps(number, sounds)
    return await shrunk(steps, still_fail) if await fails(running, run, number, steps, SETTLE_S) else []


async def explain(running: Server, failure: Failure, sounds: Sounds) -> None:
    run = failure.run
    print(f"\nFAILED: sequence {failure.number} of seed {run.seed}, on {run}\n  {failure.reason[:2000]}")
    print("  the last that was said:", *(f"    {line}" for line in failure.said[-30:]), sep="\n")
    print(f"  again: python -m benchmarks.fuzz --seed {run.seed} --only {failure.number}")
    if running.process.poll() is None:
        steps = await smallest(running, failure, sounds)
        print("  alone it needs these steps:" if steps else "  alone, on a connection of its own, it does not fail.")
        for step in steps:
            print(f"    {step.data[:300]!r}" if isinstance(step, Frame) else f"    {step}")


# --- the program ---------------------------------------------------------------------------------


def apply_agents(running: Server, providers: ScriptedServer) -> None:
    path = running.data / "fuzz.yaml"
    accounts = {name: providers.base_url(**script) for name, script in PROVIDERS.items()}
    path.write_text(document(accounts, AGENTS, hasty=["stalling"]))
    manage(running.data, "agent", "apply", str(path))


def make_sounds() -> Sounds:
    return Sounds(speech("What time is it?"))


def chosen(options: argparse.Namespace) -> Iterator[Run]:
    if options.only is None:
        return takewhile(lambda run: run.first < options.sequences, runs(options.seed))
    run = next(run for run in runs(options.seed) if run.first + run.count > options.only)
    return iter([run])


async def measure(running: Server, options: argparse.Namespace) -> Report:
    sounds, todo, at_once = make_sounds(), chosen(options), options.at_once
    await fuzz(running, islice(runs(-1), 2 * at_once), sounds, at_once=at_once, until=time.monotonic() + WARM_S)
    await what_is_left(running)
    before, began = rss_mib(running), time.monotonic()
    report = await fuzz(running, todo, sounds, at_once=at_once, until=began + 60 * options.minutes)
    took = time.monotonic() - began
    report.left = await what_is_left(running)
    created, done = report.kinds["response.created"], report.kinds["response.done"]
    print(f"\n{progress(running, report)}")
    print(f"{took:.0f} s: {report.sequences / took:.0f} sequences/s, {report.sent / took:.0f} events sent/s")
    print(f"{created:,} responses created, {done:,} done, the others of clients that left")
    print(f"{report.kinds['error']:,} errors answered")
    if report.settled_ms:
        p50, p95 = percentile(report.settled_ms, 0.5), percentile(report.settled_ms, 0.95)
        print(f"all answered after the last event: p50 {p50:.0f} p95 {p95:.0f} worst {max(report.settled_ms):.0f} ms")
    print(f"memory {before:.0f} → {rss_mib(running):.0f} MiB; left: {'; '.join(report.left) or 'nothing'}")
    for failure in report.failures[:2]:
        await explain(running, failure, sounds)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--minutes", type=float, default=5, help="stop after so long, however many are left")
    parser.add_argument("--only", type=int, help="the number of one sequence: its connection alone, from its beginning")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, scripted_server() as providers, server(data=Path(name)) as running:
        running.wait_for("/readyz")
        apply_agents(running, providers)
        report = asyncio.run(measure(running, options))
    print("FAILED" if report.bad else "OK")
    return int(report.bad)


if __name__ == "__main__":
    sys.exit(main())
