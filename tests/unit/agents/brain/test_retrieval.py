from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agents.brain.answers_brain import AnswersBrain
from agents.brain.llm_brain import LLMBrain
from agents.interfaces import Brain, Message, Passage, ReplyRequest
from agents.providers.scripted import ScriptedLLM
from agents.spec import AgentSpec
from telemetry.trace import TurnMarks
from tests.fakes.library import NotedTools
from tests.virtual_time import run

SPEC = AgentSpec(slug="terse", knowledge=("tea", "coffee"))
SEARCH_S = 0.25


class SlowLibrary:
    """Takes SEARCH_S for a search."""

    async def search(self, text: str, k: int) -> list[Passage]:
        await asyncio.sleep(SEARCH_S)
        return [Passage("Tea is brewed hot. It takes five minutes.", "Tea", 0.9)]


def marks_of(brain: Brain, *messages: Message) -> TurnMarks:
    async def reply() -> TurnMarks:
        marks = TurnMarks(asyncio.get_running_loop().time)
        async for _ in brain.reply(ReplyRequest(messages, ""), NotedTools(), marks):
            pass
        return marks

    return run(reply())


def said(*texts: str) -> Sequence[Message]:
    return [Message("user" if n % 2 == 0 else "assistant", text) for n, text in enumerate(texts)]


def searched(marks: TurnMarks) -> float:
    return marks.at["retrieval.end"] - marks.at["retrieval.start"]


def test_the_search_for_an_answer_is_marked_with_where_it_looked() -> None:
    marks = marks_of(AnswersBrain(SlowLibrary(), SPEC), *said("How is tea brewed?"))
    assert searched(marks) == SEARCH_S
    assert marks.facts["retrieval_source"] == "tea,coffee"


def test_the_two_searches_for_a_follow_up_are_one_retrieval() -> None:
    brain = AnswersBrain(SlowLibrary(), SPEC)
    marks = marks_of(brain, *said("How is tea brewed?", "Tea is brewed hot.", "And how long does it take?"))
    assert searched(marks) == 2 * SEARCH_S


def test_the_search_for_more_is_marked() -> None:
    brain = AnswersBrain(SlowLibrary(), SPEC)
    assert searched(marks_of(brain, *said("How is tea brewed?", "Tea is brewed hot.", "Tell me more."))) >= SEARCH_S


def test_what_is_answered_without_documents_has_no_retrieval() -> None:
    marks = marks_of(AnswersBrain(SlowLibrary(), SPEC), *said("Thank you!"))
    assert not marks.at
    assert not marks.facts


def test_a_language_models_passages_are_marked_before_its_request() -> None:
    marks = marks_of(LLMBrain(ScriptedLLM(["Hot."]), SPEC, SlowLibrary()), *said("How is tea brewed?"))
    assert searched(marks) == SEARCH_S
    assert marks.at["retrieval.end"] <= marks.at["llm[0].request_sent"]
