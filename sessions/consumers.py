"""The WebSocket side of /v1/realtime. A plain ASGI application: it is one TaskGroup, and handles no layer messages."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from channels.db import database_sync_to_async
from django.conf import settings

from agents.errors import Overloaded
from sessions import host, services
from sessions.access import agent_for
from sessions.auth import SUBPROTOCOL, authenticate_websocket, claimed_session, counted_session
from sessions.errors import REFUSED, Answer, Forbidden, Refusal, UnknownModel, answer_to, request_id
from sessions.host import new_id
from sessions.protocols.realtime import RealtimeProtocol
from sessions.protocols.realtime_session import Kind
from sessions.serving import serve
from sessions.transports.websocket import Receive, Send, WebSocketTransport

log = logging.getLogger(__name__)

Scope = Mapping[str, Any]
TRANSPORT = "websocket"


@dataclass(frozen=True, slots=True)
class Query:
    """What the address asks for. `call_id` attaches to a call in progress."""

    model: str | None
    kind: Kind
    extensions: bool
    call_id: str | None

    @classmethod
    def of(cls, scope: Scope) -> Query:
        values = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        first = {name: found[0] for name, found in values.items()}
        return cls(
            model=first.get("model"),
            kind="transcription" if first.get("intent") == "transcription" else "realtime",
            extensions=first.get("repartee") == "1",
            call_id=first.get("call_id"),
        )


async def realtime(scope: Scope, receive: Receive, send: Send) -> None:
    """One client from its request to connect to its end."""
    transport = WebSocketTransport(scope, receive, send)
    if not await transport.connected():
        return
    async with AsyncExitStack() as held:
        try:
            protocol, opened = await _open(scope, held)
        except REFUSED as error:
            await _refuse(transport, scope, error)
            return
        await transport.accept(_subprotocol(scope))
        await serve(transport, protocol, opened.handle, write_timeout_s=settings.REPARTEE_BOUNDS.write_timeout_s)
    for what, fields in (("overrides refused", protocol.refused), ("session fields unknown", protocol.unknown)):
        if fields:
            about = {"session_id": opened.session_id, "agent": opened.spec.slug, "fields": sorted(fields)}
            log.info(what, extra=about)


async def unknown_path(scope: Scope, receive: Receive, send: Send) -> None:
    transport = WebSocketTransport(scope, receive, send)
    if await transport.connected():
        error = Refusal("There is nothing at this address; the Realtime API is at /v1/realtime.", code="not_found")
        await _refuse(transport, scope, error, status=404)


async def _open(scope: Scope, held: AsyncExitStack) -> tuple[RealtimeProtocol, services.OpenedSession]:
    """A session for who is calling, if they may have one; `held` counts it among those of their key, and ends it."""
    query = Query.of(scope)
    check_origin(scope)
    (await host.current()).require_room()
    principal = await authenticate_websocket(scope)
    if query.call_id:
        raise UnknownModel("There is no call of this id.")
    spec = await database_sync_to_async(agent_for)(principal, query.model)
    await held.enter_async_context(counted_session(principal))
    bounds = settings.REPARTEE_BOUNDS
    asked = (principal.session or {}).get("model")
    async with claimed_session(principal) as claimed:
        session_id = claimed or new_id("sess")
        protocol = RealtimeProtocol(
            spec,
            session_id=session_id,
            model=query.model or asked,
            allowed=principal.overrides(spec),
            expires_at=int(time.time()) + bounds.session_s,
            bounds=bounds,
            extensions=query.extensions,
            kind=query.kind,
            start=principal.session,
        )
        opened = await services.open_session(spec, session_id=session_id, transport=TRANSPORT, principal=principal.kind)
    held.push_async_callback(opened.handle.close, "failed")
    return protocol, opened


def check_origin(scope: Scope) -> None:
    """Refuse pages of other sites, if the operator lists those that may connect. Programs send no Origin."""
    allowed: list[str] = settings.REPARTEE_WEBSOCKET_ORIGINS
    origin = next((value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"origin"), None)
    if origin is None or "*" in allowed or origin in allowed:
        return
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"), "")
    if urlsplit(origin).netloc != host:
        raise Forbidden("Pages of this origin may not connect; see the setting REPARTEE_WEBSOCKET_ORIGINS.")


def _subprotocol(scope: Scope) -> str | None:
    """Exactly "realtime", if the client offered it: the other offers carry its key."""
    return SUBPROTOCOL if SUBPROTOCOL in (scope.get("subprotocols") or ()) else None


async def _refuse(transport: WebSocketTransport, scope: Scope, error: Exception, *, status: int | None = None) -> None:
    answer = answer_to(error)
    if answer.status >= 500 and not isinstance(error, Overloaded):  # which is counted
        log.error("session not opened", extra={"status": answer.status}, exc_info=error)
    headers = {"Content-Type": "application/json", "X-Request-Id": request_id(), **answer.headers}
    if not await transport.refuse(status or answer.status, headers, msgspec.json.encode(answer.body)):
        await transport.accept(_subprotocol(scope))
        await transport.send(_error_event(answer))
        await transport.close(answer.close_code, str(answer.error["code"]))


def _error_event(answer: Answer) -> str:
    event = {"type": "error", "event_id": new_id("event"), "error": {**answer.error, "event_id": None}}
    return msgspec.json.encode(event).decode()
