"""One connection between a client and a session, both of them fakes that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from agents.errors import Overloaded
from sessions.cluster.handles import Stalled
from sessions.pipeline.messages import (
    Answer,
    Answered,
    AudioCleared,
    ClearAudio,
    Command,
    ErrorOccurred,
    Event,
    SessionEnded,
)
from sessions.protocols.base import Decoded, Opening, WireMessage
from sessions.serving import MESSAGES_A_TURN, serve
from telemetry import counters
from tests.virtual_time import run


class Plain:
    """A protocol in which a message is the event_id of a clear, and an event is its repr."""

    def __init__(self) -> None:
        self.undone: list[Command] = []

    def open(self) -> Opening:
        return Opening(["hello"], [ClearAudio("opening")])

    def decode(self, data: str | bytes) -> Decoded:
        return Decoded([ClearAudio(str(data))], [f"got {data!s}"])

    def undo(self, command: Command) -> None:
        self.undone.append(command)

    def encode(self, event: Event) -> list[WireMessage]:
        match event:
            case ErrorOccurred():
                return [event.event_id or "error"]
            case Answered(message):
                return [str(message)]
            case _:
                return [type(event).__name__]


@dataclass
class Wire:
    """A client that says `says`, then stays or leaves, and reads up to `reads` messages."""

    ended_by = "client_gone"
    says: list[str]
    stays: bool = True
    reads: float = 1e9
    sent: list[WireMessage] = field(default_factory=list)
    closed: tuple[int, str] | None = None

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        for text in self.says:
            yield text
        if self.stays:
            await asyncio.sleep(1e6)

    async def send(self, message: WireMessage) -> None:
        if len(self.sent) >= self.reads:
            await asyncio.sleep(1e6)
        self.sent.append(message)

    async def close(self, code: int, reason: str = "") -> None:
        self.closed = code, reason


@dataclass
class Session:
    """A session that emits `emits`, and takes commands as `take` does."""

    emits: list[Event]
    take: Callable[[Command], None] = lambda command: None
    took: list[Command] = field(default_factory=list)
    closed: str | None = None

    async def send(self, command: Command) -> None:
        self.take(command)
        self.took.append(command)

    async def events(self) -> AsyncIterator[Event]:
        for event in self.emits:
            await asyncio.sleep(1)
            yield event
        await asyncio.sleep(1e6)

    async def close(self, reason: str) -> None:
        self.closed = reason


def served(wire: Wire, session: Session) -> Plain:
    protocol = Plain()
    run(serve(wire, protocol, session, write_timeout_s=10))
    return protocol


def refusing(error: Exception) -> Callable[[Command], None]:
    def take(command: Command) -> None:
        if command == ClearAudio("no"):
            raise error

    return take


def test_what_is_said_on_both_sides_arrives_in_order() -> None:
    wire, session = Wire(["a", "b"]), Session([AudioCleared(), SessionEnded("closed")])
    served(wire, session)
    assert wire.sent == ["hello", "AudioCleared", "SessionEnded"]
    a, b = ClearAudio("a"), ClearAudio("b")
    assert session.took == [ClearAudio("opening"), Answer("got a"), a, Answer("got b"), b]
    assert (wire.closed, session.closed) == ((1000, "closed"), "closed")


@pytest.mark.parametrize(
    ("reason", "code"),
    [("closed", 1000), ("idle", 1000), ("slow_client", 1013), ("shutdown", 1012), ("failed", 1011)],
)
def test_the_close_code_tells_why(reason: str, code: int) -> None:
    wire = Wire([])
    served(wire, Session([SessionEnded(reason)]))
    assert wire.closed == (code, reason)


def test_a_client_that_never_pauses_leaves_a_turn_to_all_others() -> None:
    wire, session = Wire([str(n) for n in range(1600)], stays=False), Session([])
    turns = 0

    async def wait_for_turns() -> None:
        nonlocal turns
        while session.closed is None:
            turns += 1
            await asyncio.sleep(0)

    async def serve_beside() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait_for_turns())
            group.create_task(serve(wire, Plain(), session, write_timeout_s=10))

    run(serve_beside())
    assert session.took[-1] == ClearAudio("1599")
    assert turns >= 1600 / MESSAGES_A_TURN


def test_a_client_that_leaves_ends_its_session() -> None:
    wire, session = Wire(["a"], stays=False), Session([])
    served(wire, session)
    assert (wire.closed, session.closed) == (None, "client_gone")


def test_a_full_inbox_refuses_the_command_and_the_connection_lives() -> None:
    wire, session = Wire(["no", "b"]), Session([SessionEnded("closed")], refusing(Overloaded()))
    protocol = served(wire, session)
    assert wire.sent == ["hello", "no", "SessionEnded"]
    assert protocol.undone == [ClearAudio("no")]
    assert session.took == [ClearAudio("opening"), Answer("got no"), Answer("got b"), ClearAudio("b")]


def test_the_protocols_own_answers_are_given_even_if_the_inbox_is_full() -> None:
    def take(command: Command) -> None:
        if isinstance(command, Answer):
            raise Overloaded

    wire = Wire(["a"])
    served(wire, Session([SessionEnded("closed")], take))
    assert wire.sent == ["hello", "got a", "SessionEnded"]


def test_audio_that_is_not_processed_closes_the_connection() -> None:
    wire, session = Wire(["no", "b"]), Session([], refusing(Stalled()))
    served(wire, session)
    assert (wire.closed, session.closed) == ((1013, "failed"), "failed")


def test_a_client_that_does_not_read_is_closed() -> None:
    before = counters.snapshot().get(("clients.slow", ""), 0)
    wire, session = Wire([], reads=1), Session([AudioCleared()])
    served(wire, session)
    assert (wire.closed, session.closed) == ((1013, "slow_client"), "slow_client")
    assert counters.snapshot()["clients.slow", ""] == before + 1


def test_a_bug_in_a_protocol_leaves_after_the_session_is_closed() -> None:
    class Broken(Plain):
        def decode(self, data: str | bytes) -> Decoded:
            raise ZeroDivisionError

    session = Session([])
    with pytest.raises(ExceptionGroup) as caught:
        run(serve(Wire(["a"]), Broken(), session, write_timeout_s=10))
    assert caught.group_contains(ZeroDivisionError)
    assert session.closed == "failed"
