"""The HTTP side of the API."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Annotated, Any, Literal

import msgspec
from channels.db import database_sync_to_async
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from msgspec import Meta, Struct

from agents.errors import ClientError
from agents.spec import AgentSpec, Override
from sessions.access import agent_for
from sessions.auth import Principal, authenticate_http, issue_secret
from sessions.errors import REFUSED, Forbidden, Refusal, TooLarge, answer_to, request_id
from sessions.protocols.realtime import random_ids, starting_session
from sessions.protocols.realtime_events import SessionPatch, explain

log = logging.getLogger(__name__)

View = Callable[[HttpRequest], Coroutine[Any, Any, HttpResponse]]


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


def api(method: str) -> Callable[[View], View]:
    """A view of the API: one method, keys instead of cookies, and errors as OpenAI's clients read them."""

    def wrap(view: View) -> View:
        @wraps(view)
        async def answered(request: HttpRequest) -> HttpResponse:
            try:
                if request.method != method:
                    error = Refusal(f"Use {method} for this address.", code="method_not_allowed")
                    return _json({"error": answer_to(error).error}, status=405, headers={"Allow": method})
                return await view(request)
            except REFUSED as error:
                answer = answer_to(error)
                if answer.status >= 500:
                    log.exception("request failed", extra={"status": answer.status})
                return _json(answer.body, status=answer.status, headers=answer.headers)

        return csrf_exempt(answered)

    return wrap


@api("POST")
async def client_secrets(request: HttpRequest) -> HttpResponse:
    """POST /v1/realtime/client_secrets: a key for a browser, good for one agent and a short time."""
    principal = await authenticate_http(request)
    if principal.kind != "server":
        raise Forbidden("A client secret cannot make client secrets; use an API key.")
    return _json(await database_sync_to_async(_new_secret)(principal, _parsed(request)))


@csrf_exempt
async def unknown_path(request: HttpRequest, path: str = "") -> HttpResponse:
    error = Refusal("There is nothing at this address. /v1/realtime itself is a WebSocket.", code="not_found")
    return _json(answer_to(error).body, status=404)


def _parsed(request: HttpRequest) -> SecretRequest:
    try:
        return msgspec.json.decode(request.body or b"{}", type=SecretRequest)
    except RequestDataTooBig:
        raise TooLarge from None
    except msgspec.ValidationError as error:
        raise explain(error) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ClientError("The body is not valid JSON.", code="invalid_json") from None


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


def _json(content: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(
        msgspec.json.encode(content),
        status=status,
        content_type="application/json",
        headers={"X-Request-Id": request_id(), "Cache-Control": "no-store", **(headers or {})},
    )
