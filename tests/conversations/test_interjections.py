"""What an agent says while its answer is not there: an acknowledgement at once, and fillers while a tool runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from agents.brain.llm_brain import LLMBrain
from agents.build import VoiceAgent
from agents.errors import ProviderError
from agents.interfaces import Segment, Speech, TextDelta, ToolCall, ToolResult, ToolSpec, VoiceOptions
from agents.providers.scripted import Fault, ScriptedLLM, ScriptedSTT, ScriptedTTS
from agents.spec import AcknowledgementSpec, FillerSpec, Latency, TTSSpec
from agents.tools.schema import Arguments
from agents.tools.toolbox import AgentToolbox, ServerTool
from sessions.pipeline.messages import (
    AudioCommitted,
    AudioOut,
    Content,
    CreateItem,
    CreateResponse,
    MessageItem,
    ResponseDone,
    SpeechStarted,
    TextOut,
    TurnClosed,
)
from sessions.pipeline.phrasebook import CLIP_MS, Phrasebook, Voice
from telemetry import counters
from telemetry.trace import TurnMarks
from tests.scenario import Talk, conversation, make_agent
from tests.virtual_time import run

HMM = AcknowledgementSpec(phrases=("Let me see.", "Hm."), after_ms=200)
WAIT = FillerSpec(phrases=("One moment", "Still looking."), after_ms=1_000)


def thinks(seconds: float, *replies: str) -> ScriptedLLM:
    return ScriptedLLM(replies or ["It is nine."], first_s=seconds, tokens_per_s=100)


async def ask(talk: Talk) -> float:
    """Ask and hear the whole answer; ms from the decision that the turn was over to the first audio."""
    await talk.speak(600)
    await talk.until_while_silent(AudioCommitted)
    decided = talk.at
    await talk.until_while_silent(AudioOut)
    after_ms = (talk.at - decided) * 1000
    await talk.until_while_silent(ResponseDone)
    await talk.silence(2_500)
    return after_ms


def words(talk: Talk) -> list[str]:
    """What was said, response by response."""
    said: dict[str, str] = {}
    for event in talk.all(TextOut):
        said[event.response_id] = said.get(event.response_id, "") + event.text
    return list(said.values())


@pytest.mark.parametrize("optimistic", [True, False])
def test_a_slow_answer_is_acknowledged_within_a_quarter_of_a_second_of_the_decision(optimistic: bool) -> None:
    async def talk_once() -> None:
        llm = thinks(1.5)
        tts = ScriptedTTS(first_s=0.1, speed=5)
        latency = Latency(optimistic=optimistic)
        async with conversation(llm=llm, tts=tts, acknowledgement=HMM, latency=latency) as talk:
            assert await ask(talk) == pytest.approx(200, abs=50)
            assert await ask(talk) == pytest.approx(200, abs=50)
            assert await ask(talk) == pytest.approx(200, abs=50)
            assert words(talk) == ["Let me see. It is nine.", "Hm. It is nine.", "Let me see. It is nine."]
            assert sorted(text for text in tts.spoken if "nine" not in text) == ["Hm.", "Let me see."], "made once"
            assert [m.text for m in llm.asked[-1].messages if m.role == "assistant"] == words(talk)[:2]

    run(talk_once())


def test_an_answer_that_is_there_in_time_stands_alone() -> None:
    async def talk_once() -> None:
        async with conversation(llm=thinks(0.05), tts=ScriptedTTS(first_s=0.02), acknowledgement=HMM) as talk:
            assert await ask(talk) < 200
            assert words(talk) == ["It is nine."]

    run(talk_once())


def test_only_what_was_said_is_acknowledged_and_not_what_was_typed() -> None:
    async def talk_once() -> None:
        async with conversation(llm=thinks(1.5), acknowledgement=HMM, greeting="Hello.") as talk:
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
            talk.do(CreateItem(MessageItem("typed", "user", (Content("text", text="And now?"),))))
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
            assert words(talk) == ["Hello.", "It is nine."]

    run(talk_once())


def test_the_trace_tells_the_acknowledgement_from_the_answer() -> None:
    async def talk_once() -> None:
        async with conversation(llm=thinks(1.5), acknowledgement=HMM) as talk:
            await talk.speak(600)
            trace = (await talk.until_while_silent(TurnClosed)).trace
            marks = trace["marks"]
            assert marks["acknowledged"] - marks["eot_decided"] == pytest.approx(200_000, abs=1_000)
            assert marks["first_audio_sent"] - marks["acknowledged"] > 1_000_000
            end = marks["first_audio_sent"] - marks["user_speech_end"]
            assert trace["latencies"]["voice_to_voice"] == end == sum(step["duration_us"] for step in trace["path"])
            timed = [event for event in talk.all(AudioOut) if event.turn_id is not None]
            assert len(timed) == 1
            assert talk.all(AudioOut).index(timed[0]) > 1, "the client measures the answer, too"
            assert trace["facts"]["words_heard"] == 6

    run(talk_once())


def test_an_interruption_cuts_an_acknowledgement_off_like_all_else() -> None:
    async def talk_once() -> None:
        phrases = AcknowledgementSpec(phrases=("Let me see about that for you now.",))
        llm = thinks(2.0)
        async with conversation(llm=llm, acknowledgement=phrases, stt=ScriptedSTT(["First?", "Stop."])) as talk:
            await talk.speak(600)
            await talk.until_while_silent(AudioOut)
            await talk.silence(500)
            await talk.speak(500)
            await talk.until(SpeechStarted)
            await talk.until(ResponseDone)
            await talk.until_while_silent(AudioOut)
            (heard,) = [m.text for m in llm.asked[-1].messages if m.role == "assistant"]
            assert "Let me see about that for you now.".startswith(heard)
            assert 1 <= len(heard.split()) <= 4
            assert not talk.stale_audio()

    run(talk_once())


def test_a_failure_after_an_acknowledgement_still_apologises() -> None:
    async def talk_once() -> None:
        async with conversation(brain=Late(), acknowledgement=HMM, apology="Sorry.") as talk:
            await ask(talk)
            assert [" ".join(text.split()) for text in words(talk)] == ["Let me see. Sorry."]

    run(talk_once())


class Late:
    """A brain that fails after a second."""

    async def reply(self, *_: object) -> AsyncGenerator[Any, None]:
        await asyncio.sleep(1)
        for error in [ProviderError("broken", provider="late")]:
            raise error
        yield TextDelta("")


def test_a_phrase_that_could_not_be_voiced_is_missing_and_nothing_else_is() -> None:
    async def talk_once() -> None:
        before = counters.snapshot().get(("interjections", "missing"), 0)
        tts = ScriptedTTS(first_s=0.1, speed=5, fault=Fault("fail", calls=[0]))
        async with conversation(llm=thinks(1.0), tts=tts, acknowledgement=HMM) as talk:
            await ask(talk)
            assert words(talk) == ["It is nine."]
            assert counters.snapshot()[("interjections", "missing")] == before + 1

    run(talk_once())


# --- the phrasebook ------------------------------------------------------------------------------


class Counted(ScriptedTTS):
    """Takes a second for each phrase, all of it real time."""

    async def slowly(self, text: AsyncIterator[Segment]) -> AsyncGenerator[Segment, None]:
        async for segment in text:
            await asyncio.sleep(1)
            yield segment

    def synthesize(
        self, text: AsyncIterator[Segment], voice: VoiceOptions, marks: TurnMarks
    ) -> AsyncGenerator[Speech, None]:
        return super().synthesize(self.slowly(text), voice, marks)


def test_a_phrase_is_made_once_in_each_voice_whoever_asks_and_the_oldest_go() -> None:
    async def main() -> None:
        book, tts = Phrasebook(size=3), Counted()
        one, other = Voice(TTSSpec(), VoiceOptions("a")), Voice(TTSSpec(), VoiceOptions("b"))
        await asyncio.gather(*(book.make(tts, one, ["x", "y"]) for _ in range(5)))
        assert tts.calls == 2
        await book.make(tts, other, ["x"])
        assert tts.calls == 3
        assert book.find(one, "x") is not None
        await book.make(tts, other, ["z"])
        assert [book.find(one, "x") is not None, book.find(one, "y")] == [True, None]
        long = "word " * 60
        await book.make(tts, one, [long])
        assert book.find(one, long) is None, f"longer than {CLIP_MS} ms"

    run(main())


# --- fillers -------------------------------------------------------------------------------------


def looks(takes_s: float, llm: ScriptedLLM, **spec: Any) -> VoiceAgent:
    """An agent with a tool that takes so long."""

    async def look(call_id: str, arguments: Mapping[str, Any]) -> ToolResult:
        await asyncio.sleep(takes_s)
        return ToolResult("seven")

    tool = ToolSpec("look", "Looks.", {"type": "object"})
    tools = [ServerTool(tool, Arguments("look", tool.parameters), look, 60.0)]
    agent = make_agent(llm=llm, filler=WAIT, **spec)
    return replace(agent, brain=LLMBrain(llm, agent.spec), toolbox=partial(AgentToolbox, tools))


CALL = ToolCall("a", "look", "{}")


@pytest.mark.parametrize(
    ("takes_s", "first", "said"),
    [
        (0.5, [CALL], "Seven."),
        (2.0, [CALL], "One moment. Seven."),
        (5.0, [CALL], "One moment. Still looking. Seven."),
        (30.0, [CALL], "One moment. Still looking. One moment. Seven."),
        (2.0, ["I will look. ", CALL], "I will look. One moment. Seven."),
        (1.5, ["I will look for it with all care, in every place there is. ", CALL], None),
    ],
)
def test_a_tool_that_takes_long_is_bridged_when_nobody_speaks(takes_s: float, first: Any, said: str | None) -> None:
    async def talk_once() -> None:
        async with conversation(looks(takes_s, ScriptedLLM([first, "Seven."]))) as talk:
            await talk.speak(600)
            trace = (await talk.until_while_silent(TurnClosed, within=90)).trace
            expected = said or f"{first[0]}Seven."
            assert words(talk) == [expected]
            fillers = expected.count("One moment.") + expected.count("Still looking.")
            assert trace["facts"].get("fillers", 0) == fillers

    run(talk_once())


def test_a_filler_comes_when_it_is_due_and_the_next_turn_begins_with_the_next_phrase() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([[CALL], "Seven.", [CALL], "Seven."])
        async with conversation(looks(2.0, llm, latency=Latency(optimistic=False))) as talk:
            for _ in range(2):
                await talk.speak(600)
                await talk.until_while_silent(AudioCommitted)
                committed = talk.at
                await talk.until_while_silent(AudioOut)
                assert talk.at - committed == pytest.approx(1.0 + 0.1, abs=0.05), "a second, and the voice's time"
                await talk.until_while_silent(ResponseDone)
                await talk.silence(3_000)
            assert sorted(words(talk)) == ["One moment. Seven.", "Still looking. Seven."]
            assert [m.text for m in llm.asked[-1].messages if m.role == "assistant" and m.text] == [words(talk)[0]]

    run(talk_once())


def test_an_interruption_ends_the_fillers_and_not_the_tool() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([[CALL], "Well."])
        async with conversation(looks(6.0, llm)) as talk:
            await talk.speak(600)
            await talk.until_while_silent(AudioOut)
            await talk.silence(300)
            await talk.speak(500)
            await talk.until(SpeechStarted)
            done = await talk.until_while_silent(ResponseDone)
            assert done.reason == "turn_detected"
            await talk.until_while_silent(ResponseDone)
            await talk.silence(8_000)
            assert words(talk)[1:] == ["Well."]

    run(talk_once())
