"""Sessions over REST: made for a client to come, listed, looked at, steered and ended."""

from __future__ import annotations

import msgspec
from channels.db import database_sync_to_async
from django.conf import settings
from django.http import HttpRequest

from agents.errors import ClientError
from agents.spec import Override
from sessions.auth import Principal
from sessions.control import records, shapes, showing
from sessions.control.found import find
from sessions.errors import Conflict, Forbidden
from sessions.grants import granted
from sessions.host import new_id
from sessions.keys import issue_secret
from sessions.models import ClientSecret
from sessions.operations import operation
from sessions.pipeline.messages import Inject, Item, ResponseOptions
from sessions.protocols import realtime_events as wire
from sessions.protocols.checks import check_length
from sessions.protocols.realtime_items import ItemReader
from sessions.protocols.realtime_session import modality

STOPPED = "stopped"
"""Why a session ended, where a controller ended it."""


@operation(scope="realtime", status=201, refusals=(404,))
def create_session(caller: Principal, body: shapes.NewSession, request: HttpRequest) -> shapes.CreatedSession:
    """Prepare a session, and make the client secret with which one client opens it.

    Its id is known before the client comes, so that a controller can wait for it.
    """
    grant = granted(caller, agent=body.agent, version=body.version, session=body.session, overrides=body.overrides)
    session_id = new_id("sess")
    issued = issue_secret(
        agent=grant.spec.slug,
        version=body.version,
        session=grant.start,
        overrides=grant.overrides,
        lives_s=body.expires_in_s,
        key_id=caller.key_id,
        opens_session=session_id,
    )
    return shapes.CreatedSession(
        id=session_id,
        agent=grant.spec.slug,
        version=body.version,
        state="waiting",
        client_secret=shapes.Credential(issued.value, int(issued.expires_at.timestamp())),
        url=request.build_absolute_uri(f"/v1/realtime?model={grant.spec.slug}").replace("http", "ws", 1),
    )


@operation(scope="sessions", refusals=(404,))
def list_sessions(caller: Principal, query: shapes.SessionQuery) -> shapes.SessionList:
    """Sessions that have begun, newest first: those of all processes."""
    return records.sessions(caller, query)


@operation(scope="sessions", refusals=(404,))
async def show_session(caller: Principal, session_id: str) -> shapes.SessionDetail:
    """One session: its latencies so far, and while it runs in this process what it is doing and how it is set up."""
    found = await find(caller, session_id)
    return showing.detail(found, await database_sync_to_async(records.latencies)(session_id), caller)


@operation(scope="sessions", refusals=(404,))
async def list_items(caller: Principal, session_id: str, query: shapes.ItemQuery) -> shapes.ItemList:
    """The conversation, from its beginning.

    Where the session runs in this process its words come from memory; else they are there if the agent lets
    them be kept, for as long as they are.
    """
    found = await find(caller, session_id)
    if found.snapshot is not None:
        return showing.items_in_memory(found.snapshot, query)
    kept: shapes.ItemList = await database_sync_to_async(records.items)(session_id, query)
    return kept


@operation(scope="sessions", status=201, refusals=(404, 409))
async def create_item(caller: Principal, session_id: str, body: shapes.NewItem) -> shapes.Item:
    """Put an item into a running conversation, and let the agent answer it if `response` is given.

    The client is sent the same events as if it had sent the item. If the response cannot begin, because one is
    being made, the item is left out too: 409.
    """
    found = await find(caller, session_id)
    running = found.steerable()
    allowed = caller.overrides(found.snapshot.spec) if found.snapshot else frozenset[Override]()
    item = _readable(body.item, allowed)
    options = None if body.response is None else _options(body.response, allowed)
    try:
        await running.steer(Inject(item, body.previous_item_id, options))
    except ClientError as error:
        if error.code == "conversation_already_has_active_response":
            raise Conflict(str(error), code="conversation_already_has_active_response") from None
        raise
    return showing.item(item)


@operation(scope="sessions", refusals=(404, 409))
async def end_session(caller: Principal, session_id: str) -> shapes.Session:
    """End a session. Its client's connection is closed with 1000 and the reason "stopped".

    A waiting session can no longer be opened. One that has ended stays as it is.
    """
    found = await find(caller, session_id)
    if found.waiting is not None:
        await _withdraw(found.waiting)
        return msgspec.structs.replace(showing.session(found), state="ended", end_reason=STOPPED)
    if not found.live:
        return showing.session(found)
    await found.steerable().end(STOPPED)
    return showing.session(await find(caller, session_id))


async def _withdraw(waiting: ClientSecret) -> None:
    if not (await ClientSecret.objects.filter(pk=waiting.pk, claimed_at=None).adelete())[0]:
        raise Conflict("The session has begun just now. End it again.", code="session_begun")


def _readable(item: wire.Item, allowed: frozenset[Override]) -> Item:
    """The item for the conversation. Whoever may not change the instructions adds no system messages either."""
    if isinstance(item, wire.Message) and item.role == "system" and "instructions" not in allowed:
        raise Forbidden("The agent does not let its instructions be changed, nor system messages be added.")
    return ItemReader(new_id, settings.REPARTEE_BOUNDS).read(item, "item")


def _options(asked: shapes.ItemResponse, allowed: frozenset[Override]) -> ResponseOptions:
    if asked.instructions is not None and "instructions" not in allowed:
        raise Forbidden("The agent does not let its instructions be changed.")
    if asked.output_modalities is not None and "formats" not in allowed:
        raise Forbidden("The agent does not let the output's modality be changed.")
    check_length(asked.instructions or "", settings.REPARTEE_BOUNDS.instructions_chars, "response.instructions")
    return ResponseOptions(
        instructions=asked.instructions,
        modality=modality(asked.output_modalities, "response") if asked.output_modalities else None,
        metadata=asked.metadata,
        in_conversation=asked.conversation != "none",
    )
