"""What a language model is told besides what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agents.interfaces import Message, Passage

SPEAKING = (
    "You are speaking with someone by voice. Your words are read aloud as you write them, and theirs were "
    "transcribed, so allow for misheard words. Answer in one or two short sentences unless asked for more. "
    "Use plain spoken language: no lists, headings, markdown, emoji or links. Write numbers and symbols as "
    "they are said."
)
_REFERENCE = "Passages from the documents; use them if they help, and do not mention them otherwise:"

MAX_PASSAGE_CHARS = 2_400
"""Characters of passages added to one turn, about 600 tokens."""


def compose(
    messages: Sequence[Message], instructions: str, passages: Sequence[Passage], *, spoken: bool = True
) -> list[Message]:
    """The messages for a model, which is told how to speak if its words are read aloud.

    Passages go into the last user message, not into the system message: what comes before stays the same
    from turn to turn, so a server's prompt cache holds, and every chat template accepts it.
    """
    told = f"{instructions}\n\n{SPEAKING}".strip() if spoken else instructions
    system = [Message("system", told)] if told else []
    quoted = _quote(passages)
    last = max((at for at, message in enumerate(messages) if message.role == "user"), default=None)
    if not quoted or last is None:
        return [*system, *messages]
    asked = messages[last]
    helped = replace(asked, text=f"{_REFERENCE}\n{quoted}\n\n{asked.text}")
    return [*system, *messages[:last], helped, *messages[last + 1 :]]


def _quote(passages: Sequence[Passage]) -> str:
    """As many whole passages as fit, best first."""
    lines: list[str] = []
    room = MAX_PASSAGE_CHARS
    for passage in passages:
        line = f"- {passage.title}: {passage.text}"
        if len(line) > room:
            break
        lines.append(line)
        room -= len(line)
    return "\n".join(lines)
