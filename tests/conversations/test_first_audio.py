"""What is done so that the first sound of an answer comes sooner."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter

from agents.build import VoiceAgent
from sessions.pipeline.messages import ResponseDone, SpeechStarted
from telemetry import counters, names
from tests.scenario import conversation, make_agent
from tests.virtual_time import run


class Line:
    """Takes 300 ms to open its connections, and notes when that began."""

    def __init__(self) -> None:
        self.opened: list[float] = []

    async def prepare(self) -> Counter[str]:
        self.opened.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.3)
        return Counter(open=3, failed=1)

    def agent(self) -> VoiceAgent:
        return dataclasses.replace(make_agent(), prepare=self.prepare)


def counted() -> list[float]:
    return [counters.snapshot().get((names.PROVIDER_CONNECTIONS, outcome), 0) for outcome in ("open", "failed")]


def test_connections_are_opened_when_a_session_begins_and_when_its_user_does() -> None:
    async def talk_once() -> None:
        line, before = Line(), counted()
        async with conversation(line.agent()) as talk:
            await talk.silence(60)
            assert len(line.opened) == 1
            await talk.silence(5_000)
            assert counted() == [before[0] + 3, before[1] + 1]
            await talk.speak(400)
            await talk.until(SpeechStarted)
            assert line.opened[1:] == [talk.at]
            await talk.silence(300)  # the words are asked for at the pause, and in vain
            await talk.speak(400)
            assert len(line.opened) == 3
            await talk.until_while_silent(ResponseDone)
            assert len(line.opened) == 3

    run(talk_once())


def test_a_user_who_speaks_while_they_are_being_opened_opens_no_more() -> None:
    async def talk_once() -> None:
        line = Line()
        async with conversation(line.agent()) as talk:
            await talk.speak(140)
            assert talk.all(SpeechStarted)
            assert len(line.opened) == 1

    run(talk_once())
