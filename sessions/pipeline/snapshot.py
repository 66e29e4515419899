"""A live session as it stands, for those who look at it from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.spec import AgentSpec
from sessions.pipeline.messages import Item, SessionConfig

Activity = Literal["hearing", "thinking", "speaking", "waiting"]
"""What goes on: the user speaks, an answer is being made, it is heard, or nothing of this."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`items` are those of the conversation, in order; `turns` were begun so far."""

    spec: AgentSpec
    config: SessionConfig
    items: tuple[Item, ...]
    activity: Activity
    turns: int
