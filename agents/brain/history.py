"""What has been asked and answered, read back from the messages of a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.brain import phrases
from agents.brain.dialogue import act, is_follow_up, question
from agents.brain.requests import tool_call
from agents.brain.spoken import same
from agents.interfaces import Message

_CHAIN = 3
"""How many questions that lean on each other are read together."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user said and what was answered; either may be empty."""

    asked: str
    answered: str


@dataclass(frozen=True, slots=True)
class History:
    """Everything before the newest utterance, oldest first."""

    turns: tuple[Turn, ...]

    @property
    def last_answer(self) -> str:
        """The agent's last words, without the offer of more at their end."""
        return next((phrases.without_offer(turn.answered) for turn in reversed(self.turns) if turn.answered), "")

    @property
    def topic(self) -> str:
        """The last question that was answered, with those it leans on; "" if there was none."""
        chain: list[str] = []
        for turn in reversed(self.turns):
            if not _asks(turn.asked) or turn.answered.startswith(phrases.UNKNOWN):
                continue
            asked = question(turn.asked)
            chain.insert(0, asked)
            if not is_follow_up(asked) or len(chain) == _CHAIN:
                break
        return " ".join(chain)

    def with_answer(self, said: Sequence[str]) -> History:
        """As it will be once `said` is heard."""
        return History((*self.turns, Turn("", " ".join(said))))

    def heard(self, sentence: str) -> bool:
        """Whether the user has heard the sentence to its end."""
        wanted = f" {same(sentence)} "
        return any(wanted in f" {same(turn.answered)} " for turn in self.turns)


def read(messages: Sequence[Message]) -> tuple[History, str]:
    """The history, and the user's utterance that is to be answered ("" if the agent spoke last)."""
    turns: list[Turn] = []
    for message in messages:
        if message.role == "user":
            turns.append(Turn(message.text.strip(), ""))
        elif message.role == "assistant" and message.text:
            before = turns.pop() if turns else Turn("", "")
            turns.append(Turn(before.asked, f"{before.answered} {message.text}".strip()))
    if turns and not turns[-1].answered:
        return History(tuple(turns[:-1])), turns[-1].asked
    return History(tuple(turns)), ""


def _asks(text: str) -> bool:
    return bool(text) and act(text) is None and tool_call(text, "") is None
