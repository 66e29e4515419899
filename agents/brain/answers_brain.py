"""A brain without a language model: it finds the answer in the agent's documents and speaks it as written.

It invents nothing: what it says beyond quotations is in `phrases`. It holds no state, since one brain
serves all sessions: what was said and asked is read back from the messages of each request.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Sequence

from agents.brain import phrases
from agents.brain.dialogue import Act, act, is_follow_up, question
from agents.brain.history import History, read
from agents.brain.requests import tool_call
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

KNOWN = 0.45
"""The lowest score of an answer; below it the agent says that it does not know. Found on the tuning questions."""

RELATED = 0.3
"""The lowest score of a passage that is worth offering after an answer."""

_CONSIDERED = 8


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
        else:
            for output in await self._answer(asked, doing, history, usable):
                yield output

    async def _answer(self, asked: str, doing: Act | None, history: History, tools: list[str]) -> list[BrainOutput]:
        match doing:
            case None:
                return await self._from_documents(question(asked), history)
            case Act.MORE:
                return await self._more(history)
            case Act.REPEAT:
                return [TextDelta(history.last_answer or phrases.NOTHING_SAID)]
            case Act.SLOWER:
                return [TextDelta(_slower(history.last_answer))]
            case Act.CAPABILITIES:
                return [TextDelta(phrases.capabilities(self._topics, tools))]
            case Act.NAME:
                return [TextDelta(f"My name is {self._spec.name or self._spec.slug}.")]
            case Act.NO:
                return [TextDelta(phrases.DECLINED)]
            case Act.HOW_ARE_YOU:
                return [TextDelta(phrases.WELL)]
            case Act.THANKS:
                return [TextDelta(phrases.WELCOME)]
        return [TextDelta(phrases.HELLO)]

    async def _from_documents(self, asked: str, history: History) -> list[BrainOutput]:
        if not asked:
            return [TextDelta(phrases.UNHEARD)]
        found = await self._find(asked, history)
        if not found or found[0].score < KNOWN:
            return [TextDelta(phrases.unknown(self._topics, len(history.turns)))]
        best = found[0]
        passage = sentences(best.text)
        chosen = excerpt(passage, asked, self._words)
        more = chosen[-1] != passage[-1] or any(_rest(p, history) for p in _related(found[1:], best))
        return _spoken(chosen, best, phrases.offer(len(history.turns)) if more else phrases.NO_MORE)

    async def _find(self, asked: str, history: History) -> list[Passage]:
        """Passages for a question; one that leans on the topic before is searched for with it, too."""
        topic = history.topic
        if not topic or not is_follow_up(asked):
            return await self._retriever.search(asked, _CONSIDERED)
        joint = await self._retriever.search(f"{topic} {asked}", 2 * _CONSIDERED)
        alone = await self._retriever.search(asked, 2 * _CONSIDERED) if content_words(asked) else joint
        return _blend(alone, [passage for passage in joint if _rest(passage, history)])

    async def _more(self, history: History) -> list[BrainOutput]:
        """What comes after the last answer: the rest of its passage, then its section, then what is near."""
        topic = history.topic
        if not topic:
            return [TextDelta(phrases.WHAT_ABOUT)]
        found = await self._retriever.search(topic, _CONSIDERED)
        begun = next((p for p in found if any(map(history.heard, sentences(p.text)))), None)
        order = [*([begun] if begun else []), *_related(found, begun)]
        ahead = [(passage, rest) for passage in order if (rest := _rest(passage, history))]
        if not ahead:
            return [TextDelta(phrases.THAT_IS_ALL)]
        passage, rest = ahead[0]
        chosen = opening(rest)
        more = len(ahead) > 1 or len(chosen) < len(rest)
        return _spoken(chosen, passage, phrases.offer(len(history.turns)) if more else phrases.NO_MORE)


def _spoken(chosen: Sequence[str], passage: Passage, offer: str) -> list[BrainOutput]:
    place = f"{passage.title}, {passage.section}" if passage.section else passage.title
    texts = [TextDelta(f"{sentence} ") for sentence in chosen]
    return [*texts, Source(title=place, passage=passage.text, url=passage.url), TextDelta(offer)]


def _rest(passage: Passage, history: History) -> list[str]:
    """The sentences after the last one that was heard."""
    held = sentences(passage.text)
    last = max((at for at, sentence in enumerate(held) if history.heard(sentence)), default=-1)
    return held[last + 1 :]


def _related(found: Sequence[Passage], best: Passage | None) -> list[Passage]:
    """Those near enough to follow `best`: of its section first, then as they were found."""
    near = [passage for passage in found if passage.score >= RELATED and passage != best]
    if best is None:
        return near
    return sorted(near, key=lambda passage: (passage.title, passage.section) != (best.title, best.section))


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
