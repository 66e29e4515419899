from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from agents.audio import Audio
from agents.errors import ProviderError
from sessions.pipeline.messages import AudioCleared, AudioOut, SessionEnded
from sessions.pipeline.outbox import Outbox
from sessions.pipeline.pipes import Pipeline
from tests.virtual_time import run


class Source:
    """Counts what it has produced and whether it was closed."""

    def __init__(self, items: int, fail_at: int | None = None) -> None:
        self.produced = 0
        self.closed = False
        self._items = items
        self._fail_at = fail_at

    async def stream(self) -> AsyncGenerator[int, None]:
        try:
            for n in range(self._items):
                if n == self._fail_at:
                    raise ProviderError("broken")
                self.produced += 1
                yield n
        finally:
            self.closed = True


async def doubled(items: AsyncIterator[int]) -> AsyncGenerator[int, None]:
    async for item in items:
        yield 2 * item


def test_a_full_pipe_holds_its_stage_back() -> None:
    async def main() -> None:
        source = Source(100)
        async with Pipeline() as p:
            out = p.stage("source", source.stream(), size=3)
            await asyncio.sleep(1)
            assert source.produced == 4
            assert [item async for item in out] == list(range(100))
        assert source.closed

    run(main())


def test_leaving_early_closes_every_stage() -> None:
    async def main() -> None:
        source = Source(100)
        async with Pipeline() as p:
            out = p.stage("double", doubled(p.stage("source", source.stream(), size=3)), size=1)
            assert await anext(out) == 0
        assert source.closed

    run(main())


def test_a_failing_stage_ends_the_pipeline_with_its_error() -> None:
    async def main() -> None:
        source = Source(100, fail_at=5)

        async def consume() -> None:
            async with Pipeline() as p:
                async for _ in p.stage("double", doubled(p.stage("source", source.stream(), size=3)), size=1):
                    pass

        with pytest.raises(ExceptionGroup) as caught:
            await consume()
        assert caught.group_contains(ProviderError, match="broken")
        assert source.closed

    run(main())


def audio_of(response_id: str) -> AudioOut:
    return AudioOut(response_id, "item", 0, Audio.silence(100, 24_000))


def test_the_outbox_makes_audio_wait_and_takes_it_back() -> None:
    async def main() -> None:
        outbox, delivered = Outbox(events=8, audio_events=2), list[float]()
        await outbox.put_audio(audio_of("a"), delivered.append)
        await outbox.put_audio(audio_of("a"), delivered.append)
        async with asyncio.TaskGroup() as group:
            third = group.create_task(outbox.put_audio(audio_of("b"), delivered.append))
            await asyncio.sleep(1)
            assert not third.done()
            assert outbox.discard_audio("a") == 200
        outbox.put(SessionEnded("closed"))
        assert [getattr(e, "response_id", None) async for e in outbox] == ["b", None]
        assert delivered == [100]

    run(main())


def test_audio_is_delivered_when_its_reader_comes_for_more() -> None:
    async def main() -> None:
        outbox, delivered = Outbox(events=8, audio_events=4), list[str]()
        for name in ("a", "b", "c"):
            await outbox.put_audio(audio_of(name), lambda _, name=name: delivered.append(name))  # type: ignore[misc]
        outbox.put(AudioCleared())
        seen = []
        while len(outbox):
            seen.append(len(delivered))
            await anext(outbox)
            if len(outbox) == 2:
                outbox.discard_audio("c")
        assert (delivered, seen) == (["a", "b"], [0, 0, 1])
        outbox.abandon()
        await outbox.put_audio(audio_of("d"), lambda _: delivered.append("d"))
        assert [event async for event in outbox] == []
        assert delivered == ["a", "b"]

    run(main())


def test_an_outbox_that_nobody_reads_ends() -> None:
    async def main() -> None:
        outbox = Outbox(events=3, audio_events=2)
        for _ in range(10):
            outbox.put(AudioCleared())
        assert outbox.overflowed
        assert [e async for e in outbox] == [SessionEnded("slow_client")]

    run(main())
