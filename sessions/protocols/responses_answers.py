"""`POST /v1/responses`, sans-IO: the answer as events, numbered from 0, and as the response object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from agents.interfaces import ToolCall, Usage
from sessions.protocols.chat_completions import PlainFormat
from sessions.protocols.responses_requests import ResponseRequest, TextConfig
from sessions.protocols.text_answers import Fault, Outcome, sse

CLOSING = {"completed": "completed", "incomplete": "incomplete", "failed": "failed", "cancelled": "incomplete"}
"""The last event by status. OpenAI's clients know none for "cancelled"; its response says so itself."""


class ResponseWriter:
    """One response. `created` is Unix time in s; `model` is the client's own name for the agent.

    `refused` names what the client asked for and may not have: it is not echoed.
    """

    def __init__(
        self,
        response_id: str,
        asked: ResponseRequest,
        *,
        model: str,
        created: int,
        refused: tuple[str, ...],
        new_id: Callable[[str], str],
    ) -> None:
        self._head = {"id": response_id, "object": "response", "created_at": created, "model": model}
        self._echo = msgspec.json.decode(msgspec.json.encode(_echo(asked, refused)))
        self._new_id = new_id
        self._number = 0
        self._output: list[dict[str, Any]] = []
        self._message: dict[str, Any] | None = None
        self._outcome: Outcome | None = None

    def open(self) -> list[bytes]:
        return [self._event("created", response=self.shown()), self._event("in_progress", response=self.shown())]

    def text(self, delta: str) -> list[bytes]:
        frames = [] if self._message else self._open_message()
        message = self._message or {}
        message["content"][0]["text"] += delta
        return [*frames, self._event("output_text.delta", **self._place(message), delta=delta, logprobs=[])]

    def call(self, call: ToolCall) -> list[bytes]:
        """A message before the call is over; words after it would be a message of their own."""
        frames = self._close_message("completed")
        item = {
            "type": "function_call",
            "id": self._new_id("fc"),
            "call_id": call.id,
            "name": call.name,
            "arguments": "",
            "status": "in_progress",
        }
        self._output.append(item)
        place = {"item_id": item["id"], "output_index": len(self._output) - 1}
        frames.append(self._item_event("added", item))
        item |= {"arguments": call.arguments, "status": "completed"}
        arguments = {**place, "name": call.name, "arguments": call.arguments}
        return [
            *frames,
            self._event("function_call_arguments.delta", **place, delta=call.arguments),
            self._event("function_call_arguments.done", **arguments),
            self._item_event("done", item),
        ]

    def close(self, outcome: Outcome) -> list[bytes]:
        frames = self._close_message("completed" if outcome.status == "completed" else "incomplete")
        self._outcome = outcome
        return [*frames, self._event(CLOSING[outcome.status], response=self.shown())]

    def shown(self) -> dict[str, Any]:
        outcome = self._outcome
        fault = outcome.fault if outcome else None
        return {
            **self._head,
            "status": outcome.status if outcome else "in_progress",
            "error": {"code": _code(fault), "message": fault.message} if fault else None,
            "incomplete_details": {"reason": outcome.reason} if outcome and outcome.reason else None,
            "output": self._output,
            "usage": _usage(outcome),
            **self._echo,
        }

    def _open_message(self) -> list[bytes]:
        message: dict[str, Any] = {
            "type": "message",
            "id": self._new_id("msg"),
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        self._output.append(message)
        added = self._item_event("added", message)
        message["content"] = [{"type": "output_text", "text": "", "annotations": [], "logprobs": []}]
        self._message = message
        return [added, self._event("content_part.added", **self._place(message), part=message["content"][0])]

    def _close_message(self, status: str) -> list[bytes]:
        message, self._message = self._message, None
        if message is None:
            return []
        message["status"] = status
        part, place = message["content"][0], self._place(message)
        return [
            self._event("output_text.done", **place, text=part["text"], logprobs=[]),
            self._event("content_part.done", **place, part=part),
            self._item_event("done", message),
        ]

    def _place(self, message: dict[str, Any]) -> dict[str, Any]:
        return {"item_id": message["id"], "output_index": len(self._output) - 1, "content_index": 0}

    def _item_event(self, what: str, item: dict[str, Any]) -> bytes:
        return self._event(f"output_item.{what}", output_index=len(self._output) - 1, item=item)

    def _event(self, kind: str, **fields: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        name = f"response.{kind}"
        return sse({"type": name, "sequence_number": number, **fields}, event=name, number=number)


def _code(fault: Fault) -> str:
    """OpenAI's clients know a closed list of codes here."""
    return "invalid_prompt" if fault.status == 400 else "server_error"


def _echo(asked: ResponseRequest, refused: tuple[str, ...]) -> dict[str, Any]:
    """What holds of the request, as its response repeats it."""
    tools = "tools" not in refused
    return {
        "background": bool(asked.background),
        "instructions": None if "instructions" in refused else asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "metadata": asked.metadata or {},
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "previous_response_id": asked.previous_response_id,
        "store": asked.store is not False,
        "temperature": asked.temperature,
        "text": TextConfig((asked.text and asked.text.format) or PlainFormat()),
        "tool_choice": (asked.tool_choice if tools else None) or "auto",
        "tools": (asked.tools if tools else None) or [],
        "top_p": asked.top_p,
        "truncation": asked.truncation or "disabled",
    }


def _usage(outcome: Outcome | None) -> dict[str, Any] | None:
    """Of an answer that failed or was cancelled it is not known. Zeros: no model was asked, or its server told none."""
    if outcome is None or (outcome.usage is None and outcome.status in ("failed", "cancelled")):
        return None
    used = outcome.usage or Usage()
    return {
        "input_tokens": used.input_tokens,
        "input_tokens_details": {"cached_tokens": used.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": used.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": used.input_tokens + used.output_tokens,
    }
