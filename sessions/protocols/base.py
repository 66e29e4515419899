"""What a wire protocol is: a translator with no I/O and no clock of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agents.audio import Audio
from sessions.pipeline.messages import Command, Event

WireMessage = str | bytes | Audio
"""A text frame, a binary frame, or audio for a transport that has a media path of its own."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one message from the client meant: commands for the session, and replies that need none.

    A reply is sent in its turn among the session's own answers: it comes back to `encode` as `Answered`.
    """

    commands: Sequence[Command] = ()
    replies: Sequence[WireMessage] = ()


@dataclass(frozen=True, slots=True)
class Opening:
    """What a connection starts with: messages to send first, and commands to carry out first."""

    messages: Sequence[WireMessage] = ()
    commands: Sequence[Command] = field(default_factory=tuple)


class WireProtocol(Protocol):
    def open(self) -> Opening: ...

    def decode(self, data: str | bytes) -> Decoded: ...

    def undo(self, command: Command) -> None:
        """Take back what decoding `command`, the last one, changed here: the session had no room for it."""

    def encode(self, event: Event) -> list[WireMessage]: ...
