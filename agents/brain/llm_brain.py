"""A brain that is a language model with tools: prompt, model, tools, and the model again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from agents.brain.prompt import compose
from agents.brain.retrieval import retrieval
from agents.errors import ToolError
from agents.interfaces import (
    LLM,
    BrainOutput,
    CompletionOptions,
    Finish,
    HangUp,
    LLMOutput,
    Message,
    Passage,
    ReplyRequest,
    Retriever,
    TextDelta,
    Toolbox,
    ToolCall,
    ToolChoice,
    ToolResult,
    ToolSpec,
    Usage,
)
from agents.knowledge.text import content_words
from agents.spec import AgentSpec
from telemetry.trace import TurnMarks

_PASSAGES = 4
_LEAST_SCORE = 0.3
_FEW_WORDS = 3
"""A question of fewer content words is looked up together with the one before it."""


@dataclass(slots=True)
class _Round:
    """What one completion gave, collected while its text streams."""

    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    finish: Finish | None = None

    def add(self, output: LLMOutput) -> None:
        match output:
            case TextDelta(text):
                self.text += text
            case ToolCall():
                self.calls.append(output)
            case Usage():
                self.usage += output
            case Finish():
                self.finish = output


class LLMBrain:
    """Speaks what `llm` writes. Passages that `retriever` finds for the user's words go into the prompt.

    Server tools run here, those of one round side by side, and their results go back to the model for at
    most `spec.llm.max_tool_rounds` rounds; then the model must answer without. Calls of client tools are
    yielded at once, and end the reply after their round. A tool's failure is told to the model.
    """

    def __init__(self, llm: LLM, spec: AgentSpec, retriever: Retriever | None = None) -> None:
        self._llm = llm
        self._spec = spec
        self._retriever = retriever

    async def reply(self, request: ReplyRequest, tools: Toolbox, marks: TurnMarks) -> AsyncGenerator[BrainOutput, None]:
        passages = await self._passages(request.messages, marks)
        messages = compose(request.messages, request.instructions, passages, spoken=request.spoken)
        specs = tools.specs()
        usage, finish, hang_up = Usage(), None, False
        for options in self._rounds(request.options, specs):
            done = _Round()
            async with aclosing(self._llm.complete(messages, specs, options, marks)) as stream:
                async for output in stream:
                    done.add(output)
                    match output:
                        case TextDelta():
                            yield output
                        case ToolCall() if options.tool_choice != "none" and _for_client(output, tools):
                            yield output
            usage, finish = usage + done.usage, done.finish
            calls = done.calls if options.tool_choice != "none" else []
            here = [call for call in calls if not _for_client(call, tools)]
            results = await _run_all(here, tools, marks)
            hang_up = hang_up or any(result.hang_up for result in results)
            if not calls or len(here) < len(calls):
                break
            messages += _exchange(done.text, here, results)
        yield usage
        if hang_up:
            yield HangUp()
        if finish is not None:
            yield finish

    def _rounds(self, options: CompletionOptions, specs: Sequence[ToolSpec]) -> list[CompletionOptions]:
        """The options of each round: a forced choice holds for the first only, the last allows no tools."""
        options = replace(
            options,
            max_output_tokens=options.max_output_tokens or self._spec.llm.max_output_tokens,
            temperature=self._spec.llm.temperature if options.temperature is None else options.temperature,
        )
        rounds = self._spec.llm.max_tool_rounds if specs and options.tool_choice != "none" else 0
        choices: list[ToolChoice] = [options.tool_choice, *["auto"] * (rounds - 1)][:rounds]
        return [replace(options, tool_choice=choice) for choice in [*choices, "none"]]

    async def _passages(self, messages: Sequence[Message], marks: TurnMarks) -> list[Passage]:
        asked = [message.text for message in messages if message.role == "user"]
        if self._retriever is None or not asked:
            return []
        few = len(content_words(asked[-1])) < _FEW_WORDS
        with retrieval(self._spec, marks):
            found = await self._retriever.search(" ".join(asked[-2:] if few else asked[-1:]), _PASSAGES)
        return [passage for passage in found if passage.score >= _LEAST_SCORE]


def _for_client(call: ToolCall, tools: Toolbox) -> bool:
    """A call of a tool that nobody has is answered here, with the toolbox's error."""
    return not tools.on_server(call.name) and any(spec.name == call.name for spec in tools.specs())


async def _run_all(calls: Sequence[ToolCall], tools: Toolbox, marks: TurnMarks) -> list[ToolResult]:
    """The results in the order of the calls. A coroutine of its own: no generator may suspend in a TaskGroup."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_run(call, tools, marks)) for call in calls]
    return [task.result() for task in running]


async def _run(call: ToolCall, tools: Toolbox, marks: TurnMarks) -> ToolResult:
    try:
        return await tools.run(call, marks)
    except ToolError as error:
        return ToolResult(f"Error: {error}")


def _exchange(text: str, calls: Sequence[ToolCall], results: Sequence[ToolResult]) -> list[Message]:
    said = Message("assistant", text, calls=tuple(calls))
    return [said, *(Message("tool", r.text, call_id=c.id) for c, r in zip(calls, results, strict=True))]
