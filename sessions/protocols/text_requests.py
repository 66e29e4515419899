"""A request for words over HTTP, whatever the address: what it asks, and the bounds it keeps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from agents.errors import ClientError
from agents.interfaces import CompletionOptions, Message, ReplyRequest, ToolChoice, ToolSpec
from agents.spec import AgentSpec, Override
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.pairing import Told, paired
from sessions.pipeline.window import Truncation, Window
from sessions.protocols.checks import check_length, read_tools
from sessions.protocols.realtime_events import ToolFunction


class TextTool(ToolFunction, frozen=True):
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRequest:
    """What one answer is to be given to. `history` is what came before, `messages` what is new.

    `one_call`: at most one call of a client's tool. `truncate`: the oldest may be left out if the model cannot read all
    of it. `refused` are the names of what the client asked for and may
    not have; it is passed over.
    """

    messages: tuple[Message, ...]
    instructions: str
    history: tuple[Message, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    options: CompletionOptions = field(default_factory=CompletionOptions)
    one_call: bool = False
    truncate: bool = False
    refused: tuple[str, ...] = ()

    def for_brain(self, spec: AgentSpec) -> ReplyRequest:
        """In the order that models accept: each call directly before its result.

        System messages at the start join the instructions: many chat templates take one only, and that first.
        """
        rest = [*self.history, *self.messages]
        texts = [self.instructions]
        while rest and rest[0].role == "system":
            texts.append(rest.pop(0).text)
        instructions = "\n\n".join(filter(None, texts))
        told = paired([("", message) for message in rest])
        if self.truncate:
            told = _newest(told, spec, instructions, self)
        return ReplyRequest([message for _, message in told], instructions, self.options, spoken=False)


def text_request(
    asked: TextRequest, spec: AgentSpec, *, allowed: Collection[Override], bounds: Bounds, schema_param: str
) -> TextRequest:
    """`asked` within what the client may choose and what the server bears. A ClientError names the field.

    `asked.instructions` are the client's; without them the agent's own hold. System messages of a client that may
    give no instructions are words of the user's; so are those of the history, which may be of another agent that
    allowed them.
    """
    asked = replace(asked, messages=_joined(asked.messages))
    check_length(asked.instructions, bounds.instructions_chars, "instructions")
    wanted = asked.options.response_format
    if wanted is not None:
        check_length(wanted.description, bounds.item_text_chars, schema_param)
        if spec.brain != "llm":
            raise _cannot("write to a schema", schema_param, "unsupported_value")
    check_calls((*asked.history, *asked.messages))
    settled = _without_refused(asked, spec, allowed)
    if settled.options.tool_choice not in ("auto", "none"):
        _check_choice(settled, spec)
    return settled


def _newest(told: list[Told], spec: AgentSpec, instructions: str, request: TextRequest) -> list[Told]:
    """As much of the conversation's end as the model can read, by estimate."""
    window, policy = Window(spec), Truncation("auto")
    room = window.room(instructions, request.tools, request.options.max_output_tokens, policy)
    return told[window.fit(told, room, policy) :]


def text_tools(given: Sequence[TextTool], bounds: Bounds) -> tuple[ToolSpec, ...]:
    read = read_tools(given, bounds, "tools")
    return tuple(replace(tool, strict=asked.strict) for tool, asked in zip(read, given, strict=True))


def check_messages(count: int, bounds: Bounds, param: str) -> None:
    if count > bounds.conversation_items:
        raise ClientError(f"At most {bounds.conversation_items} entries, got {count}.", param=param)


def check_calls(messages: Sequence[Message]) -> None:
    """Every result answers a call before it, and every call has its result, also if more was said meanwhile."""
    open_calls: dict[str, str] = {}
    for message in messages:
        if message.role == "tool" and open_calls.pop(message.call_id or "", None) is None:
            raise ClientError(f"There is no tool call {message.call_id} before this result of it.", param="messages")
        open_calls |= {call.id: call.name for call in message.calls}
    if open_calls:
        call_id, name = next(iter(open_calls.items()))
        raise ClientError(f"No tool output found for function call {call_id} ({name}).", param="messages")


def unseen(what: str, param: str) -> ClientError:
    """The refusal of a content part that is no text."""
    return ClientError(
        f"The agent reads text only: it cannot take {what}.", code="unsupported_content", param=f"{param}.type"
    )


def _without_refused(asked: TextRequest, spec: AgentSpec, allowed: Collection[Override]) -> TextRequest:
    refused: list[str] = []
    if "instructions" not in allowed:
        system = any(message.role == "system" for message in (*asked.history, *asked.messages))
        refused += ["instructions"] if asked.instructions or system else []
        asked = replace(asked, instructions="", history=_as_users(asked.history), messages=_as_users(asked.messages))
    if "tools" not in allowed and (asked.tools or asked.options.tool_choice != "auto"):
        refused.append("tools")
        asked = replace(asked, tools=(), options=replace(asked.options, tool_choice="auto"))
    return replace(asked, instructions=asked.instructions or spec.instructions, refused=tuple(refused))


def _as_users(messages: Sequence[Message]) -> tuple[Message, ...]:
    return tuple(replace(message, role="user") if message.role == "system" else message for message in messages)


def _joined(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Calls belong to the words said before them: model servers want the calls of one round in one message."""
    joined: list[Message] = []
    for message in messages:
        said = joined[-1] if joined and message.calls and joined[-1].role == "assistant" else None
        if said is None:
            joined.append(message)
        else:
            joined[-1] = replace(said, text=said.text or message.text, calls=(*said.calls, *message.calls))
    return tuple(joined)


def _check_choice(request: TextRequest, spec: AgentSpec) -> None:
    choice: ToolChoice = request.options.tool_choice
    if spec.brain != "llm":
        raise _cannot("be made to call tools", "tool_choice", "unsupported_value")
    known = {*(tool.name for tool in request.tools), *(tool.name for tool in spec.tools)}
    if choice != "required" and choice not in known:
        raise ClientError(f"There is no tool '{choice[:100]}' to choose.", param="tool_choice")
    if not known:
        raise ClientError("A tool is required, but there are none.", param="tool_choice")


def _cannot(what: str, param: str, code: str) -> ClientError:
    return ClientError(f"This agent works without a language model and cannot {what}.", code=code, param=param)
