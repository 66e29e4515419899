"""`POST /v1/responses`, sans-IO: the request as it is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from agents.errors import ClientError
from agents.interfaces import CompletionOptions, Message, ResponseFormat, Role, ToolCall, ToolChoice
from agents.spec import AgentSpec, Override
from sessions.pipeline.bounds import Bounds
from sessions.protocols.chat_completions import FormatName, FunctionName, JsonObjectFormat, PlainFormat
from sessions.protocols.checks import check_length, read_object
from sessions.protocols.realtime_events import JsonObject, Metadata, no_object
from sessions.protocols.text_requests import TextRequest, TextTool, check_messages, text_request, text_tools, unseen

UNSEEN = {"input_image": "images", "input_audio": "audio", "input_file": "files", "reasoning_text": "reasoning"}
Known = Callable[[], dict[str, dict[str, Any]]]
"""Items that may be referred to, by id, each once; looked up only if one is."""


class InputPart(Struct, frozen=True):
    type: Literal[
        "input_text", "output_text", "text", "refusal", "input_image", "input_audio", "input_file", "reasoning_text"
    ]
    text: str | None = None
    refusal: str | None = None


class InputItem(Struct, frozen=True):
    """A message, also without its `type`; a function call; the output of one; or the `id` of an item of a response
    that is stored. `developer` means `system`. What a model of OpenAI's thought to itself is passed over.
    """

    type: Literal["message", "function_call", "function_call_output", "item_reference", "reasoning"] | None = None
    id: str | None = None
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: str | list[InputPart] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[InputPart] | None = None


class ResponseTool(TextTool, frozen=True, omit_defaults=True, tag_field="type", tag="function"):
    pass


class ResponseNamedTool(Struct, frozen=True, tag_field="type", tag="function"):
    name: FunctionName


class ResponseSchemaFormat(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="json_schema"):
    name: FormatName
    schema: JsonObject
    description: str | None = None
    strict: bool | None = None


class TextConfig(Struct, frozen=True, omit_defaults=True):
    format: PlainFormat | JsonObjectFormat | ResponseSchemaFormat | None = None


class ResponseRequest(Struct, frozen=True):
    """`input` is words, or items. Other fields of OpenAI's are passed over."""

    input: str | list[InputItem] | None = None
    model: str | None = None
    instructions: str | None = None
    stream: bool | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    tools: list[ResponseTool] | None = None
    tool_choice: Literal["auto", "none", "required"] | ResponseNamedTool | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    text: TextConfig | None = None
    metadata: Metadata | None = None
    conversation: msgspec.Raw = field(default_factory=no_object)
    prompt: msgspec.Raw = field(default_factory=no_object)


def read_response(
    asked: ResponseRequest,
    spec: AgentSpec,
    *,
    allowed: Collection[Override],
    bounds: Bounds,
    history: Sequence[Message] = (),
    known: Known = dict,
) -> TextRequest:
    """What `asked` means for an agent after `history`. A ClientError names the field that cannot be had."""
    _refuse_unknown_places(asked)
    messages = _messages(asked.input or (), bounds, known)
    if not messages and not history:
        raise _missing("input")
    check_messages(len(history) + len(messages), bounds, "input")
    options = CompletionOptions(
        _choice(asked.tool_choice), asked.max_output_tokens, asked.temperature, _format(asked.text, bounds)
    )
    request = TextRequest(
        history=tuple(history),
        messages=messages,
        instructions=asked.instructions or "",
        tools=text_tools(asked.tools or (), bounds),
        options=options,
        one_call=asked.parallel_tool_calls is False,
        truncate=asked.truncation == "auto",
    )
    return text_request(request, spec, allowed=allowed, bounds=bounds, schema_param="text.format.schema")


def _refuse_unknown_places(asked: ResponseRequest) -> None:
    if asked.prompt != no_object():
        raise ClientError("There is no stored prompt of this id.", param="prompt.id")
    if asked.conversation != no_object():
        raise ClientError(
            "There are no stored conversations; go on from a response with previous_response_id.",
            code="unsupported_parameter",
            param="conversation",
        )
    if asked.background and asked.store is False:
        raise ClientError("A response in the background is stored: leave store out.", param="store")


def _messages(given: str | Sequence[InputItem], bounds: Bounds, known: Known) -> tuple[Message, ...]:
    if isinstance(given, str):
        return (Message("user", check_length(given, bounds.item_text_chars, "input")),)
    items = known() if any(map(_refers, given)) else {}
    named = [(f"input[{n}]", item) for n, item in enumerate(given) if item.type != "reasoning"]
    return tuple(_message(_itself(item, param, items), param, bounds) for param, item in named)


def _refers(item: InputItem) -> bool:
    """Whether the item is a reference, which may do without its `type`."""
    bare = item.type is None and item.id is not None and item.role is None and item.content is None
    return bare or item.type == "item_reference"


def _itself(item: InputItem, param: str, known: dict[str, dict[str, Any]]) -> InputItem:
    """The item, or the one of `known` that it refers to, which is taken out: small requests stay small."""
    if not _refers(item):
        return item
    item_id = _given(item.id, f"{param}.id")
    found = known.pop(item_id, None)
    if found is None:
        raise ClientError(
            f"Item with id '{item_id[:100]}' not found: no response that is stored here has it, or it is referred to "
            "twice. Send the item itself.",
            code="item_not_found",
            param=f"{param}.id",
        )
    return msgspec.convert(found, InputItem)


def _message(item: InputItem, param: str, bounds: Bounds) -> Message:
    match item.type:
        case "function_call":
            arguments = _given(item.arguments, f"{param}.arguments")
            check_length(arguments, bounds.item_text_chars, f"{param}.arguments")
            call_id, name = _given(item.call_id, f"{param}.call_id"), _given(item.name, f"{param}.name")
            return Message("assistant", "", calls=(ToolCall(call_id, name, arguments),))
        case "function_call_output":
            output = _text(item.output, f"{param}.output", bounds)
            return Message("tool", output, call_id=_given(item.call_id, f"{param}.call_id"))
        case _:
            text = _text(item.content, f"{param}.content", bounds)
            return Message(_role(item, param), text)


def _role(item: InputItem, param: str) -> Role:
    match item.role:
        case None:
            raise _missing(f"{param}.role")
        case "developer":
            return "system"
        case role:
            return role


def _text(content: str | list[InputPart] | None, param: str, bounds: Bounds) -> str:
    if content is None:
        raise _missing(param)
    if isinstance(content, str):
        return check_length(content, bounds.item_text_chars, param)
    for n, part in enumerate(content):
        if part.type in UNSEEN:
            raise unseen(UNSEEN[part.type], f"{param}[{n}]")
    text = "\n".join(part.text or part.refusal or "" for part in content)
    return check_length(text, bounds.item_text_chars, param)


def _given(value: str | None, param: str) -> str:
    if value is None:
        raise _missing(param)
    return value


def _missing(param: str) -> ClientError:
    return ClientError(f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)


def _choice(choice: str | ResponseNamedTool | None) -> ToolChoice:
    return choice.name if isinstance(choice, ResponseNamedTool) else choice or "auto"


def _format(text: TextConfig | None, bounds: Bounds) -> ResponseFormat | None:
    match text and text.format:
        case ResponseSchemaFormat() as given:
            schema = read_object(given.schema, bounds.schema_bytes, "text.format.schema")
            if schema is None:
                raise _missing("text.format.schema")
            return ResponseFormat(schema, given.name, given.description or "", given.strict)
        case JsonObjectFormat():
            return ResponseFormat()
    return None
