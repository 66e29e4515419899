"""How much of a conversation a model can read, and which part that is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agents.brain.prompt import MAX_PASSAGE_CHARS, SPEAKING
from agents.errors import ContextFull
from agents.interfaces import Message, ReplyRequest, ToolSpec
from agents.spec import AgentSpec, context_tokens
from sessions.pipeline.pairing import Told
from telemetry import counters, names

BYTES_PER_TOKEN = 4
"""What a token is taken for: 4 letters of English, less in most other scripts, more in none that is common."""
MESSAGE_TOKENS = 8
"""What a message costs beside its words."""
AUTO_RETENTION = 0.8
ENDLESS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Truncation:
    """What happens when the history is longer than the model can read.

    "auto" leaves out the oldest until the rest fills `retention` of the room, so that the next turns begin
    with the same words and a server's prompt cache holds. "disabled" fails the response. The room is at
    most `post_instructions` tokens.
    """

    mode: Literal["auto", "disabled"] = "auto"
    retention: float = AUTO_RETENTION
    post_instructions: int | None = None


def tokens_of(text: str) -> int:
    """An estimate: only the model's own tokenizer knows."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def message_tokens(message: Message) -> int:
    calls = sum(tokens_of(call.name) + tokens_of(call.arguments) + MESSAGE_TOKENS for call in message.calls)
    return tokens_of(message.text) + calls + MESSAGE_TOKENS


def request_tokens(request: ReplyRequest, tools: Sequence[ToolSpec]) -> int:
    """What a model is given to read, documents that it looks up not counted."""
    told = sum(map(message_tokens, request.messages)) + sum(map(_tool_tokens, tools))
    return told + tokens_of(request.instructions) + tokens_of(SPEAKING)


class Window:
    """The room that one session's model has for a history; less once the model says that it has less."""

    def __init__(self, spec: AgentSpec) -> None:
        self._spec = spec
        self._tokens = context_tokens(spec.llm)
        self._most: int | None = None

    def room(self, instructions: str, tools: Sequence[ToolSpec], output_tokens: int | None, policy: Truncation) -> int:
        """Tokens left for messages, beside all else that goes into a request. A brain without a model reads on."""
        if self._spec.brain != "llm":
            return ENDLESS if policy.post_instructions is None else policy.post_instructions
        answer = min(output_tokens or self._spec.llm.max_output_tokens, self._tokens // 4)
        told = tokens_of(instructions) + tokens_of(SPEAKING) + sum(_tool_tokens(tool) for tool in tools)
        passages = MAX_PASSAGE_CHARS // BYTES_PER_TOKEN if self._spec.knowledge else 0
        room = max(0, self._tokens - answer - told - passages - MESSAGE_TOKENS)
        return min([room, *(most for most in (policy.post_instructions, self._most) if most is not None)])

    def fit(self, told: Sequence[Told], room: int, policy: Truncation) -> int:
        """The index of the first message that the model is to see. ContextFull if none may be left out."""
        if _first_within(told, room) == 0:
            return 0
        if policy.mode == "disabled":
            raise ContextFull(
                f"The conversation is longer than the {room} tokens, or so, that the model has room for. Delete items, "
                "or allow truncation."
            )
        start = _start(told, round(room * policy.retention))
        counters.count(names.CONTEXT_DROPPED, start)
        return start

    def shrink(self, told: Sequence[Told]) -> int | None:
        """The model could not read all of `told`: the room for half of it, from now on. None if there is no half."""
        self._most = _size(told) // 2
        return self._most if len(told) > 1 else None


def _first_within(told: Sequence[Told], room: int) -> int:
    """The index from which on messages have room; not one more than these is looked at."""
    for index in range(len(told) - 1, -1, -1):
        room -= message_tokens(told[index][1])
        if room < 0:
            return index + 1
    return 0


def _start(told: Sequence[Told], room: int) -> int:
    """Where to begin so that the rest fits: never between a call and its output, and if that does not cost too
    much with the user's words. The last message stays whatever its size, with the call it answers.
    """
    whole = [index for index, (_, message) in enumerate(told) if message.role != "tool"]
    fits = _first_within(told, room)
    start = next((index for index in whole if index >= fits), whole[-1])
    asked = next((index for index in whole if index >= start and told[index][1].role == "user"), start)
    return asked if 2 * _size(told[asked:]) >= _size(told[start:]) else start


def _size(told: Sequence[Told]) -> int:
    return sum(message_tokens(message) for _, message in told)


def _tool_tokens(tool: ToolSpec) -> int:
    schema = json.dumps(dict(tool.parameters))
    return tokens_of(tool.name) + tokens_of(tool.description) + tokens_of(schema) + MESSAGE_TOKENS
