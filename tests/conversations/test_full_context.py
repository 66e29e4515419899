"""A conversation that grows longer than its model can read."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Sequence

import msgspec

from agents.build import VoiceAgent
from agents.errors import ContextFull
from agents.interfaces import LLM, CompletionOptions, LLMOutput, Message, TextDelta, ToolSpec
from agents.providers.scripted import ScriptedLLM
from agents.spec import LLMSpec, TurnDetection
from sessions.pipeline.messages import (
    Content,
    CreateItem,
    CreateResponse,
    DeleteItem,
    MessageItem,
    ResponseDone,
    ResponseOptions,
    SessionConfig,
)
from sessions.pipeline.window import Truncation, message_tokens
from telemetry import counters
from telemetry.trace import TurnMarks
from tests.fakes.brain import PlainBrain
from tests.scenario import Talk, conversation, make_agent
from tests.virtual_time import run

SMALL = LLMSpec(account="hosted", context_tokens=1_000, max_output_tokens=100)
HUNDRED = "x" * 368
"""A message of 100 tokens."""


def config(truncation: Truncation) -> SessionConfig:
    return SessionConfig(
        instructions="Be brief.",
        modality="text",
        turn_detection=TurnDetection(type="none"),
        truncation=truncation,
    )


def says(n: int) -> CreateItem:
    return CreateItem(MessageItem(f"mine_{n}", "user", (Content("text", text=f"{n} {HUNDRED}"[:368]),)))


async def exchange(talk: Talk, n: int, options: ResponseOptions | None = None) -> ResponseDone:
    talk.do(says(n))
    talk.do(CreateResponse(options or ResponseOptions()))
    return await talk.until(ResponseDone)


def numbers(messages: Sequence[Message]) -> list[int]:
    return [int(message.text.split()[0]) for message in messages if message.role == "user"]


def agent(llm: LLM) -> VoiceAgent:
    made = make_agent(brain=PlainBrain(llm))
    return dataclasses.replace(made, spec=msgspec.structs.replace(made.spec, brain="llm", llm=SMALL))


class Forgetful:
    """A model that reads `tokens`, whatever the agent's settings say, and refuses more."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.asked: list[list[Message]] = []
        self.refused = 0

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], options: CompletionOptions, marks: TurnMarks
    ) -> AsyncGenerator[LLMOutput, None]:
        if sum(message_tokens(message) for message in messages) > self.tokens:
            self.refused += 1
            raise ContextFull
        self.asked.append([*messages])
        yield TextDelta(HUNDRED)


def test_the_oldest_are_left_out_and_the_instructions_never() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([HUNDRED])
        before = counters.snapshot().get(("context.dropped", ""), 0)
        async with conversation(agent(llm), config=config(Truncation(retention=1.0))) as talk:
            for n in range(8):
                assert (await exchange(talk, n)).status == "completed"
        for asked in llm.asked:
            assert asked.messages[0] == Message("system", "Be brief.")
            assert sum(message_tokens(message) for message in asked.messages[1:]) <= 1_000
        assert [numbers(asked.messages)[0] for asked in llm.asked] == [0, 0, 0, 0, 1, 2, 3, 4]
        assert counters.snapshot()["context.dropped", ""] == before + 8

    run(talk_once())


def test_a_ratio_leaves_out_more_at_once_so_that_the_next_turns_begin_alike() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([HUNDRED])
        async with conversation(agent(llm), config=config(Truncation(retention=0.5))) as talk:
            for n in range(9):
                await exchange(talk, n)
        assert [numbers(asked.messages)[0] for asked in llm.asked] == [0, 0, 0, 0, 3, 3, 3, 6, 6]

    run(talk_once())


def test_a_room_of_the_clients_own_is_kept() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([HUNDRED])
        policy = Truncation(retention=1.0, post_instructions=350)
        async with conversation(agent(llm), config=config(policy)) as talk:
            for n in range(4):
                await exchange(talk, n)
        assert [numbers(asked.messages) for asked in llm.asked] == [[0], [0, 1], [1, 2], [2, 3]]

    run(talk_once())


def test_without_truncation_the_response_fails_until_there_is_room() -> None:
    async def talk_once() -> None:
        async with conversation(agent(ScriptedLLM([HUNDRED])), config=config(Truncation("disabled"))) as talk:
            done = [await exchange(talk, n) for n in range(5)]
            assert [d.status for d in done] == ["completed"] * 4 + ["failed"]
            assert done[-1].reason == "context_length_exceeded"
            assert "Delete items, or allow truncation" in (done[-1].error or "")
            for n in range(3):
                talk.do(DeleteItem(f"mine_{n}"))
            assert (await exchange(talk, 5)).status == "completed"

    run(talk_once())


def test_a_response_beside_the_conversation_forgets_nothing_for_it() -> None:
    async def talk_once() -> None:
        llm = ScriptedLLM([HUNDRED])
        async with conversation(agent(llm), config=config(Truncation())) as talk:
            for n in range(4):
                await exchange(talk, n)
            beside = ResponseOptions(in_conversation=False, instructions="x" * 2_000)
            talk.do(CreateResponse(beside))
            await talk.until(ResponseDone)
            talk.do(CreateResponse())
            await talk.until(ResponseDone)
        assert numbers(llm.asked[-2].messages) == [3]
        assert numbers(llm.asked[-1].messages) == [0, 1, 2, 3]

    run(talk_once())


def test_a_model_that_reads_less_than_was_thought_gets_half_and_then_no_more() -> None:
    async def talk_once() -> None:
        llm = Forgetful(450)
        async with conversation(agent(llm), config=config(Truncation())) as talk:
            for n in range(6):
                assert (await exchange(talk, n)).status == "completed"
        assert [numbers(messages)[-1] for messages in llm.asked] == [0, 1, 2, 3, 4, 5]
        assert llm.refused == 1

    run(talk_once())


def test_a_model_that_cannot_even_read_the_last_words_fails_the_response_and_not_the_session() -> None:
    async def talk_once() -> None:
        llm = Forgetful(50)
        async with conversation(agent(llm), config=config(Truncation())) as talk:
            done = await exchange(talk, 0)
            assert (done.status, done.reason) == ("failed", "context_length_exceeded")
            llm.tokens = 500
            assert (await exchange(talk, 1)).status == "completed"

    run(talk_once())


def test_a_model_that_may_not_be_told_less_is_not() -> None:
    async def talk_once() -> None:
        llm = Forgetful(250)
        async with conversation(agent(llm), config=config(Truncation("disabled"))) as talk:
            assert (await exchange(talk, 0)).status == "completed"
            assert (await exchange(talk, 1)).reason == "context_length_exceeded"
        assert llm.refused == 1

    run(talk_once())
