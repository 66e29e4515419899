"""A protocol with ids that count, and the check that every message is one that OpenAI's own types accept."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from agents.spec import AgentSpec, Override
from sessions.pipeline import messages as core
from sessions.protocols.base import Decoded, WireMessage
from sessions.protocols.realtime import RealtimeProtocol
from sessions.protocols.realtime_events import SERVER_EVENTS, SERVER_EXTENSION_EVENTS

GUIDE = AgentSpec(slug="guide", instructions="Be brief.")
ALL: tuple[Override, ...] = ("instructions", "tools", "voice", "turn_detection", "formats", "transcription")
EXPIRES_AT = 1_900_000_000
# The union has no discriminator of pydantic's, so an event must fit one of its members as a whole.
SERVER_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


class Client:
    """What a client on the other side of the protocol does and sees."""

    def __init__(self, spec: AgentSpec = GUIDE, *, allowed: Sequence[Override] = ALL, **options: Any) -> None:
        numbers: Counter[str] = Counter()

        def new_id(prefix: str) -> str:
            numbers[prefix] += 1
            return f"{prefix}_{numbers[prefix]}"

        options = {"session_id": "sess_1", "model": "gpt-realtime", "expires_at": EXPIRES_AT, **options}
        self.protocol = RealtimeProtocol(spec, allowed=allowed, new_id=new_id, **options)
        opening = self.protocol.open()
        self.created = checked(opening.messages)[0]
        self.opening = opening.commands
        configured = [core.Configured(c.config, c.spelling) for c in opening.commands if isinstance(c, core.Configure)]
        assert self.sees(*configured) == []

    def says(self, event: str | bytes | dict[str, Any], **fields: Any) -> Decoded:
        if isinstance(event, str) and fields:
            event = {"type": event, **fields}
        return self.protocol.decode(json.dumps(event) if isinstance(event, dict) else event)

    def asks(self, event: str, **fields: Any) -> core.Command:
        """The one command that an accepted event becomes."""
        decoded = self.says({"type": event, **fields})
        assert decoded.replies == ()
        (command,) = decoded.commands
        return command

    def is_refused(self, event: str | bytes | dict[str, Any], **fields: Any) -> dict[str, Any]:
        """The error that an event is answered with."""
        decoded = self.says(event, **fields)
        assert decoded.commands == ()
        (answer,) = checked(decoded.replies)
        assert answer["type"] == "error"
        error: dict[str, Any] = answer["error"]
        return error

    def updates(self, **session: Any) -> dict[str, Any]:
        """The session after an update, as the server shows it."""
        command = self.asks("session.update", session={"type": "realtime", **session})
        assert isinstance(command, core.Configure)
        (answer,) = self.sees(core.Configured(command.config, command.spelling))
        assert answer["type"] == "session.updated"
        shown: dict[str, Any] = answer["session"]
        return shown

    def sees(self, *events: core.Event) -> list[dict[str, Any]]:
        return checked([message for event in events for message in self.protocol.encode(event)])


def checked(messages: Sequence[WireMessage]) -> list[dict[str, Any]]:
    """The messages as data, each of them accepted by OpenAI's own types and free of misplaced nulls."""
    return [_checked(message) for message in messages]


def _checked(message: WireMessage) -> dict[str, Any]:
    assert isinstance(message, str)
    event: dict[str, Any] = json.loads(message)
    assert event["event_id"]
    if event["type"] in SERVER_EXTENSION_EVENTS:
        return event
    assert event["type"] in SERVER_EVENTS
    assert type(SERVER_EVENT.validate_python(event)).model_fields["type"].annotation.__args__ == (event["type"],)
    for item in [event.get("item"), *(event.get("response") or {}).get("output", [])]:
        if item:
            assert_no_nulls(item)
    return event


def assert_no_nulls(item: dict[str, Any]) -> None:
    """Items leave keys out instead of sending null, but for the transcript of a user's audio."""
    for key, value in item.items():
        assert value is not None, key
    for part in item.get("content", []):
        for key, value in part.items():
            assert value is not None or (part["type"] == "input_audio" and key == "transcript"), key


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
