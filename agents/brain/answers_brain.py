"""A brain without a language model: it finds the answer in the agent's documents and speaks it as written.

It invents nothing: what it says beyond quotations is in `phrases`. It holds no state, since one brain
serves all sessions: what was said and asked is read back from the messages of each request.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from agents.brain import phrases
from agents.brain.dialogue import Act, act, is_follow_up, question
from agents.brain.history import History, read
from agents.brain.requests import tool_call
from agents.brain.retrieval import retrieval
from agents.brain.spoken import excerpt, opening, smaller_steps
from agents.errors import ProviderError, ToolError
from agents.interfaces import (
    BrainOutput,
    HangUp,
    Passage,
    ReplyRequest,
    Retriever,
    Source,
    TextDelta,
    Toolbox,
    ToolCall,
)
from agents.knowledge.text import content_words, sentences
from agents.knowledge.word_vectors import word_vectors
from agents.spec import AgentSpec
from agents.tools.builtin import ARITHMETIC, END_CALL
from telemetry.trace import TurnMarks

KNOWN = 0.46
"""The lowest score of an answer; below it the agent says that it does not know. Found on the tuning questions."""

_CONSIDERED = 16


@dataclass(frozen=True, slots=True)
class _Answer:
    """Sentences to say, and the passage they are from if they are quoted."""

    sentences: Sequence[str]
    passage: Passage | None = None


class AnswersBrain:
    """Answers from `retriever` in at most two sentences. `topics` are what it says it can be asked about."""

    def __init__(self, retriever: Retriever, spec: AgentSpec, *, topics: Sequence[str] = ()) -> None:
        self._retriever = retriever
        self._spec = spec
        self._topics = tuple(topics)
        self._words = word_vectors()

    async def reply(self, request: ReplyRequest, tools: Toolbox, marks: TurnMarks) -> AsyncGenerator[BrainOutput, None]:
        """A `tool_choice` that demands a tool is a ProviderError: nothing here can choose among tools."""
        choice = request.options.tool_choice
        if choice not in ("auto", "none"):
            raise ProviderError(
                f'This agent answers from documents and cannot be made to call tools (tool_choice "{choice}").',
                provider="answers",
                retryable=False,
            )
        history, asked = read(request.messages)
        usable = [spec.name for spec in tools.specs() if tools.on_server(spec.name)] if choice == "auto" else []
        if not asked:
            yield TextDelta(phrases.NO_MORE if history.turns else self._spec.greeting or phrases.GREETING)
            return
        call = tool_call(asked, _call_id())
        doing = act(asked)
        if call is not None and call.name in usable:
            yield TextDelta(await _answer_of(call, tools, marks))
        elif doing is Act.GOODBYE:
            yield TextDelta(phrases.GOODBYE)
            if END_CALL in usable:
                await tools.run(ToolCall(_call_id(), END_CALL, "{}"), marks)
            yield HangUp()
        elif doing is None or doing is Act.MORE:
            answer = await (self._more(history, marks) if doing else self._look_up(question(asked), history, marks))
            for sentence in answer.sentences:
                yield TextDelta(sentence if answer.passage is None else f"{sentence} ")
            if answer.passage is not None:
                yield _source(answer.passage)
                yield TextDelta(await self._offer(answer.passage, history.with_answer(answer.sentences)))
        else:
            yield TextDelta(self._small_talk(doing, history, usable))

    def _small_talk(self, doing: Act, history: History, tools: list[str]) -> str:
        match doing:
            case Act.REPEAT:
                return history.last_answer or phrases.NOTHING_SAID
            case Act.SLOWER:
                return _slower(history.last_answer)
            case Act.CAPABILITIES:
                return phrases.capabilities(self._topics, tools)
            case Act.NAME:
                return f"My name is {self._spec.name or self._spec.slug}."
            case Act.NO:
                return phrases.DECLINED
            case Act.HOW_ARE_YOU:
                return phrases.WELL
            case Act.THANKS:
                return phrases.WELCOME
        return phrases.HELLO

    async def _look_up(self, asked: str, history: History, marks: TurnMarks) -> _Answer:
        if not asked:
            return _Answer([phrases.UNHEARD])
        with retrieval(self._spec, marks):
            found = await self._find(asked, history)
        if not found or found[0].score < KNOWN:
            return _Answer([phrases.unknown(self._topics, len(history.turns))])
        return _Answer(excerpt(sentences(found[0].text), asked, self._words), found[0])

    async def _find(self, asked: str, history: History) -> list[Passage]:
        """Passages for a question; one that leans on the topic before is searched for with it, too."""
        topic = history.topic
        if not topic or not is_follow_up(asked):
            return await self._retriever.search(asked, _CONSIDERED)
        joint = await self._retriever.search(f"{topic} {asked}", _CONSIDERED)
        alone = await self._retriever.search(asked, _CONSIDERED) if content_words(asked) else joint
        return _blend(alone, [passage for passage in joint if _rest(passage, history)])

    async def _more(self, history: History, marks: TurnMarks) -> _Answer:
        """What comes after the last answer: the rest of its passage, of its section, then of its document."""
        topic = history.topic
        if not topic:
            return _Answer([phrases.WHAT_ABOUT])
        with retrieval(self._spec, marks):
            answers = await self._retriever.search(topic, _CONSIDERED)
            begun = [p for p in answers if any(map(history.heard, sentences(p.text)))] or answers
            ahead = await self._ahead(begun[0], history) if begun else []
        if not ahead:
            return _Answer([phrases.THAT_IS_ALL])
        return _Answer(opening(_rest(ahead[0], history)), ahead[0])

    async def _ahead(self, begun: Passage, history: History) -> list[Passage]:
        """The passages of a document that are not yet heard to their end, from the one that was begun."""
        near = await self._retriever.search(f"{begun.title}. {begun.section}", _CONSIDERED)
        return [passage for passage in [begun, *_same_document(near, begun)] if _rest(passage, history)]

    async def _offer(self, passage: Passage, history: History) -> str:
        return phrases.offer(len(history.turns)) if await self._ahead(passage, history) else phrases.NO_MORE


def _source(passage: Passage) -> Source:
    place = f"{passage.title}, {passage.section}" if passage.section else passage.title
    return Source(title=place, passage=passage.text, url=passage.url)


def _rest(passage: Passage, history: History) -> list[str]:
    """The sentences after the last one that was heard."""
    held = sentences(passage.text)
    last = max((at for at, sentence in enumerate(held) if history.heard(sentence)), default=-1)
    return held[last + 1 :]


def _same_document(found: Sequence[Passage], begun: Passage) -> list[Passage]:
    """The other passages of its document, those of its section first."""
    others = [passage for passage in found if passage.title == begun.title and passage.text != begun.text]
    return sorted(others, key=lambda passage: passage.section != begun.section)


def _blend(alone: Sequence[Passage], joint: Sequence[Passage]) -> list[Passage]:
    """The passages of `joint`, by the mean of the scores in both searches."""
    scores = {(passage.title, passage.text): passage.score for passage in alone}
    blended = [
        Passage(p.text, p.title, (p.score + scores.get((p.title, p.text), 0.0)) / 2, p.url, p.section) for p in joint
    ]
    return sorted(blended, key=lambda passage: -passage.score)


def _slower(text: str) -> str:
    return " ".join([phrases.STEPS, *smaller_steps(text)]) if text else phrases.NOTHING_SAID


async def _answer_of(call: ToolCall, tools: Toolbox, marks: TurnMarks) -> str:
    try:
        result = await tools.run(call, marks)
    except ToolError as error:
        return str(error)
    return f"That makes {result.text}." if call.name == ARITHMETIC else result.text


def _call_id() -> str:
    return f"call_{secrets.token_hex(8)}"
