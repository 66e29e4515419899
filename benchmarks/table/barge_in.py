"""How soon the agent falls silent when somebody speaks over it, and what else makes it fall silent.

The clock runs from the first 10 ms above -40 dBFS to the event at which a client empties its loudspeaker. The words of
every clip are what the scripted STT is told to hear; the sounds are people, and synthesised noises.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import uvloop

from benchmarks.harness import speech as synthesised
from benchmarks.load import material
from benchmarks.load.caller import Caller, calling
from benchmarks.load.dialects import dialect
from benchmarks.load.plan import FRAME_S, Plan
from benchmarks.stand import LOAD_CORE, SILENCE_MS, Agent, on_core, pipecat, repartee, scripted
from benchmarks.table.bench import Bench
from benchmarks.table.rows import Row, Spread, compared
from tests.fakes import noise, speech

REPLY: Final = " ".join(["Let me tell you all about it, one thing after the other."] * 60)
WORDS: Final = "Wait, I meant tomorrow."
BACKCHANNELS: Final = ("Mhm.", "Yeah.", "Okay.")
NOISES: Final = {"fan": noise.fan, "keyboard": noise.keyboard, "music": noise.music, "coughs": noise.coughs}
NOISE_S: Final = 3.0
LONGEST_S: Final = 3.0
"""For a clear to come, or not."""
REPEATS: Final = 4
"""Of each sound that should stop nobody, at once."""
AT_ONCE: Final = 4
AGENTS: Final = (
    Agent("server-vad"),
    Agent("semantic-vad", detection=f"{{type: semantic_vad, silence_duration_ms: {SILENCE_MS}}}"),
)

Frames = Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Sound:
    """Frames whose first sample begins the first 10 ms above -40 dBFS, and what an STT would write of them."""

    name: str
    frames: Frames
    words: str = ""


@dataclass(frozen=True, slots=True)
class Over:
    """What a sound over a reply did; ms from its onset, None for nothing. `stale`: audio that came between the clear
    and the end of the sound."""

    sound: str
    hold_ms: float | None
    clear_ms: float | None
    stale: int


@dataclass(frozen=True, slots=True)
class Heat:
    overs: list[Over]
    void: str = ""

    def told(self) -> str:
        return (
            f"clear {self.clears()}; hold {self.holds()}; {len(self.overs)} sounds, {self.stopped()} stopped the reply"
        )

    def clears(self) -> Spread | None:
        return Spread.of([over.clear_ms for over in self.overs if over.clear_ms is not None])

    def holds(self) -> Spread | None:
        return Spread.of([over.hold_ms for over in self.overs if over.hold_ms is not None])

    def stopped(self) -> int:
        return sum(over.clear_ms is not None for over in self.overs)

    def stale(self) -> int:
        return sum(over.stale for over in self.overs)

    def named(self) -> str:
        """Which sounds stopped the reply, how often of how many."""
        names = dict.fromkeys(over.sound for over in self.overs)
        counts = {name: [over.clear_ms is not None for over in self.overs if over.sound == name] for name in names}
        return ", ".join(f"{name.rstrip('.')} {sum(ends)}/{len(ends)}" for name, ends in counts.items())


def together(heats: Sequence[Heat]) -> Heat:
    return Heat([over for heat in heats for over in heat.overs])


def interruptions(rate: int) -> list[Sound]:
    """Five calls of playing cards, by one person."""
    air = material.room()
    return [Sound(clip.name, _frames(material.spoken(clip.audio), air, rate), WORDS) for clip in speech.cards()]


def harmless(rate: int) -> list[Sound]:
    """Noises, and words that only say "go on"."""
    air = material.room()
    noises = [(name, make(NOISE_S), "") for name, make in NOISES.items()]
    said = [(text, synthesised(text), text) for text in BACKCHANNELS]
    return [
        Sound(name, _frames(_from_onset(audio.resampled(material.RATE).float32()), air, rate), words)
        for name, audio, words in [*noises, *said]
    ]


def _frames(samples: material.Signal, air: material.Signal, rate: int) -> Frames:
    padded = np.concatenate([samples, np.zeros(-len(samples) % material.FRAME, dtype=np.float32)])
    return material.frames(padded + np.resize(air, len(padded)), rate)


def _from_onset(samples: material.Signal) -> material.Signal:
    loud = np.flatnonzero(material.levels(samples) > material.ONSET_DBFS)
    return samples[loud[0] * material.RATE // 100 :]


def told_to_hear(base_url: str, words: str) -> None:
    """What the STT answers from now on."""
    body = json.dumps({"transcript": words}).encode()
    address = base_url.removesuffix("/v1") + "/_script"
    with urllib.request.urlopen(urllib.request.Request(address, body), timeout=5):  # noqa: S310 - our own
        pass


async def ask(caller: Caller, question: Frames) -> None:
    """Ask, and wait until the answer is heard."""
    ends = caller.say(question) + len(question) * FRAME_S
    if await caller.until("audio", ends, within_s=20) is None:
        raise TimeoutError("no answer within 20 s")


async def speak_over(caller: Caller, sound: Sound) -> Over:
    began = caller.say(sound.frames)
    ends = began + len(sound.frames) * FRAME_S
    cleared = await caller.until("speech", began, within_s=max(LONGEST_S, ends - began + 1))
    await caller.said()
    stale = [] if cleared is None else [at for at in caller.since(cleared, "audio") if at < ends]
    return Over(
        sound.name,
        next(((at - began) * 1000 for at in caller.since(began, "hold")), None),
        None if cleared is None else (cleared - began) * 1000,
        len(stale),
    )


async def interrupt(plan: Plan, air: Frames, sounds: Sequence[Sound], count: int, seed: int) -> list[Over]:
    """Speak over one reply after the other, each at a random moment within its first three seconds."""
    moments = random.Random(seed)
    overs = []
    async with calling(plan, air) as caller:
        await ask(caller, sounds[0].frames)
        for _ in range(count):
            await asyncio.sleep(moments.uniform(0.3, 3.0))
            sound = moments.choice(sounds)
            overs.append(await speak_over(caller, sound))
            if overs[-1].clear_ms is not None and await caller.until("audio", time.monotonic(), within_s=20) is None:
                raise TimeoutError("no answer to an interruption within 20 s")
    return overs


async def bother(plan: Plan, air: Frames, question: Frames, sound: Sound, base_url: str) -> list[Over]:
    """Play a sound once over a reply, in sessions of their own: what one heard before changes what it hears next."""
    asked = asyncio.Barrier(REPEATS + 1)

    async def one() -> Over:
        async with calling(plan, air) as caller:
            await ask(caller, question)
            await asked.wait()
            await asyncio.sleep(1.0)
            return await speak_over(caller, sound)

    told_to_hear(base_url, WORDS)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one()) for _ in range(REPEATS)]
        await asked.wait()
        told_to_hear(base_url, sound.words)
    return [task.result() for task in tasks]


@dataclass(frozen=True, slots=True)
class Side:
    """A server with a way of taking turns."""

    name: str
    plan: Plan

    def interrupted(self, count: int, seed: int) -> Heat:
        """By several callers at once, `count` times in all."""
        rate = dialect(self.plan).rate
        air, sounds = material.material(rate).room, interruptions(rate)

        async def all_callers() -> list[Over]:
            async with asyncio.TaskGroup() as group:
                shares = [-(-(count - n) // AT_ONCE) for n in range(min(AT_ONCE, count))]
                tasks = [
                    group.create_task(interrupt(self.plan, air, sounds, share, seed * AT_ONCE + n))
                    for n, share in enumerate(shares)
                ]
            return [over for task in tasks for over in task.result()]

        with on_core(LOAD_CORE):
            return Heat(uvloop.run(all_callers()))

    def bothered(self, base_url: str) -> Heat:
        rate = dialect(self.plan).rate
        air, question = material.material(rate).room, interruptions(rate)[0].frames

        async def all_sounds() -> list[Over]:
            return [
                over for sound in harmless(rate) for over in await bother(self.plan, air, question, sound, base_url)
            ]

        with on_core(LOAD_CORE):
            return Heat(uvloop.run(all_sounds()))


def measure(bench: Bench) -> list[Row]:
    count = -(-bench.sizes.interruptions // bench.sizes.rounds)
    with ExitStack() as up:
        base_url = up.enter_context(scripted(REPLY, transcript=WORDS))
        plan = replace(up.enter_context(repartee(base_url, AGENTS)).plan, extensions=True)
        sides = [Side(agent.slug, replace(plan, agent=agent.slug)) for agent in AGENTS]
        if bench.peer:
            sides.append(Side("Pipecat", up.enter_context(pipecat(base_url)).plan))
        heats: dict[str, list[Heat]] = {side.name: [] for side in sides}
        for round_number in range(bench.sizes.rounds):
            for side in sides:
                run = partial(side.interrupted, count, round_number)
                if bench.counts(heat := bench.steady("barge-in", side.name, run)):
                    heats[side.name].append(heat)
        bothers = {
            side.name: bench.steady("false-stops", side.name, partial(side.bothered, base_url)) for side in sides
        }
    return _rows({name: together(found) for name, found in heats.items()}, bothers)


def _rows(heats: Mapping[str, Heat], bothers: Mapping[str, Heat]) -> list[Row]:
    server, semantic, peer = heats["server-vad"], heats["semantic-vad"], heats.get("Pipecat")
    theirs = peer.clears() if peer else None
    return [
        compared("onset → hold, `server_vad`", server.holds(), reach="≤ 150 / 200 ms"),
        compared("onset → hold, `semantic_vad`", semantic.holds(), reach="≤ 150 / 200 ms"),
        compared("onset → clear, `server_vad`", server.clears(), theirs, reach="≤ 180 / 250 ms"),
        compared("onset → clear, `semantic_vad`", semantic.clears(), theirs, reach="≤ 600 / 800 ms"),
        *(
            Row(
                f"stopped by speech, and pieces of the reply after its clear, `{name}`",
                _caught(heat),
                _caught(peer) if peer else "–",
            )
            for name, heat in (("server_vad", server), ("semantic_vad", semantic))
        ),
        *(
            Row(
                f"false stops, `{name}`",
                bothers[side].named(),
                bothers["Pipecat"].named() if "Pipecat" in bothers else "–",
                reach="none in `semantic_vad`",
            )
            for name, side in (("server_vad", "server-vad"), ("semantic_vad", "semantic-vad"))
        ),
    ]


def _caught(heat: Heat) -> str:
    return f"{heat.stopped()} of {len(heat.overs)}, {heat.stale()}"
