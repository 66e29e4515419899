from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from agents.audio import Audio
from agents.errors import ProviderError
from agents.interfaces import CompletionOptions, Message, Segment, TextDelta, ToolCall, Usage, VoiceOptions
from agents.providers.scripted import (
    Fault,
    ScriptedEndOfTurn,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedVAD,
    tone,
)
from telemetry.trace import TurnMarks
from tests.virtual_time import run


def now() -> float:
    return asyncio.get_running_loop().time()


def test_the_vad_takes_a_tone_for_speech_and_silence_for_none() -> None:
    vad = ScriptedVAD().open()
    audio = Audio(Audio.silence(64, 16_000).pcm + tone(64, 16_000).pcm, 16_000)
    windows = [window for piece in audio.split(20) for window in vad.push(piece)]
    assert [end for end, _ in windows] == [512, 1024, 1536, 2048]
    assert [probability > 0.5 for _, probability in windows] == [False, False, True, True]


@pytest.mark.parametrize(("dbfs", "speech"), [(-39.0, True), (-41.0, False)])
def test_the_vad_has_a_sharp_threshold(dbfs: float, speech: bool) -> None:
    ((_, probability),) = ScriptedVAD(-40.0).open().push(tone(32, 16_000, hz=500, dbfs=dbfs))
    assert (probability > 0.5) is speech


def test_the_vad_refuses_another_rate() -> None:
    with pytest.raises(ValueError, match="16000"):
        ScriptedVAD().open().push(tone(32, 24_000))


def test_tokens_come_on_time_whatever_the_reader_does() -> None:
    async def main() -> None:
        marks = TurnMarks(now)
        llm = ScriptedLLM(["one two three four"], first_s=0.2, tokens_per_s=10)
        moments = []
        async for output in llm.complete([Message("user", "Hello there")], (), CompletionOptions(), marks):
            if isinstance(output, TextDelta):
                moments.append(now())
                if len(moments) == 2:
                    await asyncio.sleep(0.15)
            else:
                assert output == Usage(input_tokens=2, output_tokens=4)
        assert moments == pytest.approx([0.2, 0.3, 0.45, 0.5])
        assert marks.at["llm[0].request_sent"] == 0
        assert marks.at["llm[0].first_token"] == pytest.approx(0.2)

    run(main())


def test_replies_and_calls_are_given_in_turn() -> None:
    async def main() -> None:
        call = ToolCall("call_0", "get_time", "{}")
        llm = ScriptedLLM([["One moment. ", call], "It is nine."])
        outputs = [
            [o async for o in llm.complete([], (), CompletionOptions(), TurnMarks(now)) if not isinstance(o, Usage)]
            for _ in range(3)
        ]
        assert outputs[0] == [TextDelta("One "), TextDelta("moment. "), call]
        assert outputs[1] == outputs[2] == [TextDelta("It "), TextDelta("is "), TextDelta("nine.")]
        assert len(llm.asked) == 3

    run(main())


def test_speech_comes_at_its_speed() -> None:
    async def main() -> None:
        async def text() -> AsyncGenerator[Segment, None]:
            yield Segment(0, "Just thirty characters of text")
            yield Segment(1, "Fifteen letters")

        tts = ScriptedTTS(first_s=0.1, speed=5, chunk_ms=500)
        stream = tts.synthesize(text(), VoiceOptions(), TurnMarks(now))
        moments = [(speech.segment_id, round(now(), 6), speech.text_offset) async for speech in stream]
        assert moments == [(0, 0.1, 0), (0, 0.2, 8), (0, 0.3, 15), (0, 0.4, 22), (1, 0.5, 0), (1, 0.6, 8)]

    run(main())


def test_partials_grow_with_the_audio() -> None:
    async def main() -> None:
        async def audio() -> AsyncGenerator[Audio, None]:
            for piece in tone(1500, 16_000).split(100):
                await asyncio.sleep(0.1)
                yield piece

        stt = ScriptedSTT(["one two three"], words_per_s=2, final_s=0.3)
        heard = [(t.text, t.final, round(now(), 6)) async for t in stt.transcribe(audio(), TurnMarks(now))]
        assert heard == [("one", False, 0.5), ("one two", False, 1.0), ("one two three", False, 1.5),
                         ("one two three", True, 1.8)]  # fmt: skip

    run(main())


@pytest.mark.parametrize(("kind", "error"), [("fail", ProviderError), ("stall", TimeoutError), ("end", None)])
def test_faults_strike_after_so_many_outputs(kind: str, error: type[Exception] | None) -> None:
    async def main() -> None:
        words: list[object] = []

        async def collect() -> None:
            fault = Fault(kind, after=2, calls=[0])  # type: ignore[arg-type]
            async for output in ScriptedLLM(["one two three"], fault=fault).complete(
                [], (), CompletionOptions(), TurnMarks(now)
            ):
                words.append(output)  # noqa: PERF401 - what came before the fault is wanted

        if error is None:
            await collect()
        else:
            with pytest.raises(error):
                await asyncio.wait_for(collect(), 60)
        assert words == [TextDelta("one "), TextDelta("two ")]

    run(main())


def test_the_end_of_turn_answers_in_turn() -> None:
    async def main() -> None:
        model = ScriptedEndOfTurn([0.2, 0.9], delay_s=0.05)
        assert [await model.probability(tone(100, 16_000)) for _ in range(3)] == [0.2, 0.9, 0.9]
        assert now() == pytest.approx(0.15)

    run(main())
