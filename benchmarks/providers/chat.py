"""The pieces of a chat completion, plain or streamed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from benchmarks.providers.script import Script
from benchmarks.providers.timed import Piece

Json = dict[str, Any]

HEAD: Json = {"id": "chatcmpl-scripted", "created": 0}
ARGUMENT_PIECE = 8
"""Characters of a tool call's arguments in one chunk."""


def calls_tool(script: Script, request: Json) -> bool:
    answered = bool(request["messages"]) and request["messages"][-1]["role"] == "tool"
    return bool(script.tool and request.get("tools") and not answered and request.get("tool_choice") != "none")


def whole(script: Script, request: Json) -> Iterator[Piece]:
    """One JSON answer, when the last token would have come."""
    tokens = _tokens(script)
    message: Json = {"role": "assistant", "content": script.reply, "refusal": None}
    finish = script.finish
    if calls_tool(script, request):
        message |= {
            "content": None,
            "tool_calls": [{"id": "call_0", "type": "function", "function": _function(script)}],
        }
        finish = script.tool_finish
    answer = HEAD | {
        "object": "chat.completion",
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": _usage(request, len(tokens)),
    }
    yield Piece(script.llm_first_ms + (len(tokens) - 1) * _gap_ms(script), json.dumps(answer).encode())


def streamed(script: Script, request: Json) -> Iterator[Piece]:
    """Server-sent events: the deltas, the finish, the usage if asked for, and [DONE]."""
    deltas = _tool_deltas(script) if calls_tool(script, request) else [{"content": t} for t in _tokens(script)]
    finish = script.tool_finish if calls_tool(script, request) else script.finish
    thoughts = [{"reasoning_content": "hm "}] * script.reasoning
    at_ms = script.llm_first_ms
    for number, delta in enumerate([*thoughts, *deltas]):
        at_ms = script.llm_first_ms + number * _gap_ms(script)
        if number == 0:
            yield Piece(at_ms, _event(request, {"role": "assistant", "content": ""}))
        yield Piece(at_ms, _event(request, delta))
    if finish != "none":
        yield Piece(at_ms, _event(request, {}, finish))
    if script.usage and (request.get("stream_options") or {}).get("include_usage"):
        usage = _usage(request, len(thoughts) + len(deltas))
        yield Piece(at_ms, _sse(_chunk(request) | {"choices": [], "usage": usage}))
    yield Piece(at_ms, b"data: [DONE]\n\n")


def _tokens(script: Script) -> list[str]:
    pattern = r"\s*\S+(?:\s+$)?" if script.llm_spaces == "before" else r"\s*\S+\s*"
    return re.findall(pattern, script.reply)


def _gap_ms(script: Script) -> float:
    return 1000 / script.llm_tokens_per_s if script.llm_tokens_per_s else 0.0


def _function(script: Script) -> Json:
    return {"name": script.tool, "arguments": script.tool_arguments}


def _tool_deltas(script: Script) -> list[Json]:
    match script.style:
        case "ollama":
            return [{"tool_calls": [{"index": 0, "id": "call_0", "type": "function", "function": _function(script)}]}]
        case "bare":
            head, *rest = _split_function(script)
            return [{"tool_calls": [{"function": part}]} for part in [head, *rest]]
        case _:
            head, *rest = _split_function(script)
            first = {"index": 0, "id": "call_0", "type": "function", "function": head}
            return [{"tool_calls": [piece]} for piece in [first, *({"index": 0, "function": part} for part in rest)]]


def _split_function(script: Script) -> list[Json]:
    text = script.tool_arguments
    pieces = [text[at : at + ARGUMENT_PIECE] for at in range(0, len(text), ARGUMENT_PIECE)]
    return [{"name": script.tool, "arguments": ""}, *({"arguments": piece} for piece in pieces)]


def _usage(request: Json, output: int) -> Json:
    prompt = sum(len(str(message.get("content") or "").split()) for message in request["messages"])
    return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}


def _chunk(request: Json) -> Json:
    return HEAD | {"object": "chat.completion.chunk", "model": request["model"]}


def _event(request: Json, delta: Json, finish: str | None = None) -> bytes:
    return _sse(_chunk(request) | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _sse(data: Json) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"
