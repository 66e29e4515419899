from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.brain import phrases
from agents.brain.answers_brain import AnswersBrain
from agents.errors import ProviderError
from agents.interfaces import (
    BrainOutput,
    CompletionOptions,
    HangUp,
    Message,
    Passage,
    ReplyRequest,
    Source,
    TextDelta,
    Toolbox,
    ToolResult,
)
from agents.knowledge import VectorIndex
from agents.knowledge.text import sentences
from agents.spec import AgentSpec, ToolRef
from agents.tools.builtin import BUILTINS
from agents.tools.toolbox import AgentToolbox, server_tools
from telemetry.trace import TurnMarks
from tests.fakes.library import Library, NotedTools

SPEC = AgentSpec(slug="guide", name="Guide", greeting="Hello, I am the guide.")
TUNING: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("tuning.yaml").read_text(encoding="utf-8"))


class Caller:
    """Talks to a brain and keeps the history, as a session does."""

    def __init__(self, brain: AnswersBrain, tools: Toolbox | None = None) -> None:
        self._brain = brain
        self._tools = tools or AgentToolbox(server_tools([ToolRef(name=name) for name in BUILTINS], secrets={}))
        self.messages: list[Message] = []
        self.outputs: list[BrainOutput] = []

    async def says(self, text: str, *, heard: int | None = None, choice: str = "auto") -> str:
        """The answer to `text`; of it only the first `heard` characters go into the history."""
        self.messages.append(Message("user", text))
        answer = await self.listens(choice)
        self.messages.append(Message("assistant", answer[:heard]))
        return answer

    async def listens(self, choice: str = "auto") -> str:
        request = ReplyRequest(tuple(self.messages), "", CompletionOptions(tool_choice=choice))
        self.outputs = [output async for output in self._brain.reply(request, self._tools, TurnMarks(lambda: 0.0))]
        return "".join(output.text for output in self.outputs if isinstance(output, TextDelta))

    @property
    def source(self) -> Source:
        (source,) = (output for output in self.outputs if isinstance(output, Source))
        return source


@pytest.fixture
def caller(shipped: VectorIndex) -> Caller:
    return Caller(AnswersBrain(shipped, SPEC, topics=shipped.titles))


async def test_a_conversation(caller: Caller) -> None:
    assert await caller.says("Hello!") == phrases.HELLO

    first = await caller.says("So, what is barge in?")
    assert "you speak while the agent is speaking" in first
    assert first.endswith(phrases.OFFERS)
    assert caller.source.title.startswith("Interrupting the agent")

    more = await caller.says("Yes, please.")
    assert caller.source.title.startswith("Interrupting the agent")
    assert more.split(". ")[0] not in first

    follow_up = await caller.says("And how quickly does it stop?")
    assert "quarter of a second" in follow_up

    assert await caller.says("Sorry, could you repeat that?") == phrases.without_offer(follow_up)
    slower = await caller.says("A bit slower, please.")
    assert slower.startswith(phrases.STEPS)
    assert "quarter of a second" in slower

    assert "twenty-six" not in (twice := await caller.says("What is twice thirteen?"))
    assert twice.startswith(phrases.UNKNOWN)
    assert await caller.says("What is thirteen times two?") == "That makes 26."
    assert await caller.says("Thank you!") == phrases.WELCOME

    assert await caller.says("That's all, goodbye!") == phrases.GOODBYE
    assert caller.outputs[-1] == HangUp()


async def test_going_on_never_repeats_itself_and_ends(caller: Caller) -> None:
    said = [await caller.says("What is Repartee?")]
    while not said[-1].endswith(phrases.NO_MORE):
        said.append(await caller.says("Go on."))
        assert len(said) < 12
    spoken = [sentence for answer in said for sentence in sentences(phrases.without_offer(answer))]
    assert len(spoken) == len(set(spoken)) > 4


async def test_after_an_interruption_it_goes_on_with_the_sentence_that_was_cut(caller: Caller) -> None:
    answer = await caller.says("What is voice to voice latency?", heard=60)
    assert (await caller.says("Go on")).startswith(sentences(answer)[0][:40])
    await caller.says("What is jitter?", heard=70)
    assert "percentile" in await caller.says("Please continue.")


@pytest.mark.parametrize("asked", ["What's the capital of Peru?", "Sing me a song.", "How do I bake bread?"])
async def test_it_says_that_it_does_not_know_and_what_it_knows(caller: Caller, asked: str) -> None:
    answer = await caller.says(asked)
    assert answer.startswith(phrases.UNKNOWN)
    assert "I can tell you about" in answer
    assert not any(isinstance(output, Source) for output in caller.outputs)


async def test_what_it_does_not_know_is_not_a_topic(caller: Caller) -> None:
    await caller.says("What is a webhook?")
    await caller.says("Who painted the Mona Lisa?")
    await caller.says("Tell me more.")
    assert caller.source.title.startswith("The brain, its tools")


