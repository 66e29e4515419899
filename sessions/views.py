"""Client secrets: short-lived keys with which a browser opens sessions of its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from msgspec import Meta, Struct

from agents.spec import Override
from sessions.api import json_answer
from sessions.auth import Principal
from sessions.errors import Refusal, answer_to
from sessions.grants import granted
from sessions.keys import issue_secret
from sessions.operations import operation
from sessions.protocols.realtime import random_ids
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


class Secret(Struct, frozen=True):
    """`session` is what its holder will start with, as `session.created` shows it."""

    value: str
    expires_at: int
    session: dict[str, Any]


@operation(scope="realtime", refusals=(404,))
def client_secrets(caller: Principal, body: SecretRequest) -> Secret:
    """Make a key for a browser, good for one agent and a short time."""
    extras = body.repartee or Extras()
    model = body.session.model if body.session else None
    grant = granted(
        caller,
        agent=model,
        version=extras.version,
        session=body.session,
        overrides=extras.overrides,
        param="repartee.overrides",
    )
    issued = issue_secret(
        agent=grant.spec.slug,
        version=extras.version,
        session=grant.start,
        overrides=grant.overrides,
        lives_s=(body.expires_after or ExpiresAfter()).seconds,
        key_id=caller.key_id,
    )
    return Secret(issued.value, int(issued.expires_at.timestamp()), grant.shown(random_ids()("sess"), model))


@csrf_exempt
async def unknown_path(request: HttpRequest, path: str = "") -> HttpResponse:
    error = Refusal("There is nothing at this address. /v1/realtime itself is a WebSocket.", code="not_found")
    return json_answer(answer_to(error).body, status=404)
