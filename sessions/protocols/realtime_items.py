"""Conversation items between the wire's spelling and the core's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents.errors import ClientError
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.messages import CallItem, CallOutputItem, Content, Item, MessageItem
from sessions.protocols import realtime_events as wire
from sessions.protocols.checks import check_length

IdFactory = Callable[[str], str]
"""A new id, given what it is for: "item", "resp", "event" …"""


class ItemReader:
    """Reads a client's items. One without an id is given one."""

    def __init__(self, new_id: IdFactory, bounds: Bounds) -> None:
        self.new_id = new_id
        self.bounds = bounds

    def read(self, item: wire.Item, param: str) -> Item:
        item_id = item.id or self.new_id("item")
        match item:
            case wire.Message():
                if len(item.content) > self.bounds.item_parts:
                    raise ClientError(
                        f"At most {self.bounds.item_parts} parts, got {len(item.content)}; send more items instead.",
                        param=f"{param}.content",
                    )
                content = tuple(self._part(part, f"{param}.content[{n}]") for n, part in enumerate(item.content))
                self._bounded("".join(map(_words, content)), f"{param}.content")
                return MessageItem(item_id, item.role, content)
            case wire.FunctionCall():
                arguments = self._bounded(item.arguments, f"{param}.arguments")
                return CallItem(item_id, item.call_id or self.new_id("call"), item.name, arguments)
            case wire.FunctionCallOutput():
                return CallOutputItem(item_id, item.call_id, self._bounded(item.output, f"{param}.output"))

    def _part(self, part: wire.Part, param: str) -> Content:
        match part.type:
            case "input_text" | "output_text" | "text":
                text = self._given(part.text, f"{param}.text")
                return Content("text", text=self._bounded(text, f"{param}.text"))
            case "input_image":
                self._given(part.image_url, f"{param}.image_url")
                return Content("image")
            case "input_audio" | "output_audio" | "audio":
                if part.audio and part.transcript is None:
                    raise ClientError(
                        "Audio in an item needs its transcript. To have speech understood, send it with "
                        "input_audio_buffer.append and commit it.",
                        param=f"{param}.audio",
                    )
                return Content("audio", transcript=self._bounded(part.transcript or "", f"{param}.transcript"))

    def _given(self, text: str | None, param: str) -> str:
        if text is None:
            raise ClientError(f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)
        return text

    def _bounded(self, text: str, param: str) -> str:
        return check_length(text, self.bounds.item_text_chars, param)


def _words(part: Content) -> str:
    return part.text or part.transcript or ""


def shown(item: Item, *, status: str | None = None, audio: str | None = None) -> dict[str, Any]:
    """An item as JSON-safe data; `audio` is the base64 of its first audio part."""
    head = {"id": item.id, "object": "realtime.item"}
    match item:
        case MessageItem():
            content = [_shown_part(item.role, part) for part in item.content]
            if audio is not None:
                _attach(content, audio)
            return {
                **head,
                "type": "message",
                "status": status or item.status,
                "role": item.role,
                "content": content,
            }
        case CallItem():
            return {
                **head,
                "type": "function_call",
                "status": status or item.status,
                "call_id": item.call_id,
                "name": item.name,
                "arguments": item.arguments,
            }
        case CallOutputItem():
            return {
                **head,
                "type": "function_call_output",
                "status": status or item.status,
                "call_id": item.call_id,
                "output": item.output,
            }


def _shown_part(role: str, part: Content) -> dict[str, Any]:
    """An optional key is left out, never null, but for the transcript of a user's audio: it is always there."""
    match part.kind, role:
        case "image", _:
            return {"type": "input_image"}
        case "audio", "assistant":
            known = {} if part.transcript is None else {"transcript": part.transcript}
            return {"type": "output_audio", **known}
        case "audio", _:
            return {"type": "input_audio", "transcript": part.transcript}
        case _:
            return {"type": "output_text" if role == "assistant" else "input_text", "text": part.text}


def _attach(content: list[dict[str, Any]], audio: str) -> None:
    for part in content:
        if part["type"] in ("input_audio", "output_audio"):
            part["audio"] = audio
            return
