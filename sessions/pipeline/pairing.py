"""Function calls and their outputs, put in the only order that models accept: each call directly before its output.

Clients answer calls when they can: at once, after more was said, or never; and some replay an output whose
call they no longer have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agents.interfaces import Message, ToolCall

Told = tuple[str, Message]
"""A message and the id of the item that it comes from."""

PENDING = "There is no result yet."
_UNKNOWN = "function"
"""The name of a call that nobody remembers."""


def paired(told: Sequence[Told]) -> list[Told]:
    """The messages with every call answered, and every output after its call.

    An output that came before anybody said more follows its call. One that came later stands where it
    came, after the call once more; until then that has no result.
    """
    calls = {call.id: call for _, message in told for call in message.calls}
    out: list[Told] = []
    answered: set[int] = set()
    for index, (item_id, message) in enumerate(told):
        if index in answered:
            continue
        if message.role == "tool":
            call_id = message.call_id or ""
            call = calls.get(call_id, ToolCall(call_id, _UNKNOWN, "{}"))
            again = ToolCall(f"{call_id}_{index}", call.name, call.arguments)
            out += [(item_id, Message("assistant", "", calls=(again,)))]
            out += [(item_id, replace(message, call_id=again.id))]
            continue
        out.append((item_id, message))
        for call in message.calls:
            at = _output_of(call, told, index + 1, answered)
            out.append((item_id, Message("tool", PENDING, call_id=call.id)) if at is None else told[at])
            answered |= set() if at is None else {at}
    return out


def _output_of(call: ToolCall, told: Sequence[Told], start: int, answered: set[int]) -> int | None:
    """Where the output of `call` is, unless more was said before it."""
    for index in range(start, len(told)):
        message = told[index][1]
        if message.role == "tool":
            if message.call_id == call.id and index not in answered:
                return index
        elif not message.calls or message.text:
            return None
    return None
