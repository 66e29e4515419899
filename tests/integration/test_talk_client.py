"""The talking client against a scripted server, over real sockets."""

from __future__ import annotations

import statistics

import pytest

from sessions.talk_audio import RATE
from sessions.talk_client import Clip, Record, Talk, TalkError, TalkOptions, realtime_url, talk
from tests.fakes.realtime_server import RealtimeServer, Script, babble, realtime_server
from tests.processes import free_port

QUESTION = Clip.of("question.wav", babble(0.8, seed=9))
AGAIN = Clip.of("again.wav", babble(0.8, seed=10))


def options(server: RealtimeServer, **more: object) -> TalkOptions:
    url = realtime_url(f"ws://127.0.0.1:{server.port}", "guide")
    return TalkOptions(url=url, key="a key", **more)  # type: ignore[arg-type]  # each test names its own types


async def hold(server: RealtimeServer, *clips: Clip, **more: object) -> tuple[Talk, list[Record]]:
    records: list[Record] = []
    return await talk(options(server, **more), clips, records.append), records


async def test_a_conversation_of_two_turns() -> None:
    script = Script(greeting=("Hello.", babble(0.5)), answers=[("One.", babble(1, seed=2)), ("Two.", babble(0.5))])
    with realtime_server(script) as server:
        held, records = await hold(server, QUESTION, AGAIN)
        assert [one.clip for one in held.exchanges] == ["greeting", "question.wav", "again.wav"]
        assert [one.status for one in held.exchanges] == ["completed"] * 3
        assert [one.answer for one in held.exchanges] == ["Hello.", "One.", "Two."]
        assert [one.heard for one in held.exchanges] == ["", "what the user said", "what the user said"]
        assert [one.played_ms for one in held.exchanges] == [500, 1_000, 500]
        for answer in held.exchanges[1:]:
            assert answer.trace is not None
            assert answer.voice_to_voice_ms is not None
            assert answer.voice_to_voice_ms >= 700  # 500 of silence and 200 of thought
        assert min(answer.voice_to_voice_ms or 0 for answer in held.exchanges[1:]) < 900
        assert held.errors == []
        frames = server.received("input_audio_buffer.append")
        assert [event["start_sample"] for event in frames] == [n * RATE // 50 for n in range(len(frames))]
        late = [event["at"] - frames[0]["at"] - n * 0.02 for n, event in enumerate(frames)]
        assert abs(statistics.median(late[:50]) - statistics.median(late[-50:])) < 0.01  # no drift
        assert [record["t"] for record in records] == sorted(record["t"] for record in records)


async def test_a_barge_in_is_cut_where_it_was_heard() -> None:
    script = Script(greeting=("Hello.", babble(0.3)), answers=[("Long.", babble(4, seed=2)), ("Two.", babble(0.5))])
    with realtime_server(script) as server:
        held, _ = await hold(server, QUESTION, AGAIN, barge_in_ms=800)
        first, second = held.exchanges[1:]
        assert first.status == "cancelled"
        assert 850 <= first.played_ms < 1_200
        assert second.status == "completed"
        truncated = server.received("conversation.item.truncate")
        assert [event["audio_end_ms"] for event in truncated] == [first.played_ms]
        assert server.received("repartee.playback")[-1]["state"] == "ended"


async def test_nobody_is_there() -> None:
    url = realtime_url(f"ws://127.0.0.1:{free_port()}", "guide")
    with pytest.raises(TalkError, match="make run"):
        await talk(TalkOptions(url=url, key="k"), [QUESTION], lambda record: None)


async def test_no_answer_comes_in_time() -> None:
    late = pytest.raises(TalkError, match=r"No answer to question\.wav within 1 s")
    with realtime_server(Script(think_s=60)) as server, late:
        await hold(server, QUESTION, answer_timeout_s=1.0, greeting=False)


async def test_the_line_is_cut() -> None:
    with realtime_server(Script(drop_after_s=1.0)) as server, pytest.raises(TalkError, match="connection was lost"):
        await hold(server, QUESTION)


async def test_an_answer_that_fails_is_an_error() -> None:
    with realtime_server(Script(fail_with="Out of order.")) as server:
        held, _ = await hold(server, QUESTION, greeting=False)
        assert held.errors == ["Out of order."]
