"""Events that a client pushes, and the decisions on them: beside the conversation, or spoken in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from agents.brain.rules_brain import RulesBrain
from agents.build import VoiceAgent
from agents.errors import Overloaded
from agents.interfaces import ResponseFormat, ToolCall, ToolResult, ToolSpec
from agents.providers.scripted import Fault, ScriptedLLM, ScriptedTTS
from agents.spec import AgentSpec, FeedSpec, Rule, ToolRef
from agents.tools.toolbox import AgentToolbox, server_tools
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.messages import (
    AudioOut,
    CallItem,
    CancelResponse,
    CreateResponse,
    ErrorOccurred,
    MessageItem,
    OutputStarted,
    PushEvent,
    ResponseDone,
    ResponseOptions,
    ResponseStarted,
    SessionConfig,
    SpeechStarted,
    TextOut,
    TurnClosed,
)
from sessions.pipeline.records import ItemRecorded, TurnRecorded
from telemetry import counters, names
from tests.scenario import Talk, conversation, make_agent
from tests.virtual_time import run

ORDER = {
    "type": "object",
    "properties": {"action": {"enum": ["buy", "sell"]}, "size": {"type": "integer", "minimum": 1}},
    "required": ["action"],
}
BUY = Rule(name="buy", when="event.price < 10", decide={"action": "buy", "size": "{{ event.size }}"})
FILLED = Rule(name="filled", when="event.filled", say="Your order for {{ key }} was filled.")
COUNTING = "One two three four five six seven eight nine ten eleven twelve. " * 2


def ruled(*rules: Rule, **feed: Any) -> VoiceAgent:
    """An agent that follows rules, with the real brain."""
    spec = AgentSpec(slug="scripted", brain="rules", rules=rules, feed=FeedSpec(**feed))
    return make_agent(brain=RulesBrain(spec), rules=rules, feed=spec.feed)


def deciding(llm: ScriptedLLM, **feed: Any) -> VoiceAgent:
    """An agent that asks a language model."""
    return make_agent(llm=llm, feed=FeedSpec(**feed))


def push(talk: Talk, key: str, deadline_ms: int | None = None, **data: Any) -> None:
    talk.do(PushEvent(key, data, len(json.dumps(data)), deadline_ms))


def output(done: ResponseDone) -> Any:
    (item,) = done.output
    assert isinstance(item, MessageItem)
    return json.loads(item.content[0].text)


def told(llm: ScriptedLLM, call: int = -1) -> Any:
    return json.loads(llm.asked[call].messages[-1].text)


def metadata(done: ResponseDone) -> dict[str, str]:
    return dict(done.options.metadata or {})


def counted(name: str, what: str) -> float:
    return counters.snapshot().get((name, what), 0)


def overlap(talk: Talk) -> bool:
    kinds = [type(e) for _, e in talk.heard if isinstance(e, ResponseStarted | ResponseDone)]
    return kinds != [ResponseStarted, ResponseDone] * (len(kinds) // 2)


# --- in text --------------------------------------------------------------------------------------


def test_an_event_is_decided_on_at_once_in_text_and_beside_the_conversation() -> None:
    async def talk_once() -> None:
        async with conversation(ruled(BUY, mode="text", schema=ORDER)) as talk:
            push(talk, "ACME", price=9.5, size=3)
            done = await talk.until(ResponseDone)
            assert (done.status, done.modality, output(done)) == ("completed", "text", {"action": "buy", "size": 3})
            assert metadata(done) == {
                "trigger": "events",
                "keys": "ACME",
                "events": "1",
                "conflated": "0",
                "expired": "0",
            }
            assert not talk.all(OutputStarted)[0].in_conversation
            assert talk.session.snapshot().items == ()

    run(talk_once())


def test_while_a_decision_is_made_news_are_conflated_and_the_next_decision_sees_the_newest() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["wait"], first_s=0.5)
        before = counted(names.FEED_EVENTS, "conflated")
        async with conversation(deciding(llm, mode="text")) as talk:
            push(talk, "A", n=0)
            await asyncio.sleep(0.1)
            for n in range(1, 100):
                push(talk, "A", n=n)
                push(talk, "B", n=n)
            first, second = [await talk.until(ResponseDone) for _ in range(2)]
            assert told(llm, 0) == {"events": {"A": {"n": 0}}}
            assert told(llm, 1) == {"events": {"A": {"n": 99}, "B": {"n": 99}}}
            assert (metadata(first)["conflated"], metadata(second)["conflated"]) == ("0", "196")
            await asyncio.sleep(10)
            assert len(llm.asked) == 2
        assert counted(names.FEED_EVENTS, "conflated") == before + 196

    run(talk_once())


def test_events_come_faster_than_an_inbox_could_hold() -> None:
    async def talk_once() -> None:
        async with conversation(ruled(BUY, mode="text", take="one"), bounds=Bounds(inbox_messages=8)) as talk:
            for n in range(5_000):
                push(talk, f"K{n % 10}", price=20, n=n)
            push(talk, "K3", price=5, size=1)
            assert output(await talk.until(ResponseDone, where=lambda done: bool(done.output)))["action"] == "buy"

    run(talk_once())


def test_a_language_model_sees_what_did_not_change_and_its_last_decisions() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["first", "second", "third"])
        async with conversation(deciding(llm, mode="text", memory=1)) as talk:
            for n, key in enumerate("ABB"):
                push(talk, key, n=n)
                await talk.until(ResponseDone)
            assert told(llm) == {"events": {"B": {"n": 2}}, "unchanged": {"A": {"n": 0}}}
            seen = [(message.role, message.text) for message in llm.asked[-1].messages[1:]]
            assert seen[:2] == [
                ("user", '{"events":{"B":{"n":1}},"unchanged":{"A":{"n":0}}}'),
                ("assistant", "second"),
            ]
            assert len(seen) == 3

    run(talk_once())


def test_a_model_is_given_the_schema_and_none_of_what_fails_it_is_handed_out() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(['{"action": "hold"}', ['{"action": 1}', ToolCall("c", "trade", "{}")], '{"action": "sell"}'])
        config = SessionConfig(tools=(ToolSpec("trade", ""),))
        async with conversation(deciding(llm, mode="text", schema=ORDER), config=config) as talk:
            push(talk, "A", n=0)
            bad = await talk.until(ResponseDone)
            assert (bad.status, bad.reason, bad.output) == ("failed", "invalid_output", ())
            assert bad.error == "output.action: does not satisfy 'enum' of its schema."
            push(talk, "A", n=1)
            assert (await talk.until(ResponseDone)).output == ()
            assert not talk.all(TextOut)
            push(talk, "A", n=2)
            assert output(await talk.until(ResponseDone)) == {"action": "sell"}
            assert llm.asked[0].options.response_format == ResponseFormat(ORDER)

    run(talk_once())


def test_a_decision_that_is_not_ready_by_its_deadline_fails_and_the_feed_goes_on() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["slow", "quick"], first_s=0.5)
        before = counted(names.FEED_DECISIONS, "missed")
        async with conversation(deciding(llm, mode="text", deadline_ms=200)) as talk:
            push(talk, "A", n=0)
            done = await talk.until(ResponseDone)
            assert (done.status, done.reason) == ("failed", "deadline_exceeded")
            assert talk.at == pytest.approx(0.2, abs=0.002)
            push(talk, "A", n=1, deadline_ms=0)
            assert (await talk.until(ResponseDone)).status == "completed"
            assert [turn.trace["end_reason"] for turn in talk.all(TurnClosed)] == ["missed"]
        assert counted(names.FEED_DECISIONS, "missed") == before + 1

    run(talk_once())


def test_a_text_that_is_half_out_at_the_deadline_is_cut_off() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["one two three four"], tokens_per_s=10)
        async with conversation(deciding(llm, mode="text", deadline_ms=150)) as talk:
            push(talk, "A", n=0)
            done = await talk.until(ResponseDone)
            assert (done.status, done.reason, talk.said()) == ("failed", "deadline_exceeded", "one two ")
            await asyncio.sleep(1)
            assert talk.said() == "one two "

    run(talk_once())


def test_news_that_waited_past_their_deadline_are_not_decided_on_and_the_next_decision_says_so() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["slow"], first_s=0.5)
        async with conversation(deciding(llm, mode="text", deadline_ms=0)) as talk:
            push(talk, "A", n=0)
            await asyncio.sleep(0.1)
            push(talk, "B", deadline_ms=100, n=1)
            await talk.until(ResponseDone)
            push(talk, "C", n=2)
            assert metadata(await talk.until(ResponseDone))["expired"] == "1"
            assert told(llm) == {"events": {"C": {"n": 2}}, "unchanged": {"A": {"n": 0}, "B": {"n": 1}}}

    run(talk_once())


def test_decisions_keep_their_interval() -> None:
    async def talk_once() -> None:
        async with conversation(ruled(BUY, mode="text", interval_ms=250)) as talk:
            for n in range(100):
                push(talk, "A", price=n, size=1)
                await asyncio.sleep(0.01)
            begun = [at for at, event in talk.heard if isinstance(event, ResponseStarted)]
            assert begun == pytest.approx([0, 0.25, 0.5, 0.75], abs=0.02)

    run(talk_once())


def test_a_model_that_fails_fails_the_decision_without_an_apology() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["buy"], fault=Fault("fail", calls=[0]))
        async with conversation(deciding(llm, mode="text")) as talk:
            push(talk, "A", n=0)
            done = await talk.until(ResponseDone)
            assert (done.status, done.output) == ("failed", ())
            push(talk, "A", n=1)
            assert (await talk.until(ResponseDone)).status == "completed"

    run(talk_once())


def test_if_no_rule_holds_the_decision_is_empty() -> None:
    async def talk_once() -> None:
        before = counted(names.FEED_DECISIONS, "no_output")
        async with conversation(ruled(BUY, mode="text", schema=ORDER)) as talk:
            push(talk, "A", price=20)
            done = await talk.until(ResponseDone)
            assert (done.status, done.output) == ("completed", ())
        assert counted(names.FEED_DECISIONS, "no_output") == before + 1

    run(talk_once())


def test_a_decision_can_be_a_call_of_the_clients_tool() -> None:
    async def talk_once() -> None:
        go = Rule(name="go", when="event.x > 0", call="move", arguments={"to": "{{ event.x }}"})
        again = Rule(name="again", when="last.name == 'move'", decide={"was": "{{ last.arguments.to }}"})
        config = SessionConfig(tools=(ToolSpec("move", ""),))
        async with conversation(ruled(go, again, mode="text"), config=config) as talk:
            push(talk, "me", x=2)
            (call,) = (await talk.until(ResponseDone)).output
            assert isinstance(call, CallItem)
            assert (call.name, json.loads(call.arguments)) == ("move", {"to": 2})
            push(talk, "me", x=0)
            assert output(await talk.until(ResponseDone)) == {"was": 2}

    run(talk_once())


def test_a_tool_of_the_agents_leaves_nothing_in_the_conversation() -> None:
    async def talk_once() -> None:
        rule = Rule(
            name="ask",
            when="true",
            call="arithmetic",
            arguments={"expression": "2 + {{ event.n }}"},
            say="{{ result }}",
        )
        tools = server_tools([ToolRef(name="arithmetic")], secrets={})
        agent = replace(ruled(rule, mode="text"), toolbox=partial(AgentToolbox, tools))
        async with conversation(agent) as talk:
            push(talk, "A", n=3)
            assert output(await talk.until(ResponseDone)) == 5
            assert talk.session.snapshot().items == ()

    run(talk_once())


def test_a_decision_can_be_cancelled_by_its_id() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["slow"], first_s=5)
        async with conversation(deciding(llm, mode="text", deadline_ms=0)) as talk:
            push(talk, "A", n=0)
            started = await talk.until(ResponseStarted)
            talk.do(CancelResponse(started.response_id))
            assert (await talk.until(ResponseDone)).status == "cancelled"
            push(talk, "A", n=1)
            assert (await talk.until(ResponseStarted)).response_id != started.response_id

    run(talk_once())


def test_speech_and_decisions_in_text_go_on_side_by_side() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["a decision"], first_s=0.2)
        async with conversation(deciding(llm, mode="text")) as talk:
            async with asyncio.TaskGroup() as group:
                group.create_task(talk.speak(1000))
                for n in range(10):
                    await asyncio.sleep(0.1)
                    push(talk, "A", n=n)
            await talk.until_while_silent(ResponseDone, where=lambda done: done.modality == "audio")
            kinds = {(done.modality, done.status) for done in talk.all(ResponseDone)}
            assert kinds == {("text", "completed"), ("audio", "completed")}

    run(talk_once())


def test_a_full_feed_refuses_and_the_session_lives() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["wait"], first_s=1)
        async with conversation(deciding(llm, mode="text", deadline_ms=0), bounds=Bounds(feed_keys=2)) as talk:
            push(talk, "A", n=0)
            push(talk, "B", n=0)
            with pytest.raises(Overloaded, match="2 keys"):
                push(talk, "C", n=0)
            assert (await talk.until(ResponseDone)).status == "completed"

    run(talk_once())


def test_a_client_that_does_not_read_gets_fewer_decisions_and_no_pile_of_them() -> None:
    async def talk_once() -> None:
        async with conversation(ruled(BUY, mode="text"), bounds=Bounds(events_out=32)) as talk:
            talk.reads_s = 0.1
            for n in range(2_000):
                push(talk, "A", price=5, size=n)
                await asyncio.sleep(0.001)
            talk.reads_s = 0
            last = await talk.until(ResponseDone, where=lambda done: output(done)["size"] == 1_999)
            assert last.status == "completed"
            assert len(talk.all(ResponseDone)) < 100

    run(talk_once())


def test_a_long_feed_leaves_nothing_behind() -> None:
    async def talk_once() -> None:
        async with conversation(ruled(BUY, mode="text", interval_ms=5)) as talk:
            for n in range(20_000):
                push(talk, f"K{n % 20}", price=n % 40, size=n)
                await asyncio.sleep(0.001)
            await asyncio.sleep(1)
            session = talk.session
            assert len(talk.all(ResponseDone)) > 1_000
            assert (session._replies._tasks, session._replies.beside) == ({}, {})
            assert len(asyncio.all_tasks()) < 10
            assert len(session._deciding.feed) == 20

    run(talk_once())


def test_the_session_may_end_in_the_middle_of_a_decision() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["slow"], first_s=5)
        async with conversation(deciding(llm, mode="text", deadline_ms=0)) as talk:
            push(talk, "A", n=0)
            await talk.until(ResponseStarted)
            push(talk, "A", n=1)
            talk.session.end("closed")
            assert (await talk.until(ResponseDone)).status == "cancelled"
        assert len(talk.all(ResponseDone)) == 1

    run(talk_once())


def test_one_decision_a_second_is_recorded_with_what_happened_since() -> None:
    async def talk_once() -> None:
        async with conversation(ruled(BUY, mode="text")) as talk:
            for n in range(250):
                push(talk, "A", price=5, size=n)
                push(talk, "A", price=5, size=n + 1)
                await asyncio.sleep(0.01)
            traces = [record.trace for record in talk.journal.records if isinstance(record, TurnRecorded)]
            assert not [record for record in talk.journal.records if isinstance(record, ItemRecorded)]
        assert [trace.kind for trace in traces] == ["event"] * 3
        assert [trace.facts[names.FEED_DECISIONS_FACT] for trace in traces] == [1, 100, 100]
        assert [trace.facts[names.FEED_CONFLATED_FACT] for trace in traces] == [1, 100, 100]
        assert [trace.index for trace in traces] == [0, 1, 2]
        assert all(0 <= trace.latencies[names.DECISION] < 10_000 for trace in traces)

    run(talk_once())


# --- in speech ------------------------------------------------------------------------------------


def test_an_event_can_make_the_agent_speak() -> None:
    async def talk_once() -> None:
        async with conversation(ruled(FILLED, mode="speech")) as talk:
            push(talk, "ACME", filled=True)
            done = await talk.until(ResponseDone)
            assert (done.status, done.modality, talk.said()) == (
                "completed",
                "audio",
                "Your order for ACME was filled.",
            )
            closed = await talk.until(TurnClosed)
            assert (closed.trace["kind"], closed.trace["initiator"], closed.trace["end_reason"]) == (
                "event",
                "client",
                "completed",
            )
            assert [item.role for item in talk.session.snapshot().items if isinstance(item, MessageItem)] == [
                "assistant"
            ]

    run(talk_once())


def test_an_event_does_not_interrupt_a_reply_that_is_being_heard() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([COUNTING, "Filled."])
        async with conversation(deciding(llm, mode="speech", deadline_ms=0)) as talk:
            await talk.speak(600)
            await talk.until_while_silent(AudioOut)
            push(talk, "ACME", filled=True)
            first = await talk.until_while_silent(ResponseDone)
            heard_at = talk.time_of_first(AudioOut) + first.audio_ms / 1000
            await talk.until_while_silent(ResponseStarted)
            assert first.status == "completed"
            assert talk.at >= heard_at - 0.05
            assert (await talk.until_while_silent(ResponseDone)).status == "completed"
            assert not overlap(talk)
            assert told(llm) == {"events": {"ACME": {"filled": True}}}

    run(talk_once())


def test_what_the_user_says_comes_first() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Yes?", "Filled."])
        async with conversation(deciding(llm, mode="speech", deadline_ms=0)) as talk:
            async with asyncio.TaskGroup() as group:
                group.create_task(talk.speak(1500))
                await asyncio.sleep(0.5)
                push(talk, "ACME", filled=True)
            for _ in range(2):
                await talk.until_while_silent(ResponseDone)
            assert talk.said() == "Yes?Filled."
            assert not overlap(talk)

    run(talk_once())


def test_speech_interrupts_a_spoken_decision_which_is_not_made_again() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([COUNTING, "What?"])
        async with conversation(deciding(llm, mode="speech")) as talk:
            push(talk, "ACME", filled=True)
            await talk.until(AudioOut)
            await asyncio.sleep(0.5)
            await talk.speak(600)
            done = await talk.until_while_silent(ResponseDone)
            assert (done.status, done.reason) == ("cancelled", "turn_detected")
            assert (await talk.until_while_silent(ResponseDone)).status == "completed"
            await talk.silence(5_000)
            assert len(talk.all(ResponseStarted)) == 2

    run(talk_once())


def test_a_spoken_decision_that_nobody_heard_anything_of_is_made_again() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["Filled.", "Yes?", "Filled."], first_s=1.0)
        async with conversation(deciding(llm, mode="speech", deadline_ms=0)) as talk:
            push(talk, "ACME", filled=True)
            await talk.speak(600)
            statuses = [(await talk.until_while_silent(ResponseDone)).status for _ in range(3)]
            assert statuses == ["cancelled", "completed", "completed"]
            assert talk.said() == "Yes?Filled."
            assert len(talk.all(SpeechStarted)) == 1

    run(talk_once())


def test_a_decision_that_has_done_something_is_not_made_again_even_if_nobody_heard_of_it() -> None:
    async def talk_once() -> None:
        rule = Rule(
            name="fill", when="event.filled", call="arithmetic", arguments={"expression": "2 + 3"}, say="{{ result }}"
        )
        tools = server_tools([ToolRef(name="arithmetic")], secrets={})
        ran = 0

        async def noted(call_id: str, arguments: Mapping[str, Any]) -> ToolResult:
            nonlocal ran
            ran += 1
            return ToolResult("five")

        agent = replace(
            ruled(rule, mode="speech", deadline_ms=0),
            toolbox=partial(AgentToolbox, [replace(tools[0], call=noted)]),
            tts=ScriptedTTS(first_s=1.0),
        )
        async with conversation(agent) as talk:
            push(talk, "ACME", filled=True)
            await talk.speak(600)
            assert (await talk.until_while_silent(ResponseDone)).reason == "turn_detected"
            await talk.silence(8_000)
            assert ran == 1

    run(talk_once())


def test_a_written_decision_of_a_speaking_agent_is_neither_made_again_nor_recorded_each_time() -> None:
    """The client may want text only; then there is nothing to hear, and no pace."""

    async def talk_once() -> None:
        say = Rule(name="say", when="true", say="{{ event.n }} ")
        async with conversation(ruled(say, mode="speech"), config=SessionConfig(modality="text")) as talk:
            for n in range(200):
                push(talk, "A", n=n)
                await asyncio.sleep(0.01)
            turns = [record for record in talk.journal.records if isinstance(record, TurnRecorded)]
        assert talk.said() == "".join(f"{n} " for n in range(200))
        assert len(turns) <= 3

    run(talk_once())


def test_output_is_bounded() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([f'{{"action": "buy", "note": "{"x" * 66_000}"}}'])
        async with conversation(deciding(llm, mode="text", schema=ORDER)) as talk:
            push(talk, "A", n=0)
            done = await talk.until(ResponseDone)
            assert (done.reason, done.output) == ("invalid_output", ())
            assert done.error == "The output has more than 65536 characters."

    run(talk_once())


def test_a_decision_does_not_take_a_place_of_the_clients_own_responses() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM(["slow"], first_s=1)
        async with conversation(deciding(llm, mode="text", deadline_ms=0), bounds=Bounds(side_responses=1)) as talk:
            push(talk, "A", n=0)
            await talk.until(ResponseStarted)
            talk.do(CreateResponse(ResponseOptions(in_conversation=False, input=())))
            assert {(await talk.until(ResponseDone)).status for _ in range(2)} == {"completed"}
            assert not talk.all(ErrorOccurred)

    run(talk_once())


def test_the_deadline_of_a_spoken_decision_is_for_its_first_sound() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([COUNTING, "Late."], first_s=0.3)
        async with conversation(deciding(llm, mode="speech", deadline_ms=800)) as talk:
            push(talk, "A", n=0)
            done = await talk.until(ResponseDone)
            assert (done.status, done.audio_ms > 3_000) == ("completed", True)
            await talk.until(TurnClosed)
            push(talk, "A", deadline_ms=200, n=1)
            assert (await talk.until(ResponseDone)).reason == "deadline_exceeded"

    run(talk_once())


def test_spoken_decisions_that_say_nothing_do_not_fill_the_records() -> None:
    async def talk_once() -> None:
        async with conversation(ruled(FILLED, mode="speech")) as talk:
            for n in range(200):
                push(talk, "ACME", filled=n == 150)
                await asyncio.sleep(0.01)
            await talk.until(TurnClosed, where=lambda closed: closed.trace["end_reason"] == "completed")
            turns = [record.trace for record in talk.journal.records if isinstance(record, TurnRecorded)]
        assert talk.said() == "Your order for ACME was filled."
        assert [turn.end_reason for turn in turns].count("completed") == 1
        assert len(turns) <= 4

    run(talk_once())
