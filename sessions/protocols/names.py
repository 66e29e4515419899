"""Names that OpenAI's clients bring along, and that stand for what an agent has."""

from __future__ import annotations

VOICES = frozenset({"alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse"})
DEFAULT_VOICE = "marin"
