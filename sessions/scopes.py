"""What an API key may be for. A client secret is for Realtime sessions only, whatever its maker may do."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, TypeAlias, get_args

Scope: TypeAlias = Literal["realtime", "text", "sessions", "agents", "turns"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
MEANINGS: dict[Scope, str] = {
    "realtime": "open Realtime sessions, prepare them over REST, and make client secrets",
    "text": "chat completions, responses and the list of models",
    "sessions": "list, read, steer and end the sessions of others",
    "agents": "read agents, their versions and instructions",
    "turns": "read turns and their traces",
}
TALKING: tuple[Scope, ...] = ("realtime", "text")
"""What a key has unless more is asked for: it talks to its agents, as a key of OpenAI's would."""


def default_scopes() -> list[str]:
    return list(TALKING)


def in_order(scopes: Collection[str]) -> list[Scope]:
    """Those of `scopes` that exist, once each, in the order of `SCOPES`."""
    return [scope for scope in SCOPES if scope in scopes]
