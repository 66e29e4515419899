"""Client secrets: short-lived keys with which a browser opens sessions of its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from channels.db import database_sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from msgspec import Meta, Struct

from agents.errors import ClientError
from agents.spec import AgentSpec, Override
from sessions.access import agent_for
from sessions.api import json_answer, parsed
from sessions.auth import Principal, authenticate_http, issue_secret
from sessions.errors import Forbidden, Refusal, answer_to
from sessions.protocols.realtime import random_ids, starting_session
from sessions.protocols.realtime_events import SessionPatch


class ExpiresAfter(Struct, frozen=True):
    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Meta(ge=10, le=7_200)] = 600


class Extras(Struct, frozen=True, forbid_unknown_fields=True):
    """Ours: what the holder may change beyond what the agent allows, and which version it talks to."""

    overrides: tuple[Override, ...] = ()
    version: Annotated[int, Meta(ge=1)] | None = None


class SecretRequest(Struct, frozen=True):
    expires_after: ExpiresAfter | None = None
    session: SessionPatch | None = None
    repartee: Extras | None = None


async def client_secrets(request: HttpRequest) -> HttpResponse:
    """POST /v1/realtime/client_secrets: a key for a browser, good for one agent and a short time."""
    principal = await authenticate_http(request, scope="realtime")
    if principal.kind != "server":
        raise Forbidden("A client secret cannot make client secrets; use an API key.")
    return json_answer(await database_sync_to_async(_new_secret)(principal, parsed(request, SecretRequest)))


@csrf_exempt
async def unknown_path(request: HttpRequest, path: str = "") -> HttpResponse:
    error = Refusal("There is nothing at this address. /v1/realtime itself is a WebSocket.", code="not_found")
    return json_answer(answer_to(error).body, status=404)


def _new_secret(principal: Principal, asked: SecretRequest) -> dict[str, Any]:
    session = asked.session or SessionPatch()
    extras = asked.repartee or Extras()
    start = msgspec.to_builtins(session)
    spec = agent_for(principal, session.model, extras.version)
    effective = starting_session(spec, "realtime", start, settings.REPARTEE_BOUNDS)
    issued = issue_secret(
        agent=spec.slug,
        version=extras.version,
        session=start,
        overrides=_grantable(spec, extras.overrides),
        lives_s=(asked.expires_after or ExpiresAfter()).seconds,
        key_id=principal.key_id,
    )
    shown = effective.shown(random_ids()("sess"), session.model or spec.slug, None)
    return {"value": issued.value, "expires_at": int(issued.expires_at.timestamp()), "session": shown}


def _grantable(spec: AgentSpec, asked: tuple[Override, ...]) -> tuple[Override, ...]:
    if refused := sorted(set(asked) - set(spec.overrides.server_keys)):
        raise ClientError(f"The agent does not let clients change: {', '.join(refused)}.", param="repartee.overrides")
    return asked
