"""Exchanges as they are on the wire, byte for byte: golden/*.jsonl has one message a line.

To write them anew after a change that is meant: REPARTEE_WRITE_GOLDEN=1, and read the difference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sessions.protocols.realtime_events import SERVER_EVENTS, SERVER_EXTENSION_EVENTS
from tests.unit.sessions.protocols.helpers import Client, checked
from tests.unit.sessions.protocols.scripts import EXTENSIONS, SCRIPTS, VOICE_TURN, Event

GOLDEN = Path(__file__).parent / "golden"


def said(events: list[Event], *, extensions: bool = False) -> list[str]:
    client = Client(extensions=extensions)
    messages = [message for event in events for message in client.protocol.encode(event)]
    checked(messages)
    return [str(message) for message in messages]


def assert_golden(name: str, messages: list[str]) -> None:
    path = GOLDEN / f"{name}.jsonl"
    if os.environ.get("REPARTEE_WRITE_GOLDEN"):
        path.write_text("".join(f"{message}\n" for message in messages))
    assert messages == path.read_text().splitlines()


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_exchange_is_as_recorded(name: str) -> None:
    assert_golden(name, said(SCRIPTS[name]))


def test_extensions_are_as_recorded() -> None:
    assert_golden("extensions", said([*VOICE_TURN, *EXTENSIONS], extensions=True))


def test_extensions_go_only_to_clients_that_asked() -> None:
    assert said(EXTENSIONS) == []
    assert said(VOICE_TURN) == (GOLDEN / "voice_turn.jsonl").read_text().splitlines()
    assert "turn_id" not in "".join(said(VOICE_TURN))


def test_opening_is_as_recorded() -> None:
    client = Client()
    updated = client.updates(output_modalities=["text"])

    assert_golden("opening", [json.dumps(client.created), json.dumps(updated)])


def test_every_server_event_was_checked_against_openais_types() -> None:
    seen = {json.loads(message)["type"] for events in SCRIPTS.values() for message in said(events)}
    seen |= {json.loads(message)["type"] for message in said(EXTENSIONS, extensions=True)}

    assert seen | {"session.created", "session.updated"} == SERVER_EVENTS | SERVER_EXTENSION_EVENTS
