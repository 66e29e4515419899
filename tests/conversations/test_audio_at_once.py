"""Audio that comes faster than it is heard: the same turns, and fewer calls of the VAD that all sessions share."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from agents.audio import Audio, join
from agents.interfaces import VADStream
from agents.providers.scripted import ScriptedVAD, tone
from agents.spec import TurnDetection
from sessions.pipeline.messages import AppendAudio, SessionConfig, SpeechStarted, SpeechStopped
from tests.scenario import RATE, Talk, conversation, make_agent
from tests.virtual_time import run

LISTENING_ONLY = SessionConfig(turn_detection=TurnDetection(create_response=False))
TWO_TURNS = join(
    [Audio.silence(330, RATE), tone(900, RATE), Audio.silence(1210, RATE), tone(640, RATE), Audio.silence(1500, RATE)],
    RATE,
)


class Counting:
    """A VAD that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self._vad = ScriptedVAD()

    def open(self) -> VADStream:
        stream, counting = self._vad.open(), self

        class Stream:
            def push(self, audio: Audio) -> list[tuple[int, float]]:
                counting.asked += 1
                return stream.push(audio)

        return Stream()


async def heard(pieces: list[Audio], *, in_time: bool = False) -> tuple[list[tuple[str, int]], int]:
    """Where turns began and ended, in ms of the audio, and how often the VAD was asked."""
    vad = Counting()
    async with conversation(replace(make_agent(), vad=vad), config=LISTENING_ONLY) as talk:
        for piece in pieces:
            await talk.session.hear(AppendAudio(piece))
            if in_time:
                await asyncio.sleep(piece.ms / 1000)
        await asyncio.sleep(5)
        return turns(talk), vad.asked


def turns(talk: Talk) -> list[tuple[str, int]]:
    kinds = {SpeechStarted: "began", SpeechStopped: "ended"}
    return [(kinds[type(e)], e.at_ms) for _, e in talk.heard if isinstance(e, SpeechStarted | SpeechStopped)]


@pytest.mark.parametrize("ms", [7, 20, 100, 333, 10_000])
def test_turns_are_where_they_were_however_the_audio_comes(ms: float) -> None:
    async def listen() -> None:
        spoken, _ = await heard(list(TWO_TURNS.split(20)), in_time=True)
        assert len(spoken) == 4
        assert (await heard(list(TWO_TURNS.split(ms))))[0] == spoken

    run(listen())


def test_each_piece_is_judged_when_it_comes_in_time() -> None:
    async def listen() -> None:
        pieces = list(TWO_TURNS.split(20))
        assert (await heard(pieces, in_time=True))[1] == len(pieces)

    run(listen())


def test_pieces_that_wait_are_judged_together_but_no_more_than_a_tenth_of_a_second() -> None:
    async def listen() -> None:
        frames = list(Audio.silence(10_000, RATE).split(20))
        assert 100 <= (await heard(frames))[1] <= 110

    run(listen())


def test_others_have_their_turn_after_each_step_of_a_long_piece() -> None:
    async def listen() -> None:
        vad, turns = Counting(), list[int]()
        async with conversation(replace(make_agent(), vad=vad), config=LISTENING_ONLY) as talk:
            await talk.session.hear(AppendAudio(Audio.silence(60_000, RATE)))
            while vad.asked < 600:
                turns.append(vad.asked)
                await asyncio.sleep(0)
        asked_at_once = [after - before for before, after in itertools.pairwise(turns)]
        assert max(asked_at_once) == 1

    run(listen())
