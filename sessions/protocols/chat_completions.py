"""`POST /v1/chat/completions`, sans-IO: the request as it is read, and the answer as it is written."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from agents.errors import ClientError
from agents.interfaces import CompletionOptions, Message, ResponseFormat, ToolCall, ToolChoice, Usage
from agents.spec import AgentSpec, Override
from sessions.pipeline.bounds import Bounds
from sessions.protocols.checks import check_length, read_object
from sessions.protocols.realtime_events import JsonObject, no_object
from sessions.protocols.text_answers import Outcome, sse
from sessions.protocols.text_requests import TextRequest, TextTool, check_messages, text_request, text_tools, unseen

DONE = b"data: [DONE]\n\n"
FunctionName = Annotated[str, Meta(min_length=1, max_length=128)]
FormatName = Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]


# --- the request ---------------------------------------------------------------------------------


class ChatPart(Struct, frozen=True):
    type: Literal["text", "refusal", "image_url", "input_audio", "file"]
    text: str | None = None
    refusal: str | None = None


class ChatCallFunction(Struct, frozen=True):
    name: str
    arguments: str


class ChatCall(Struct, frozen=True):
    id: str
    function: ChatCallFunction


class ChatMessage(Struct, frozen=True):
    """`developer` means `system`. Content may be null beside tool calls."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ChatPart] | None = None
    tool_calls: list[ChatCall] | None = None
    tool_call_id: str | None = None


class ChatTool(Struct, frozen=True, tag_field="type", tag="function"):
    function: TextTool


class ChatFunctionName(Struct, frozen=True):
    name: FunctionName


class ChatNamedTool(Struct, frozen=True, tag_field="type", tag="function"):
    function: ChatFunctionName


class PlainFormat(Struct, frozen=True, tag_field="type", tag="text"):
    pass


class JsonObjectFormat(Struct, frozen=True, tag_field="type", tag="json_object"):
    pass


class ChatSchema(Struct, frozen=True):
    name: FormatName
    schema: JsonObject = field(default_factory=no_object)
    description: str | None = None
    strict: bool | None = None


class ChatSchemaFormat(Struct, frozen=True, tag_field="type", tag="json_schema"):
    json_schema: ChatSchema


class StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None


class ChatRequest(Struct, frozen=True):
    """Other fields of OpenAI's are passed over."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[ChatTool] | None = None
    tool_choice: Literal["auto", "none", "required"] | ChatNamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: PlainFormat | JsonObjectFormat | ChatSchemaFormat | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    n: int | None = None
    stop: str | list[str] | None = None


def read_chat(asked: ChatRequest, spec: AgentSpec, *, allowed: Collection[Override], bounds: Bounds) -> TextRequest:
    """What `asked` means for an agent. A ClientError names the field that cannot be had."""
    if asked.n not in (None, 1):
        raise ClientError("An agent gives one answer: n must be 1.", code="unsupported_value", param="n")
    if asked.stop:
        raise ClientError("Stop sequences are not supported.", code="unsupported_parameter", param="stop")
    check_messages(len(asked.messages), bounds, "messages")
    options = CompletionOptions(
        _choice(asked.tool_choice),
        asked.max_completion_tokens or asked.max_tokens,
        asked.temperature,
        _format(asked.response_format, bounds),
    )
    request = TextRequest(
        messages=tuple(_message(message, f"messages[{n}]", bounds) for n, message in enumerate(asked.messages)),
        instructions="",
        tools=text_tools([tool.function for tool in asked.tools or ()], bounds),
        options=options,
        one_call=asked.parallel_tool_calls is False,
    )
    return text_request(request, spec, allowed=allowed, bounds=bounds, schema_param="response_format")


def _message(message: ChatMessage, param: str, bounds: Bounds) -> Message:
    text = check_length(_text(message.content, f"{param}.content"), bounds.item_text_chars, f"{param}.content")
    match message.role:
        case "tool":
            if message.tool_call_id is None:
                name = f"{param}.tool_call_id"
                raise ClientError(
                    f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name
                )
            return Message("tool", text, call_id=message.tool_call_id)
        case "assistant":
            calls = tuple(ToolCall(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or ())
            return Message("assistant", text, calls=calls)
        case "developer":
            return Message("system", text)
        case role:
            return Message(role, text)


def _text(content: str | list[ChatPart] | None, param: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    for n, part in enumerate(content):
        if part.type not in ("text", "refusal"):
            raise unseen({"image_url": "images", "input_audio": "audio", "file": "files"}[part.type], f"{param}[{n}]")
    return "\n".join(part.text or part.refusal or "" for part in content)


def _choice(choice: str | ChatNamedTool | None) -> ToolChoice:
    return choice.function.name if isinstance(choice, ChatNamedTool) else choice or "auto"


def _format(wanted: PlainFormat | JsonObjectFormat | ChatSchemaFormat | None, bounds: Bounds) -> ResponseFormat | None:
    match wanted:
        case ChatSchemaFormat(json_schema=given):
            schema = read_object(given.schema, bounds.schema_bytes, "response_format.json_schema.schema")
            any_object = {"type": "object"}
            return ResponseFormat(schema or any_object, given.name, given.description or "", given.strict)
        case JsonObjectFormat():
            return ResponseFormat()
    return None


# --- the answer ----------------------------------------------------------------------------------


class ChatWriter:
    """One chat completion. `created` is Unix time in s; `model` is the client's own name for the agent."""

    def __init__(self, completion_id: str, *, model: str, created: int, include_usage: bool = False) -> None:
        self._head = {"id": completion_id, "created": created, "model": model}
        self._include_usage = include_usage
        self._text = ""
        self._calls: list[dict[str, Any]] = []
        self._outcome = Outcome("completed")

    def open(self) -> list[bytes]:
        return [self._chunk({"role": "assistant", "content": ""})]

    def text(self, delta: str) -> list[bytes]:
        self._text += delta
        return [self._chunk({"content": delta})]

    def call(self, call: ToolCall) -> list[bytes]:
        index = len(self._calls)
        function = {"name": call.name, "arguments": call.arguments}
        self._calls.append({"id": call.id, "type": "function", "function": function})
        first = {"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        rest = {"index": index, "function": {"arguments": call.arguments}}
        return [self._chunk({"tool_calls": [piece]}) for piece in (first, rest)]

    def close(self, outcome: Outcome) -> list[bytes]:
        self._outcome = outcome
        if outcome.fault is not None:
            return [sse({"error": outcome.fault.details()}), DONE]
        frames = [self._chunk({}, self._finish_reason())]
        if self._include_usage:
            frames.append(sse({**self._chunk_head(), "choices": [], "usage": _usage(outcome.usage)}))
        return [*frames, DONE]

    def shown(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self._text, "refusal": None}
        if self._calls:
            message |= {"content": self._text or None, "tool_calls": self._calls}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish_reason()}
        usage = _usage(self._outcome.usage)
        return {"object": "chat.completion", **self._head, "choices": [choice], "usage": usage}

    def _finish_reason(self) -> str:
        match self._outcome.reason:
            case "max_output_tokens":
                return "length"
            case "content_filter":
                return "content_filter"
        return "tool_calls" if self._calls else "stop"

    def _chunk_head(self) -> dict[str, Any]:
        return {"object": "chat.completion.chunk", **self._head}

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]
        usage = {"usage": None} if self._include_usage else {}
        return sse({**self._chunk_head(), "choices": choices, **usage})


def _usage(usage: Usage | None) -> dict[str, Any]:
    used = usage or Usage()
    return {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
    }
