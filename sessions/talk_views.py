"""The talk page, and the short-lived secret with which it opens its WebSocket.

On one's own machine in development mode nobody signs in; everywhere else a Django user does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from ipaddress import ip_address
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.views import LoginView, redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from agents import selectors
from agents.spec import AgentSpec
from sessions.keys import issue_secret

SECRET_LIVES_S = 120  # from the press of the button to the open WebSocket, with a prompt for the microphone before it
VERSION_DIGITS = 9

View = Callable[..., HttpResponseBase]


@dataclass(frozen=True, slots=True)
class ShownAgent:
    """What the page says of an agent. `version` is set when one was asked for by number."""

    slug: str
    name: str
    store_text: bool
    version: int | None = None

    @classmethod
    def of(cls, spec: AgentSpec, version: int | None = None) -> ShownAgent:
        return cls(spec.slug, spec.name or spec.slug, spec.store_text, version)


class BadVersion(ValueError):
    """A version is a number from 1."""


def with_content_policy(view: View) -> View:
    """Only files of this site run or load, and the WebSocket goes only back to it."""

    @wraps(view)
    def answered(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        host = request.get_host()
        # Some browsers do not count a WebSocket of the same host as 'self'.
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; worker-src 'self'; "
            f"connect-src 'self' ws://{host} wss://{host}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        response.headers["Permissions-Policy"] = "microphone=(self), camera=(), geolocation=()"
        return response

    return answered


@require_safe
@never_cache
@with_content_policy
def talk(request: HttpRequest) -> HttpResponse:
    """GET /?agent=SLUG&version=N"""
    if not may_talk(request):
        return redirect_to_login(request.get_full_path(), reverse("talk-login"))
    slug = request.GET.get("agent") or settings.REPARTEE_DEFAULT_AGENT
    try:
        agent = _shown(slug, request.GET.get("version", ""))
    except (selectors.UnknownAgent, BadVersion) as error:
        return _missing(request, slug, str(error))
    query = urlencode({"model": agent.slug, "repartee": 1})
    return render(
        request,
        "sessions/talk.html",
        {
            "agent": agent,
            "agents": _published(),
            "development": settings.DEVELOPMENT,
            "realtime_url": f"/v1/realtime?{query}",
            "login_url": f"{reverse('talk-login')}?{urlencode({'next': request.get_full_path()})}",
        },
    )


@require_POST
@never_cache
def secret(request: HttpRequest) -> HttpResponse:
    """POST /talk/secret with `agent` and perhaps `version`: {"value": "ek_…", "expires_at": <Unix time>}."""
    if not may_talk(request):
        return JsonResponse({"error": "Sign in first."}, status=401)
    try:
        agent = _shown(request.POST.get("agent", ""), request.POST.get("version", ""))
    except (selectors.UnknownAgent, BadVersion) as error:
        return JsonResponse({"error": str(error)}, status=404)
    user_id = request.user.pk if request.user.is_authenticated else None
    issued = issue_secret(agent=agent.slug, version=agent.version, lives_s=SECRET_LIVES_S, user_id=user_id)
    return JsonResponse({"value": issued.value, "expires_at": int(issued.expires_at.timestamp())})


@method_decorator(with_content_policy, name="dispatch")
class Login(LoginView):
    template_name = "sessions/talk_login.html"
    next_page = "talk"
    redirect_authenticated_user = True


def may_talk(request: HttpRequest) -> bool:
    """Whether this visitor gets a secret: a signed-in user, or the developer in front of the machine."""
    return request.user.is_authenticated or (settings.DEVELOPMENT and _from_this_machine(request))


def _from_this_machine(request: HttpRequest) -> bool:
    """A proxy on this machine speaks for others, so a request it has forwarded does not count."""
    forwarded = "HTTP_X_FORWARDED_FOR" in request.META or "HTTP_FORWARDED" in request.META
    try:
        return not forwarded and ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:  # a Unix socket has no address
        return False


def _shown(slug: str, version: str) -> ShownAgent:
    if not version:
        return ShownAgent.of(selectors.published_spec(slug))
    if not version.isdecimal() or len(version) > VERSION_DIGITS or int(version) < 1:
        raise BadVersion(str(BadVersion.__doc__))
    return ShownAgent.of(selectors.spec_of(slug, int(version)), int(version))


def _published() -> list[ShownAgent]:
    specs = [agent.published.agent_spec for agent in selectors.list_agents() if agent.published]
    return [ShownAgent.of(spec) for spec in specs]


def _missing(request: HttpRequest, slug: str, text: str) -> HttpResponse:
    context = {"title": f"No agent “{slug}” to talk to", "text": text, "agents": _published()}
    return render(request, "sessions/talk_missing.html", context, status=404)
