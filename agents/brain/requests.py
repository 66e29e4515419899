"""Utterances that a tool answers, recognised by rule."""

from __future__ import annotations

import json
import re

from agents.brain.sums import spoken_sum
from agents.interfaces import ToolCall
from agents.tools.builtin import ARITHMETIC, TIME

_TIME = re.compile(
    r"(?:what(?:'s| is)? (?:the )?(?:current |exact )?time(?: is it)?|what time is it|how late is it|"
    r"(?:do you have|have you got) the time|tell me the (?:current )?time|"
    r"(?:what|which) (?:day|date) (?:is it|is today|do we have)|what day of the week is it|"
    r"(?:what's|what is) (?:the day|the date|today's date|the day today)|tell me (?:the date|today's date))"
    r"(?: (?:please|now|right now|today|currently|there|it is))*"
    r"(?: (?:in|at) (?P<place>[a-z .'-]+?))?(?: (?:please|now|right now|today|currently))*"
)
_LEAD = re.compile(
    r"^(?:(?:and|okay|ok|so|please|hey|hi|hello|um|uh|can you|could you|tell me|do you know|what about) )+"
    r"(?=what|how|which|tell|do|have)"
)


def tool_call(text: str, call_id: str) -> ToolCall | None:
    """The call of a built-in tool that answers `text`, if one does."""
    heard = " ".join(text.lower().replace("\u2019", "'").strip(" .!?").replace(",", " ").split())
    if asked := _TIME.fullmatch(_LEAD.sub("", heard)):
        place = (asked["place"] or "").removeprefix("the ").strip()
        return ToolCall(call_id, TIME, json.dumps({"timezone": place} if place else {}))
    if (expression := spoken_sum(text)) is not None:
        return ToolCall(call_id, ARITHMETIC, json.dumps({"expression": expression}))
    return None