async def test_what_it_can_do_names_topics_and_the_tools_it_has(caller: Caller, shipped: VectorIndex) -> None:
    assert "tell the time, do sums and end the call" in await caller.says("What can you do?")
    bare = Caller(AnswersBrain(shipped, SPEC, topics=shipped.titles), NotedTools())
    assert "time" not in await bare.says("What can you do?")


@pytest.mark.parametrize("heard", ["Whats repertoire?", "tell me about rapper tea", "What is report E?"])
async def test_its_name_may_be_misheard(caller: Caller, heard: str) -> None:
    assert "platform for voice agents" in await caller.says(heard)


async def test_the_tuning_questions(caller: Caller) -> None:
    """Not a measure of quality (that is benchmarks/guide_answers.py), but a fall here is a fault.

    Every answer fits into about twelve seconds.
    """
    right = 0
    for entry in TUNING["answerable"]:
        caller.messages.clear()
        words = phrases.without_offer(await caller.says(entry["ask"]))
        assert len(sentences(words)) <= 2
        assert len(words.split()) <= 40
        said = words.lower()
        right += all(any(fact.lower() in said for fact in group) for group in entry["facts"])
    declined = 0
    for asked in TUNING["out_of_scope"]:
        caller.messages.clear()
        declined += (await caller.says(asked)).startswith(phrases.UNKNOWN)
    assert right >= math.floor(0.92 * len(TUNING["answerable"]))
    assert declined >= math.floor(0.88 * len(TUNING["out_of_scope"]))  # most share a word with the documents


# --- with a library of its own ---------------------------------------------------------------------

TEA = Passage("Tea is steeped for three minutes. It turns bitter later.", "Tea", 0.9, section="Brewing")
CUPS = Passage("Cups are warmed with hot water first.", "Tea", 0.6, section="Cups")


def caller_with(tools: Toolbox, passages: Sequence[Passage] = (TEA, CUPS)) -> Caller:
    return Caller(AnswersBrain(Library({"tea": passages, "brewing": passages}), SPEC), tools)


async def test_without_a_question_it_greets_and_later_asks_what_else() -> None:
    caller = caller_with(NotedTools())
    assert await caller.listens() == SPEC.greeting
    await caller.says("How long does tea take?")
    assert await caller.listens() == phrases.NO_MORE


async def test_a_tool_that_the_agent_does_not_have_is_not_used() -> None:
    tools = NotedTools({"end_call": lambda call: ToolResult("", hang_up=True)}, client=["arithmetic"])
    caller = caller_with(tools)
    assert (await caller.says("What is 2 plus 2?")).startswith(phrases.UNKNOWN)
    await caller.says("Goodbye.")
    assert [call.name for call in tools.ran] == ["end_call"]


async def test_goodbye_hangs_up_without_the_tool_as_well() -> None:
    caller = caller_with(NotedTools())
    await caller.says("Bye!")
    assert caller.outputs[-1] == HangUp()


async def test_a_tools_failure_is_spoken() -> None:
    caller = Caller(AnswersBrain(Library({}), SPEC))
    assert await caller.says("What is 5 divided by 0?") == "Nothing can be divided by zero."
    assert "time zone of atlantis" in await caller.says("What time is it in Atlantis?")


async def test_no_tools_are_used_when_the_client_says_none() -> None:
    tools = NotedTools({"arithmetic": "4"})
    await caller_with(tools).says("What is 2 plus 2?", choice="none")
    assert tools.ran == []


@pytest.mark.parametrize("choice", ["required", "arithmetic"])
async def test_a_forced_tool_is_refused_in_clear_words(choice: str) -> None:
    with pytest.raises(ProviderError, match="cannot be made to call tools") as refused:
        await caller_with(NotedTools()).says("What is tea?", choice=choice)
    assert not refused.value.retryable


async def test_the_passage_is_the_source_and_more_follows_from_its_document() -> None:
    caller = caller_with(NotedTools())
    answer = await caller.says("How long does tea take?")
    assert answer.startswith("Tea is steeped for three minutes. It turns bitter later. ")
    assert caller.source == Source("Tea, Brewing", TEA.text)
    assert (await caller.says("yes")) == f"Cups are warmed with hot water first. {phrases.NO_MORE}"
    assert await caller.says("yes") == phrases.THAT_IS_ALL


async def test_more_before_anything_was_asked() -> None:
    assert await caller_with(NotedTools()).says("Go on.") == phrases.WHAT_ABOUT
    assert await caller_with(NotedTools()).says("Say that again?") == phrases.NOTHING_SAID
    assert await caller_with(NotedTools()).says("...") == phrases.UNHEARD


async def test_more_of_what_is_no_longer_in_the_documents() -> None:
    caller = caller_with(NotedTools(), passages=())
    caller.messages = [Message("user", "How long does tea take?"), Message("assistant", "Three minutes.")]
    assert await caller.says("Go on.") == phrases.THAT_IS_ALL
