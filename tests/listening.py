"""Audio through the listening half of a session, on virtual time: what it finds, and when.

found = await listen(audio, TurnDetection(silence_duration_ms=200), Ears(vad, stt, None, detect_here))
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from agents.audio import Audio
from agents.spec import TurnDetection
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.findings import Heard
from sessions.pipeline.listening import Ears, Listening
from sessions.pipeline.messages import AppendAudio

FRAME_MS = 20
H = TypeVar("H")


@dataclass(frozen=True, slots=True)
class Found:
    """A finding, `ms` after the first sample of the audio was spoken."""

    ms: float
    heard: Heard


async def listen(
    audio: Audio,
    detection: TurnDetection,
    ears: Ears,
    *,
    agent_speaking: Callable[[], bool] = lambda: False,
    after_ms: float = 0,
) -> list[Found]:
    """All that is found in `audio`, sent in frames of 20 ms, each when its last sample has been spoken."""
    loop = asyncio.get_running_loop()
    start, found, numbers = loop.time(), list[Found](), itertools.count(1)
    listening = Listening(
        ears,
        detection,
        Bounds(),
        post=lambda heard: found.append(Found((loop.time() - start) * 1000, heard)),
        clock=loop.time,
        new_item_id=lambda: f"item_{next(numbers)}",
        agent_speaking=agent_speaking,
        unhurried=lambda: False,
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(listening.run())
        for frame in audio.split(FRAME_MS):
            await asyncio.sleep(frame.ms / 1000)
            await listening.put(AppendAudio(frame))
        await asyncio.sleep(after_ms / 1000)
        running.cancel()
    return found


def of(kind: type[H], found: list[Found]) -> list[tuple[float, H]]:
    return [(one.ms, one.heard) for one in found if isinstance(one.heard, kind)]
