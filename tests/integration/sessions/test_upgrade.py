"""Who gets a WebSocket, and how others are refused: before the upgrade where the server can, else after it."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError
from django.test import override_settings

from agents import services as agent_services
from agents.errors import Overloaded
from agents.spec import AgentSpec
from project.asgi import application
from sessions import auth, host, keys, services
from sessions.admission import Door
from sessions.auth import Authenticator, FailureLimit, RecentPrincipals
from sessions.cluster.handles import LocalHandle
from sessions.headroom import LOOP_LAG
from telemetry import counters
from tests.fakes.asgi import AsgiClient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("guide")]


@pytest.fixture
def guide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "authenticator", Authenticator(FailureLimit(most=2), RecentPrincipals()))
    agent_services.publish_spec(agent=agent_services.create_agent(slug="guide"), spec=AgentSpec(slug="guide"))


async def knock(
    path: str = "/v1/realtime?model=guide",
    *,
    key: str | None = "fixed",
    can_deny: bool = True,
    origin: str | None = None,
) -> list[dict[str, Any]]:
    """All that the server sends to a client that asks to connect and leaves."""
    client = AsgiClient.saying()
    headers = {"host": "here:80"} | ({"origin": origin} if origin else {})
    if key:
        headers["authorization"] = f"Bearer {key}"
    address, _, query = path.partition("?")
    scope = {
        "type": "websocket",
        "path": address,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "subprotocols": [],
        "client": ("10.0.0.1", 5),
        "extensions": {"websocket.http.response": {}} if can_deny else {},
    }
    with override_settings(REPARTEE_DEV_API_KEY="fixed"):
        await application(scope, client.receive, client.send)
    return client.sent


def denial(sent: list[dict[str, Any]]) -> tuple[int, dict[bytes, bytes], dict[str, Any]]:
    start, body = sent
    return start["status"], dict(start["headers"]), json.loads(body["body"])["error"]


@pytest.mark.parametrize(
    ("path", "key", "status", "code"),
    [
        ("/v1/realtime?model=guide", None, 401, "invalid_api_key"),
        ("/v1/realtime?model=guide", "sk_wrong", 401, "invalid_api_key"),
        ("/v1/realtime?model=nobody", "fixed", 404, "model_not_found"),
        ("/v1/realtime?call_id=rtc_1", "fixed", 404, "model_not_found"),
        ("/v1/elsewhere", "fixed", 404, "not_found"),
    ],
)
async def test_the_upgrade_is_refused_with_a_reason(path: str, key: str | None, status: int, code: str) -> None:
    answered, headers, error = denial(await knock(path, key=key))

    assert (answered, error["code"]) == (status, code)
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"x-request-id"].startswith(b"req_")
    assert set(error) == {"message", "type", "param", "code"}


async def test_an_unknown_model_is_told_which_there_are() -> None:
    _, _, error = denial(await knock("/v1/realtime?model=nobody"))

    assert error["message"].endswith("Use one of: guide.")


async def test_guessing_is_refused_with_429() -> None:
    statuses = [denial(await knock(key="sk_guess"))[0] for _ in range(3)]

    assert statuses == [401, 401, 429]


@pytest.mark.parametrize(
    ("key", "close_code", "code"), [("sk_wrong", 1008, "invalid_api_key"), ("fixed", 1013, "server_overloaded")]
)
async def test_a_server_that_cannot_refuse_accepts_and_closes(
    monkeypatch: pytest.MonkeyPatch, key: str, close_code: int, code: str
) -> None:
    monkeypatch.setattr(services, "open_session", _failing(Overloaded("This server is full.")))
    accept, event, close = await knock(key=key, can_deny=False)
    said = json.loads(event["text"])

    assert accept["type"] == "websocket.accept"
    assert (said["type"], said["error"]["code"], said["error"]["event_id"]) == ("error", code, None)
    assert said["event_id"]
    assert (close["type"], close["code"]) == ("websocket.close", close_code)


@pytest.mark.parametrize("can_deny", [True, False])
@pytest.mark.parametrize(("limit", "says"), [("requests_per_minute", "1 requests"), ("sessions_at_once", "1 sessions")])
async def test_a_key_at_its_limit_is_refused_with_429(can_deny: bool, limit: str, says: str) -> None:
    limits: dict[str, Any] = {limit: 1}
    _, key = await sync_to_async(keys.create_key)(name="scarce", **limits)
    principal = await auth.authenticator.principal(key, "a")
    async with auth.counted_session(principal):
        await auth.limiter.request(principal.account, principal.limits)
        sent = await knock(key=key, can_deny=can_deny)

    if can_deny:
        status, headers, error = denial(sent)
        assert status == 429
        assert int(headers[b"retry-after"]) > 0
        assert (b"x-ratelimit-limit-requests" in headers) == (limit == "requests_per_minute")
    else:
        _, event, close = sent
        error = json.loads(event["text"])["error"]
        assert (close["code"], close["reason"]) == (1013, "rate_limit_exceeded")
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert says in error["message"]


@pytest.mark.parametrize("error", [Overloaded("This server is full."), OperationalError("locked")])
async def test_an_overload_and_a_database_away_are_503(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(services, "open_session", _failing(error))
    status, headers, details = denial(await knock())

    assert (status, details["type"]) == (503, "server_error")
    assert headers[b"retry-after"] == b"5"
    assert "locked" not in details["message"]


@pytest.mark.parametrize("can_deny", [True, False])
@pytest.mark.parametrize("key", ["fixed", "sk_stranger"])
async def test_a_process_that_is_behind_says_so_before_it_looks_at_the_key(
    monkeypatch: pytest.MonkeyPatch, key: str, can_deny: bool
) -> None:
    owner = await host.current()
    door = Door({LOOP_LAG: 10.0}, at_once=0, per_s=0)
    door.observe({LOOP_LAG: 1_000.0}, 5.0)
    monkeypatch.setattr(owner.headroom, "door", door)
    monkeypatch.setitem(owner._sessions, "sess_inside", cast(LocalHandle, None))
    before = counters.value("overloaded", LOOP_LAG)
    sent = await knock(key=key, can_deny=can_deny)

    if can_deny:
        status, headers, error = denial(sent)
        assert status == 503
        assert 4 <= int(headers[b"retry-after"]) <= 8
    else:
        _, event, close = sent
        error = json.loads(event["text"])["error"]
        assert (close["code"], close["reason"]) == (1013, "server_overloaded")
    assert (error["code"], error["type"]) == ("server_overloaded", "server_error")
    assert counters.value("overloaded", LOOP_LAG) == before + 1


@pytest.mark.parametrize(
    ("origins", "origin", "refused"),
    [
        (["*"], "https://anywhere.example", False),
        ([], "http://here:80", False),
        (["https://shop.example"], "https://shop.example", False),
        ([], None, False),
        (["https://shop.example"], "https://evil.example", True),
    ],
)
async def test_pages_of_other_sites_are_let_in_by_a_setting(
    origins: list[str], origin: str | None, refused: bool
) -> None:
    with override_settings(REPARTEE_WEBSOCKET_ORIGINS=origins):
        status, _, error = denial(await knock("/v1/realtime?model=nobody", origin=origin))

    assert (status, error["code"]) == ((403, "permission_denied") if refused else (404, "model_not_found"))


async def test_a_secret_is_good_for_its_agent_only() -> None:
    await sync_to_async(agent_services.create_agent)(slug="other")
    secret = await sync_to_async(keys.issue_secret)(agent="other")

    assert denial(await knock("/v1/realtime?model=guide", key=secret.value))[0] == 404


def _failing(error: Exception) -> Any:
    async def open_session(*args: Any, **kwargs: Any) -> None:
        raise error

    return open_session
