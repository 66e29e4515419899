"""What all addresses of the HTTP API share: methods, JSON in and out, and errors as OpenAI's clients read them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import msgspec
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from agents.errors import ClientError, Overloaded
from sessions.auth import QUOTA
from sessions.errors import REFUSED, Refusal, TooLarge, answer_to, bug_answer, request_id
from sessions.protocols.realtime import to_json
from sessions.protocols.realtime_events import explain

log = logging.getLogger(__name__)

T = TypeVar("T")
View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


def endpoint(**views: View) -> View:
    """One address, with a view for each method it takes: `endpoint(GET=show, POST=make)`.

    Keys say who is calling, never cookies, so no other site can borrow them. A view raises one of `REFUSED`
    to refuse; anything else is a bug, logged here, and an answer in JSON all the same.
    """

    async def answered(request: HttpRequest, **captured: Any) -> HttpResponseBase:
        try:
            view = views.get(request.method or "")
            if view is None:
                return _wrong_method(views)
            return _with_quota(request, await view(request, **captured))
        except REFUSED as error:
            answer = answer_to(error)
            if answer.status >= 500 and not isinstance(error, Overloaded):  # which is counted
                log.exception("request failed", extra={"status": answer.status})
            return _with_quota(request, json_answer(answer.body, status=answer.status, headers=answer.headers))
        except Exception:
            log.exception("request failed", extra={"status": 500})
            return json_answer(bug_answer().body, status=500)

    exempt = csrf_exempt(answered)
    exempt.views = views  # type: ignore[attr-defined]  # for the document of the API
    return exempt


def _with_quota(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """`response` with what the key has left, if there was one."""
    for name, value in request.META[QUOTA].headers.items() if QUOTA in request.META else ():
        response.headers[name] = value
    return response


def parsed(request: HttpRequest, kind: type[T]) -> T:
    """The body as `kind`; an empty one is `{}`. ClientError names the path of what is wrong."""
    try:
        return msgspec.json.decode(request.body or b"{}", type=kind)
    except RequestDataTooBig:
        raise TooLarge from None
    except msgspec.ValidationError as error:
        raise explain(error) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ClientError("The body is not valid JSON.", code="invalid_json") from None


def json_answer(
    content: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    return HttpResponse(
        to_json(content),
        status=status,
        content_type="application/json",
        headers={"X-Request-Id": request_id(), "Cache-Control": "no-store", **(headers or {})},
    )


def _wrong_method(views: Mapping[str, View]) -> HttpResponse:
    allowed = ", ".join(views)
    error = Refusal(f"Use {allowed} for this address.", code="method_not_allowed")
    return json_answer(answer_to(error).body, status=405, headers={"Allow": allowed})
