"""Optimistic replies: begun when the user may have finished, heard when they have, and else without a trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from agents.audio import Audio
from agents.brain.llm_brain import LLMBrain
from agents.build import VoiceAgent
from agents.errors import ContextFull
from agents.interfaces import CompletionOptions, LLMOutput, Message, TextDelta, ToolCall, ToolResult, ToolSpec
from agents.providers.scripted import Fault, ScriptedEndOfTurn, ScriptedLLM, ScriptedSTT, ScriptedTTS
from agents.spec import AgentSpec, FeedSpec, FillerSpec, Latency, LLMSpec, TurnDetection
from agents.tools.schema import Arguments
from agents.tools.toolbox import AgentToolbox, ServerTool
from sessions.pipeline.messages import (
    AudioCommitted,
    AudioOut,
    CallItem,
    CancelResponse,
    ClearAudio,
    Command,
    CommitAudio,
    Configure,
    Content,
    CreateItem,
    CreateResponse,
    DeleteItem,
    ErrorOccurred,
    IdleTimedOut,
    Inject,
    ItemAdded,
    MessageItem,
    OutputDone,
    OutputStarted,
    PushEvent,
    ResponseDone,
    ResponseOptions,
    ResponseStarted,
    RetrieveItem,
    SessionConfig,
    SpeechStarted,
    TextOut,
    TranscriptCompleted,
    TurnClosed,
)
from sessions.pipeline.records import ItemRecorded
from telemetry import counters, names
from telemetry.trace import TurnMarks
from tests.fakes.brain import PlainBrain
from tests.scenario import Talk, conversation, make_agent
from tests.virtual_time import run

CONFIG = SessionConfig(transcription=True)
LONG = "One two three, four five six. Seven eight nine ten. "


def by_length(audio: Audio) -> str:
    return f"{audio.ms / 1000:.1f} seconds"


def ears(**options: Any) -> ScriptedSTT:
    return ScriptedSTT(by_length, **{"final_s": 0.05, **options})


def counted(outcome: str) -> float:
    return counters.snapshot().get((names.SPECULATIONS, outcome), 0)


def facts(talk: Talk, turn: int = -1) -> Mapping[str, Any]:
    traced: Mapping[str, Any] = talk.all(TurnClosed)[turn].trace["facts"]
    return traced


def dialogue(messages: Sequence[Message]) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages if message.role != "system"]


async def pause_and_go_on(talk: Talk, ms: float = 350) -> None:
    """A second of speech, a pause in which an answer is begun, and another second."""
    await talk.speak(1000)
    await talk.silence(ms)
    await talk.speak(1000)


class Watched:
    """An LLM whose calls are seen to end: `open` of them are under way."""

    def __init__(self, inner: ScriptedLLM) -> None:
        self._inner = inner
        self.open = 0
        self.asked = inner.asked

    async def complete(self, *request: Any) -> Any:
        self.open += 1
        stream = self._inner.complete(*request)
        try:
            async for output in stream:
                yield output
        finally:
            self.open -= 1
            await stream.aclose()


# --- adopted and thrown away ---------------------------------------------------------------------


@pytest.mark.parametrize("optimistic", [True, False])
def test_the_answer_is_heard_when_the_turn_is_certain_and_not_before(optimistic: bool) -> None:
    async def talk_once() -> None:
        async with conversation(stt=ears(), latency=Latency(optimistic=optimistic)) as talk:
            await talk.speak(1000)
            spoke_until = talk.now
            await talk.until_while_silent(AudioOut)
            waited_ms = (talk.at - spoke_until) * 1000
            # the LLM's 200 ms and the TTS's 100 lie within the 500 ms of silence, or follow them
            assert waited_ms == pytest.approx(510 if optimistic else 810, abs=20)
            await talk.until_while_silent(TurnClosed)
            kinds = [type(event) for _, event in talk.heard]
            order = [SpeechStarted, AudioCommitted, ItemAdded, TranscriptCompleted, ResponseStarted, OutputStarted]
            assert sorted([*order, TextOut, AudioOut, OutputDone, ResponseDone], key=kinds.index) == [
                *order,
                TextOut,
                AudioOut,
                OutputDone,
                ResponseDone,
            ]
            assert facts(talk).get("spec_outcome") == ("used" if optimistic else None)

    run(talk_once())


def test_what_it_saved_is_how_much_later_the_first_sound_would_have_been() -> None:
    waits: dict[bool, float] = {}
    saved: list[float] = []

    async def talk_once(optimistic: bool) -> None:
        async with conversation(stt=ears(), latency=Latency(optimistic=optimistic)) as talk:
            await talk.speak(1000)
            await talk.until_while_silent(TurnClosed)
            latencies = talk.all(TurnClosed)[0].trace["latencies"]
            waits[optimistic] = latencies["voice_to_voice"]
            if optimistic:
                saved.append(latencies["speculation_saved"])

    run(talk_once(True))
    run(talk_once(False))
    assert saved == [pytest.approx(waits[False] - waits[True], abs=1000)]


def test_an_answer_that_was_begun_before_the_user_went_on_leaves_no_trace() -> None:
    async def talk_once() -> None:
        llm = Watched(ScriptedLLM(["Not this. " * 9, "But this."], first_s=0.1, tokens_per_s=20))
        tts = ScriptedTTS(first_s=0.05)
        async with conversation(stt=ears(), llm=llm, tts=tts) as talk:
            await pause_and_go_on(talk)
            assert llm.open == 0, "the model's stream is closed"
            await talk.until_while_silent(TurnClosed)
            assert talk.said() == "But this."
            assert list(tts.spoken) == ["Not this.", "But this."]
            assert len(talk.all(ResponseStarted)) == len(talk.all(ResponseDone)) == 1
            assert dialogue(llm.asked[-1].messages) == [("user", talk.all(TranscriptCompleted)[0].text)]
            assert [r.text for r in talk.journal.records if isinstance(r, ItemRecorded)][-1] == "But this."
            traced = facts(talk)
            assert (traced["spec_outcome"], traced["spec_attempts"]) == ("used", 2)
            assert traced["spec_wasted_tokens"] > 0
            assert 0 < traced["spec_wasted_share"] < 1

    run(talk_once())


def test_words_that_come_after_the_end_of_the_turn_are_late() -> None:
    async def talk_once() -> None:
        late = counted("late")
        async with conversation(stt=ears(final_s=0.6)) as talk:
            await talk.speak(1000)
            await talk.until_while_silent(TurnClosed)
            assert facts(talk)["spec_outcome"] == "late"
            assert counted("late") == late + 1

    run(talk_once())


def test_semantic_turns_are_answered_early_too() -> None:
    async def talk_once() -> None:
        config = replace(CONFIG, turn_detection=TurnDetection(type="semantic_vad", eagerness="high"))
        async with conversation(stt=ears(), end_of_turn=ScriptedEndOfTurn([0.1]), config=config) as talk:
            await talk.speak(1000)
            spoke_until = talk.now
            await talk.until_while_silent(AudioOut)
            assert (talk.at - spoke_until) * 1000 == pytest.approx(720, abs=30)
            path = {step["name"]: step["duration_us"] / 1000 for step in (await talk.until(TurnClosed)).trace["path"]}
            assert path["vad_hangover"] == pytest.approx(192, abs=30)
            assert path["endpointing_wait"] > 200, "the words were in, and the model was in doubt"

    run(talk_once())


@pytest.mark.parametrize(
    "command",
    [
        Configure(replace(CONFIG, instructions="Be brief.")),
        Configure(replace(CONFIG, tools=(ToolSpec("look", "Looks."),))),
        CreateItem(MessageItem("mine", "user", (Content("text", text="and this"),))),
        Inject(MessageItem("mine", "system", (Content("text", text="The user is in a hurry."),))),
        CreateItem(MessageItem("mine", "user", (Content("text", text="before that"),)), "root"),
        DeleteItem("first"),
        CreateResponse(ResponseOptions(instructions="Shout.")),
        CancelResponse(),
    ],
)
def test_a_command_that_changes_the_answer_while_it_is_begun_early_counts(command: Command) -> None:
    histories: dict[bool, list[Any]] = {}

    async def talk_once(optimistic: bool) -> None:
        llm = ScriptedLLM(["Well. " * 5], first_s=0.05, tokens_per_s=20)
        async with conversation(stt=ears(), llm=llm, latency=Latency(optimistic=optimistic)) as talk:
            talk.do(CreateItem(MessageItem("first", "user", (Content("text", text="hello"),))))
            await talk.speak(1000)
            await talk.silence(300)
            assert llm.calls == int(optimistic)
            talk.do(command)
            await talk.until_while_silent(ResponseDone)
            await talk.silence(3000)
            asked = llm.asked[-1]
            histories[optimistic] = [dialogue(asked.messages), asked.messages[0], asked.tools, told(talk)]

    run(talk_once(True))
    run(talk_once(False))
    assert histories[True] == histories[False]


def told(talk: Talk) -> list[object]:
    """What the client was told, but for when, and for what things are called."""
    return [
        (
            type(event).__name__,
            getattr(event, "text", None),
            getattr(event, "status", None),
            getattr(event, "code", None),
        )
        for _, event in talk.heard
        if not isinstance(event, AudioOut | TurnClosed)
    ]


@pytest.mark.parametrize("command", [RetrieveItem("first"), CreateResponse(ResponseOptions(in_conversation=False))])
def test_what_happens_beside_the_answer_does_not_disturb_it(command: Command) -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Well."], first_s=0.05)
        async with conversation(stt=ears(), llm=llm) as talk:
            talk.do(CreateItem(MessageItem("first", "user", (Content("text", text="hello"),))))
            await talk.speak(1000)
            await talk.silence(250)
            talk.do(command)
            await talk.until_while_silent(TurnClosed, where=lambda closed: closed.trace["kind"] == "plain")
            assert facts(talk)["spec_outcome"] == "used"

    run(talk_once())


@pytest.mark.parametrize("command", [CommitAudio(), ClearAudio()])
def test_a_turn_that_the_client_ends_itself_is_not_answered(command: CommitAudio | ClearAudio) -> None:
    async def talk_once() -> None:
        llm = Watched(ScriptedLLM([LONG], first_s=0.05, tokens_per_s=10))
        async with conversation(stt=ears(), llm=llm) as talk:
            await talk.speak(1000)
            await talk.silence(250)
            assert llm.open == 1
            await talk.session.hear(command)
            await talk.silence(2000)
            assert llm.open == 0
            assert not talk.all(ResponseStarted)

    run(talk_once())


def test_a_session_that_ends_meanwhile_says_nothing_of_it() -> None:
    async def talk_once() -> None:
        llm = Watched(ScriptedLLM([LONG], first_s=0.05, tokens_per_s=10))
        async with conversation(stt=ears(), llm=llm) as talk:
            await talk.speak(1000)
            await talk.silence(250)
            assert llm.open == 1
        assert llm.open == 0
        assert not talk.all(ResponseStarted)

    run(talk_once())


def test_noise_is_not_answered_early() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Well."])
        async with conversation(llm=llm) as talk:
            await talk.speak(150)
            await talk.silence(2000)
            assert llm.calls == 0

    run(talk_once())


def test_an_interruption_right_after_the_commit_cuts_the_answer_as_any_other() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([LONG * 5, "Yes?"], first_s=0.05)
        async with conversation(stt=ears(), llm=llm) as talk:
            await talk.speak(1000)
            await talk.silence(680)
            assert talk.all(AudioOut)
            await talk.speak(600)
            done = await talk.until_while_silent(ResponseDone)
            assert (done.status, done.reason) == ("cancelled", "turn_detected")
            await talk.until_while_silent(ResponseDone)
            assert not talk.stale_audio()
            assert talk.all(TurnClosed)[0].trace["end_reason"] == "interrupted"
            _, cut, again = dialogue(llm.asked[-1].messages)
            assert len(cut[1]) < 20
            assert again[0] == "user"

    run(talk_once())


# --- text, tools ---------------------------------------------------------------------------------


def test_text_waits_at_the_gate_too() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Well. I never."], first_s=0.05)
        async with conversation(stt=ears(), llm=llm, config=replace(CONFIG, modality="text")) as talk:
            await talk.speak(1000)
            spoke_until = talk.now
            await talk.until_while_silent(TextOut)
            assert (talk.at - spoke_until) * 1000 == pytest.approx(510, abs=20)
            await talk.until_while_silent(ResponseDone)
            assert talk.said() == "Well. I never."

    run(talk_once())


class Tools:
    """A server tool that notes when it was called, and an agent that calls it first."""

    def __init__(self, *, side_effects: bool, takes_s: float = 0.1) -> None:
        self.called: list[float] = []
        self.finished = 0
        self._takes_s = takes_s
        spec = ToolSpec("look", "Looks.", {"type": "object"}, side_effects)
        self._tools = [ServerTool(spec, Arguments("look", spec.parameters), self._call, 5.0)]
        self.llm = ScriptedLLM([[ToolCall("a", "look", "{}")], "Seven.", "Well."], first_s=0.05)

    async def _call(self, call_id: str, arguments: Mapping[str, Any]) -> ToolResult:
        self.called.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self._takes_s)
        self.finished += 1
        return ToolResult("seven")

    def agent(self, **spec: Any) -> VoiceAgent:
        agent = make_agent(stt=ears(), llm=self.llm, **spec)
        return replace(agent, brain=LLMBrain(self.llm, agent.spec), toolbox=partial(AgentToolbox, self._tools))


@pytest.mark.parametrize("side_effects", [True, False])
def test_a_tool_with_side_effects_waits_until_the_turn_is_certain(side_effects: bool) -> None:
    async def talk_once() -> None:
        tools = Tools(side_effects=side_effects)
        async with conversation(tools.agent()) as talk:
            await talk.speak(1000)
            await talk.until_while_silent(ResponseDone)
            committed = talk.time_of_first(AudioCommitted)
            assert (tools.called[0] >= committed) is side_effects
            assert talk.said() == "Seven."
            await talk.silence(1000)
            await talk.speak(1000)
            await talk.until_while_silent(ResponseDone)
            assert [m.role for m in tools.llm.asked[-1].messages] == [
                "system",
                "user",
                "assistant",
                "tool",
                "assistant",
                "user",
            ]

    run(talk_once())


@pytest.mark.parametrize("takes_s", [0.05, 2.0])
def test_what_a_tool_found_for_an_answer_that_was_thrown_away_is_forgotten(takes_s: float) -> None:
    async def talk_once() -> None:
        tools = Tools(side_effects=False, takes_s=takes_s)
        async with conversation(tools.agent()) as talk:
            await pause_and_go_on(talk)
            assert len(tools.called) == 1
            await talk.until_while_silent(ResponseDone)
            assert dialogue(tools.llm.asked[-1].messages) == [("user", talk.all(TranscriptCompleted)[0].text)]
            await talk.silence(3000)
            assert tools.finished == int(takes_s < 1), "a call that was under way is stopped"

    run(talk_once())


def test_a_tool_that_an_adopted_answer_began_early_outlives_an_interruption() -> None:
    async def talk_once() -> None:
        tools = Tools(side_effects=False, takes_s=1.5)
        async with conversation(tools.agent()) as talk:
            await talk.speak(1000)
            await talk.silence(700)
            assert len(tools.called) == 1
            assert talk.all(ResponseStarted)
            await talk.speak(600)
            await talk.until_while_silent(ResponseDone, where=lambda done: done.status == "completed")
            await talk.silence(1000)
            assert tools.finished == 1

    run(talk_once())


@pytest.mark.parametrize("takes_s", [0.35, 1.5])
def test_a_filler_is_for_a_listener_who_waits(takes_s: float) -> None:
    async def talk_once() -> None:
        tools = Tools(side_effects=False, takes_s=takes_s)
        agent = tools.agent(filler=FillerSpec(phrases=("One moment.",), after_ms=200))
        async with conversation(agent) as talk:
            await talk.speak(1000)
            await talk.until_while_silent(ResponseDone)
            assert talk.said().startswith("Seven." if takes_s < 1 else "One moment. ")

    run(talk_once())


def test_a_call_of_a_clients_tool_waits_until_the_turn_is_certain() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([[ToolCall("a", "look", "{}")]], first_s=0.05)
        config = replace(CONFIG, tools=(ToolSpec("look", "Looks."),))
        async with conversation(stt=ears(), llm=llm, config=config) as talk:
            await pause_and_go_on(talk)
            assert not talk.all(OutputStarted)
            done = await talk.until_while_silent(OutputDone)
            assert isinstance(done.item, CallItem)
            assert talk.at == pytest.approx(talk.time_of_first(AudioCommitted), abs=0.001)
            assert len(talk.all(OutputDone)) == 1

    run(talk_once())


# --- budgets -------------------------------------------------------------------------------------


def test_attempts_of_a_turn_are_bounded() -> None:
    async def talk_once() -> None:
        before = counted("over_budget")
        llm = ScriptedLLM(["Well."], first_s=0.01)
        async with conversation(stt=ears(), llm=llm, latency=Latency(optimistic_attempts=2)) as talk:
            for _ in range(4):
                await talk.speak(600)
                await talk.silence(400)
            await talk.until_while_silent(TurnClosed)
            assert llm.calls == 3, "two in vain, and the answer"
            assert facts(talk)["spec_outcome"] == "discarded"
            assert counted("over_budget") == before + 2
            await talk.speak(600)
            await talk.until_while_silent(TurnClosed)
            assert facts(talk)["spec_outcome"] == "used", "the next turn has attempts of its own"

    run(talk_once())


def test_tokens_in_vain_are_bounded_within_a_minute() -> None:
    async def talk_once() -> None:
        before, spent = counted("over_budget"), counters.snapshot().get((names.SPECULATION_TOKENS, ""), 0)
        llm = ScriptedLLM(["Well."], first_s=0.3)
        config = replace(CONFIG, instructions="Be brief. " * 160)  # some 400 tokens
        latency = Latency(optimistic_tokens=700)
        spec = AgentSpec(slug="scripted", brain="llm", llm=LLMSpec(account="lab"), latency=latency)
        agent = replace(make_agent(stt=ears(), llm=llm), spec=spec)
        async with conversation(agent, config=config) as talk:
            for _ in range(4):
                await talk.speak(600)
                await talk.silence(400)
            await talk.until_while_silent(TurnClosed)
            assert facts(talk)["spec_attempts"] == 1, "after one that was lost, a second would be too much"
            assert counted("over_budget") == before + 3
            assert 300 <= counters.snapshot()[names.SPECULATION_TOKENS, ""] - spent <= 700
            await talk.silence(60_000)
            await talk.speak(600)
            await talk.until_while_silent(TurnClosed)
            assert facts(talk)["spec_outcome"] == "used"

    run(talk_once())


def test_a_model_in_this_process_gets_one_attempt_a_turn() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Well."], first_s=0.3)
        agent = make_agent(stt=ears(), llm=llm)
        agent = replace(agent, spec=AgentSpec(slug="scripted", brain="llm"))
        async with conversation(agent) as talk:
            for _ in range(3):
                await talk.speak(600)
                await talk.silence(400)
            await talk.until_while_silent(TurnClosed)
            assert facts(talk)["spec_attempts"] == 1

    run(talk_once())


# --- faults --------------------------------------------------------------------------------------


def test_a_model_that_fails_meanwhile_is_heard_of_when_the_turn_is_certain() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Well."], first_s=0.01, fault=Fault("fail"))
        async with conversation(stt=ears(), llm=llm) as talk:
            await talk.speak(1000)
            await talk.silence(400)
            assert llm.calls == 1
            assert not talk.all(AudioCommitted)
            done = await talk.until_while_silent(ResponseDone)
            assert (done.status, llm.calls) == ("failed", 1)
            assert "trouble answering" in talk.said()

    run(talk_once())


def test_a_model_that_failed_for_an_answer_that_was_thrown_away_is_not_heard_of() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Well."], first_s=0.01, fault=Fault("fail", calls=[0]))
        tts = ScriptedTTS()
        async with conversation(stt=ears(), llm=llm, tts=tts) as talk:
            await pause_and_go_on(talk)
            done = await talk.until_while_silent(ResponseDone)
            assert done.status == "completed"
            assert list(tts.spoken) == ["Well."]

    run(talk_once())


def test_a_model_that_has_no_room_is_asked_for_less_when_the_turn_is_certain() -> None:
    class Small:
        """Reads three messages, and no more."""

        def __init__(self) -> None:
            self.asked: list[int] = []

        async def complete(
            self, messages: Sequence[Message], tools: Sequence[ToolSpec], options: CompletionOptions, marks: TurnMarks
        ) -> AsyncGenerator[LLMOutput, None]:
            self.asked.append(len(messages))
            if len(messages) > 3:
                raise ContextFull
            yield TextDelta("Well.")

    async def talk_once() -> None:
        llm = Small()
        async with conversation(stt=ears(), brain=PlainBrain(llm)) as talk:
            for n in range(4):
                talk.do(CreateItem(MessageItem(f"old_{n}", "user", (Content("text", text=f"old {n}"),))))
            await pause_and_go_on(talk)
            await talk.until_while_silent(ResponseDone)
            assert talk.said() == "Well."
            assert llm.asked == [6, 6, 2], "nothing is learned of an answer that was thrown away"

    run(talk_once())


# --- who has none --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        replace(CONFIG, transcription_only=True),
        replace(CONFIG, turn_detection=TurnDetection(create_response=False)),
        replace(CONFIG, turn_detection=TurnDetection(type="none")),
    ],
)
def test_who_is_not_answered_by_himself_is_not_answered_early(config: SessionConfig) -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Well."])
        async with conversation(stt=ears(), llm=llm, config=config) as talk:
            await pause_and_go_on(talk)
            await talk.silence(3000)
            assert llm.calls == 0

    run(talk_once())


def test_nothing_is_begun_while_a_reply_is_alive() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([LONG * 4, "Well."], first_s=0.05)
        detection = TurnDetection(interrupt_response=False)
        async with conversation(stt=ears(), llm=llm, config=replace(CONFIG, turn_detection=detection)) as talk:
            await talk.speak(1000)
            await talk.until_while_silent(AudioOut)
            await talk.speak(1000)
            await talk.silence(450)
            assert llm.calls == 1
            await talk.until_while_silent(ResponseDone)
            await talk.until_while_silent(ResponseDone)
            assert llm.calls == 2

    run(talk_once())


def test_an_idle_user_is_spoken_to_after_an_answer_that_was_begun_early() -> None:
    async def talk_once() -> None:
        detection = TurnDetection(idle_timeout_ms=5000)
        config = replace(CONFIG, turn_detection=detection)
        async with conversation(stt=ears(), llm=ScriptedLLM(["Well."]), config=config) as talk:
            await talk.speak(1000)
            await talk.until_while_silent(ResponseDone)
            await talk.until_while_silent(IdleTimedOut)
            await talk.until_while_silent(ResponseDone)
            assert not talk.all(ErrorOccurred)

    run(talk_once())


@pytest.mark.parametrize("mode", ["text", "speech"])
def test_decisions_on_events_go_on_beside_an_answer_that_is_begun_early(mode: Any) -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Well."], first_s=0.05)
        feed = FeedSpec(mode=mode, deadline_ms=0)
        async with conversation(stt=ears(), llm=llm, feed=feed) as talk:
            await talk.speak(1000)
            await talk.silence(200)
            talk.do(PushEvent("price", {"is": 7}))
            await talk.until_while_silent(ResponseDone)
            await talk.until_while_silent(ResponseDone)
            await talk.silence(4000)
            plain = [closed.trace for closed in talk.all(TurnClosed) if closed.trace["kind"] == "plain"]
            assert [trace["facts"]["spec_outcome"] for trace in plain] == ["used"]

    run(talk_once())
