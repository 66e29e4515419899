"""Stored prompts: here an agent's instructions are its one prompt, with the agent's slug for its id."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agents.errors import ClientError
from agents.spec import AgentSpec
from sessions.protocols.realtime_events import Prompt, PromptText

_PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def filled(prompt: Prompt, spec: AgentSpec, within: str) -> str:
    """The agent's instructions with the variables in their places: "{{name}}". What has no variable stays."""
    if prompt.id != spec.slug:
        raise ClientError(
            f"There is no stored prompt of this id. The one of this agent is its instructions: '{spec.slug}'.",
            param=f"{within}.prompt.id",
        )
    if prompt.version not in (None, str(spec.version)):
        raise ClientError(
            f"This session has version {spec.version} of the agent and of its prompt.", param=f"{within}.prompt.version"
        )
    values: Mapping[str, str | PromptText] = prompt.variables or {}

    def value(place: re.Match[str]) -> str:
        given = values.get(place[1], place[0])
        return given.text if isinstance(given, PromptText) else given

    return _PLACE.sub(value, spec.instructions)
