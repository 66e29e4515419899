"""The history and the tools, as a chat completion request wants them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from agents.interfaces import Message, ResponseFormat, ToolCall, ToolChoice, ToolSpec

Json = dict[str, Any]

JSON_OBJECT: Final[Json] = {"type": "json_object"}
_NO_PARAMETERS: Final[Json] = {"type": "object", "properties": {}, "additionalProperties": False}
"""OpenAI takes a `strict` tool with no less."""


def chat_messages(messages: Sequence[Message]) -> list[Json]:
    return [_message(message) for message in messages]


def chat_tools(tools: Sequence[ToolSpec]) -> list[Json]:
    return [{"type": "function", "function": _function(tool)} for tool in tools]


def chat_tool_choice(choice: ToolChoice) -> str | Json:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def chat_response_format(wanted: ResponseFormat) -> Json:
    if wanted.schema is None:
        return JSON_OBJECT
    described = {"description": wanted.description} if wanted.description else {}
    strict = {} if wanted.strict is None else {"strict": wanted.strict}
    return {
        "type": "json_schema",
        "json_schema": {"name": wanted.name, **described, "schema": dict(wanted.schema), **strict},
    }


def _message(message: Message) -> Json:
    match message.role:
        case "tool":
            return {"role": "tool", "tool_call_id": message.call_id or "", "content": message.text}
        case "assistant" if message.calls:
            calls = [_call(call) for call in message.calls]
            return {"role": "assistant", "content": message.text or None, "tool_calls": calls}
        case role:
            return {"role": role, "content": message.text}


def _call(call: ToolCall) -> Json:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments if is_json(call.arguments) else "{}"},
    }


def _function(tool: ToolSpec) -> Json:
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters) or _NO_PARAMETERS,
        **({} if tool.strict is None else {"strict": tool.strict}),
    }


def is_json(text: str) -> bool:
    """Whether `text` parses. A history with broken arguments is refused by Ollama and by some chat templates."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
