"""One connection: a reader, a writer, and the session between them. When one of them ends, all do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from agents.errors import Overloaded
from sessions.cluster.handles import SessionHandle, Stalled
from sessions.pipeline.messages import Answer, Answered, Command, ErrorOccurred, Event, SessionEnded
from sessions.protocols.base import WireMessage, WireProtocol
from sessions.transports.base import Transport
from telemetry import counters, names

BIG_MESSAGE = 256 * 1024
"""Bytes from which decoding (about 2 ms a MiB) moves off the event loop."""
MESSAGES_A_TURN = 16
"""Messages that are taken from one client before all others have their turn: those at hand are read without a wait."""
CLOSE_CODES = {"slow_client": 1013, "shutdown": 1012, "failed": 1011}


class _Over(Exception):
    """The connection is over; `code` is the close code, None if the client has gone."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def serve(transport: Transport, protocol: WireProtocol, handle: SessionHandle, *, write_timeout_s: float) -> None:
    """Carry messages between a client and its session until either ends. The session is closed in any case."""
    over = _Over(None, "failed")
    try:
        async with asyncio.TaskGroup() as group:
            opening = protocol.open()
            await _send(transport, opening.messages, write_timeout_s)
            for command in opening.commands:
                await handle.send(command)
            group.create_task(_write(transport, protocol, handle, write_timeout_s), name="writer")
            group.create_task(_read(transport, protocol, handle, write_timeout_s), name="reader")
    except* _Over as group_of_ends:
        over = _first(group_of_ends)
    finally:
        await handle.close(over.reason)
    if over.code is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(write_timeout_s):
                await transport.close(over.code, over.reason)


async def _read(transport: Transport, protocol: WireProtocol, handle: SessionHandle, write_timeout_s: float) -> None:
    turn = 0
    async for data in transport:
        turn = (turn + 1) % MESSAGES_A_TURN
        if not turn:
            await asyncio.sleep(0)
        decoded = protocol.decode(data) if len(data) < BIG_MESSAGE else await asyncio.to_thread(protocol.decode, data)
        for command in (*map(Answer, decoded.replies), *decoded.commands):
            try:
                await handle.send(command)
            except Stalled:
                raise _Over(1013, "failed") from None
            except Overloaded as error:
                protocol.undo(command)
                await _send(transport, protocol.encode(_instead(command, error)), write_timeout_s)
    raise _Over(None, transport.ended_by)


def _instead(command: Command, full: Overloaded) -> Event:
    """What is said at once, out of turn, to a command that found no room."""
    if isinstance(command, Answer):
        return Answered(command.message)
    event_id = getattr(command, "event_id", None)
    return ErrorOccurred(str(full), "rate_limit_exceeded", None, event_id, "server_error")


async def _write(transport: Transport, protocol: WireProtocol, handle: SessionHandle, write_timeout_s: float) -> None:
    async for event in handle.events():
        await _send(transport, protocol.encode(event), write_timeout_s)
        if isinstance(event, SessionEnded):
            raise _Over(CLOSE_CODES.get(event.reason, 1000), event.reason)


async def _send(transport: Transport, messages: Sequence[WireMessage], timeout_s: float) -> None:
    try:
        for message in messages:
            async with asyncio.timeout(timeout_s):
                await transport.send(message)
    except TimeoutError:
        counters.count(names.SLOW_CLIENTS)
        raise _Over(1013, "slow_client") from None


def _first(group: BaseExceptionGroup[_Over]) -> _Over:
    """The end that came with a close code, else any."""
    ends: list[_Over] = []
    for error in group.exceptions:
        ends += [_first(error)] if isinstance(error, BaseExceptionGroup) else [error]
    return next((end for end in ends if end.code is not None), ends[0])
