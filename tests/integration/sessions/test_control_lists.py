"""What control over REST reads, on a real database over Django's asynchronous test client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from agents import services as agent_services
from agents.spec import AgentSpec
from sessions import auth, keys
from sessions.auth import Authenticator, FailureLimit, RecentPrincipals
from sessions.models import ClientSecret, ConversationItem, ItemText, Session
from sessions.scopes import SCOPES, Scope
from telemetry.models import Turn

pytestmark = pytest.mark.django_db(transaction=True)
BEGAN = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "authenticator", Authenticator(FailureLimit(most=50), RecentPrincipals()))


@pytest.fixture
def key() -> str:
    for slug in ("guide", "terse"):
        agent = agent_services.create_agent(slug=slug)
        agent_services.publish_spec(agent=agent, spec=AgentSpec(slug=slug, instructions=f"You are {slug}."))
    return key_for(*SCOPES)


def key_for(*scopes: Scope, agents: tuple[str, ...] = ()) -> str:
    return keys.create_key(name="test", scopes=scopes, agents=agents)[1]


async def ask(key: str, path: str, method: str = "GET", **query: Any) -> tuple[int, Any]:
    call = AsyncClient().get if method == "GET" else AsyncClient().post
    options: dict[str, Any] = {} if method == "GET" else {"content_type": "application/json"}
    answer = await call(path, query, headers={"authorization": f"Bearer {key}"}, **options)
    return answer.status_code, answer.json()


async def answer(key: str, path: str, method: str = "GET", **query: Any) -> Any:
    status, body = await ask(key, path, method, **query)
    assert status in (200, 201), body
    return body


def session(number: int, *, agent: str = "guide", ended: bool = True, **fields: Any) -> Session:
    began = BEGAN + timedelta(minutes=number // 2)  # two at a time: ids decide
    fields |= {"ended_at": began + timedelta(seconds=30), "end_reason": "closed"} if ended else {}
    known: dict[str, Any] = {"agent_version": 1, "transport": "websocket", "principal": "server", "started_at": began}
    return Session.objects.create(id=f"sess_{number}", agent=agent, **known, **fields)


def turn(session_id: str, index: int, *, agent: str = "guide", **fields: Any) -> Turn:
    known: dict[str, Any] = {
        "trace_id": "0" * 32,
        "started_at": BEGAN + timedelta(seconds=index),
        "agent_version": 1,
        "transport": "websocket",
        "kind": "plain",
        "initiator": "user",
        "end_reason": "completed",
    }
    return Turn.objects.create(session=session_id, index=index, agent=agent, **{**known, **fields})


# --- who may see what ---


@pytest.mark.parametrize(
    ("path", "method", "scope"),
    [
        ("/v1/sessions", "GET", "sessions"),
        ("/v1/sessions", "POST", "realtime"),
        ("/v1/sessions/sess_1", "GET", "sessions"),
        ("/v1/sessions/sess_1/items", "GET", "sessions"),
        ("/v1/sessions/sess_1/items", "POST", "sessions"),
        ("/v1/sessions/sess_1/end", "POST", "sessions"),
        ("/v1/agents", "GET", "agents"),
        ("/v1/agents/guide", "GET", "agents"),
        ("/v1/agents/guide/versions", "GET", "agents"),
        ("/v1/agents/guide/versions/1", "GET", "agents"),
        ("/v1/turns", "GET", "turns"),
        ("/v1/turns/sess_1.0", "GET", "turns"),
    ],
)
async def test_each_address_needs_its_scope(key: str, path: str, method: str, scope: Scope) -> None:
    others = await sync_to_async(key_for)(*(other for other in SCOPES if other != scope))
    status, body = await ask(others, path, method)

    assert (status, body["error"]["code"]) == (403, "permission_denied")
    assert f"'{scope}'" in body["error"]["message"]
    assert (await ask("sk_wrong", path, method))[0] == 401


async def test_a_key_for_some_agents_sees_only_theirs(key: str) -> None:
    limited = await sync_to_async(key_for)(*SCOPES, agents=("terse",))
    for number, agent in enumerate(("guide", "terse")):
        await sync_to_async(session)(number, agent=agent)
        await sync_to_async(turn)(f"sess_{number}", 0, agent=agent)
    waiting = await answer(key, "/v1/sessions", "POST", agent="guide")

    assert [shown["id"] for shown in (await answer(limited, "/v1/sessions"))["data"]] == ["sess_1"]
    assert [shown["id"] for shown in (await answer(limited, "/v1/turns"))["data"]] == ["sess_1.0"]
    assert [shown["id"] for shown in (await answer(limited, "/v1/agents"))["data"]] == ["terse"]
    assert (await answer(limited, "/v1/sessions", agent="guide"))["data"] == []
    for path in ("sessions/sess_1", "turns/sess_1.0", "agents/terse/versions/1"):
        assert (await ask(limited, f"/v1/{path}"))[0] == 200
    for path in (
        "sessions/sess_0",
        "sessions/sess_0/items",
        f"sessions/{waiting['id']}",
        "turns/sess_0.0",
        "agents/guide",
        "agents/guide/versions",
        "agents/guide/versions/1",
    ):
        status, body = await ask(limited, f"/v1/{path}")
        assert (status, body["error"]["code"]) == (404, "not_found"), path
    assert (await ask(limited, "/v1/sessions/sess_0/end", "POST"))[0] == 404
    assert (await ask(limited, "/v1/sessions", "POST", agent="guide"))[0] == 404
    for path in ("sessions", "turns"):
        assert (await ask(limited, f"/v1/{path}", after="sess_0" if path == "sessions" else "sess_0.0"))[0] == 404


# --- pages ---


async def test_sessions_come_in_pages_the_newest_first(key: str) -> None:
    for number in range(7):
        await sync_to_async(session)(number, ended=number != 5)
    pages: list[Any] = [await answer(key, "/v1/sessions", limit=3)]
    while pages[-1]["has_more"]:
        pages.append(await answer(key, "/v1/sessions", limit=3, after=pages[-1]["last_id"]))

    assert [[shown["id"] for shown in page["data"]] for page in pages] == [
        ["sess_6", "sess_5", "sess_4"],
        ["sess_3", "sess_2", "sess_1"],
        ["sess_0"],
    ]
    assert (pages[0]["object"], pages[0]["first_id"], pages[0]["last_id"]) == ("list", "sess_6", "sess_4")
    assert [shown["id"] for shown in (await answer(key, "/v1/sessions", state="live"))["data"]] == ["sess_5"]
    assert len((await answer(key, "/v1/sessions", state="ended"))["data"]) == 6
    status, body = await ask(key, "/v1/sessions", after="sess_nobody")
    assert (status, body["error"]["param"]) == (404, "after")
    empty = await answer(key, "/v1/sessions", agent="terse")
    assert (empty["data"], empty["first_id"], empty["last_id"], empty["has_more"]) == ([], None, None, False)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": ["1", "2"]}, "limit"),
        ({"after": "\x00"}, "after"),
        ({"state": "asleep"}, "state"),
        ({"state": "null"}, "state"),
        ({"agent": "../etc"}, "agent"),
        ({"order": "asc"}, "order"),
    ],
)
async def test_what_is_wrong_with_a_query_is_named(key: str, query: dict[str, Any], param: str) -> None:
    status, body = await ask(key, "/v1/sessions", **query)

    assert (status, body["error"]["param"]) == (400, param)
    assert body["error"]["type"] == "invalid_request_error"


async def test_turns_come_in_pages_by_session_agent_and_time(key: str) -> None:
    for index in range(4):
        await sync_to_async(turn)("sess_a", index, voice_to_voice=800_000 + index, provenance="estimated")
    await sync_to_async(turn)("sess_b", 0, agent="terse", started_at=BEGAN)
    first = await answer(key, "/v1/turns", limit=2)
    rest = await answer(key, "/v1/turns", limit=3, after=first["last_id"])
    began = int(BEGAN.timestamp())

    assert [shown["id"] for shown in first["data"] + rest["data"]] == [
        "sess_a.3", "sess_a.2", "sess_a.1", "sess_b.0", "sess_a.0",
    ]  # fmt: skip
    assert first["data"][0]["latencies_ms"] == {"voice_to_voice": 800.003}
    assert first["data"][0]["measured"] == "estimated"
    assert "trace" not in first["data"][0]
    assert len((await answer(key, "/v1/turns", session="sess_a"))["data"]) == 4
    assert len((await answer(key, "/v1/turns", agent="terse"))["data"]) == 1
    between = await answer(key, "/v1/turns", since=began + 1, until=began + 3)
    assert [shown["index"] for shown in between["data"]] == [2, 1]


async def test_a_turn_has_its_trace_for_as_long_as_it_is_kept(key: str) -> None:
    trace = {"marks": {"turn_open": 0}}
    await sync_to_async(turn)("sess_a", 0, trace=trace)
    await sync_to_async(turn)("sess_a", 1)

    assert (await answer(key, "/v1/turns/sess_a.0"))["trace"] == trace
    assert (await answer(key, "/v1/turns/sess_a.1"))["trace"] is None
    assert (await ask(key, "/v1/turns/sess_a.2"))[0] == 404


# --- agents ---


async def test_agents_with_their_versions(key: str) -> None:
    await sync_to_async(agent_services.create_agent)(slug="new")
    agents = await answer(key, "/v1/agents", limit=2)
    rest = await answer(key, "/v1/agents", after=agents["last_id"])

    assert [shown["id"] for shown in agents["data"] + rest["data"]] == ["guide", "new", "terse"]
    assert (agents["data"][0]["published_version"], agents["data"][1]["published_version"]) == (1, None)
    assert await answer(key, "/v1/agents/guide") == agents["data"][0]


async def test_versions_of_an_agent(key: str) -> None:
    agent = await sync_to_async(agent_services.create_agent)(slug="old")
    for number in range(1, 4):
        await sync_to_async(agent_services.publish_spec)(
            agent=agent, spec=AgentSpec(slug="old", instructions=f"Version {number}.")
        )
    first = await answer(key, "/v1/agents/old/versions", limit=2)
    rest = await answer(key, "/v1/agents/old/versions", after=first["last_id"])

    assert [shown["version"] for shown in first["data"] + rest["data"]] == [3, 2, 1]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert (await answer(key, "/v1/agents/old/versions/2"))["spec"]["instructions"] == "Version 2."
    assert (await ask(key, "/v1/agents/old/versions/9"))[0] == 404
    assert (await ask(key, "/v1/agents/old/versions", after="nine"))[0] == 404


# --- sessions and their items ---


async def test_a_session_that_has_ended(key: str) -> None:
    await sync_to_async(session)(1, turn_count=2)
    for index, heard in enumerate((700_000, 900_000)):
        await sync_to_async(turn)("sess_1", index, voice_to_voice=heard, provenance="estimated")
    shown = await answer(key, "/v1/sessions/sess_1")

    assert (shown["state"], shown["end_reason"], shown["turns"], shown["live"]) == ("ended", "closed", 2, None)
    assert shown["ended_at"] - shown["started_at"] == 30
    assert shown["latencies"] == [
        {
            "latency": "voice_to_voice", "measured": "estimated", "turns": 2,
            "p50_ms": 700.0, "p95_ms": 900.0, "p99_ms": 900.0, "jitter_ms": 200.0,
        }
    ]  # fmt: skip
    assert (await answer(key, "/v1/sessions/sess_1/end", "POST"))["end_reason"] == "closed"
    status, body = await ask(key, "/v1/sessions/sess_1/items", "POST", item=ITEM)
    assert (status, body["error"]["code"]) == (409, "session_ended")
    assert (await ask(key, "/v1/sessions/sess_2"))[0] == 404


async def test_words_are_there_only_if_they_are_kept(key: str) -> None:
    await sync_to_async(session)(1)
    for index, (role, text) in enumerate((("user", "What time is it?"), ("assistant", "It is noon."), ("user", None))):
        item = await ConversationItem.objects.acreate(
            session_id="sess_1", index=index, item_id=f"item_{index}", turn_index=index // 2, kind="message",
            role=role, at=BEGAN, interrupted=role == "assistant",
        )  # fmt: skip
        if text:
            await ItemText.objects.acreate(item=item, text=text, heard_chars=5, expires_at=BEGAN)
    first = await answer(key, "/v1/sessions/sess_1/items", limit=2)
    rest = await answer(key, "/v1/sessions/sess_1/items", after=first["last_id"])

    assert (first["source"], first["has_more"], rest["has_more"]) == ("records", True, False)
    items = first["data"] + rest["data"]
    assert [(item["role"], item["text"], item["heard_text"]) for item in items] == [
        ("user", "What time is it?", None),
        ("assistant", "It is noon.", "It is"),
        ("user", None, None),
    ]
    assert [item["status"] for item in items] == ["completed", "incomplete", "completed"]
    assert [item["turn"] for item in items] == [0, 0, 1]


ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}


async def test_a_session_of_another_process_says_so(key: str) -> None:
    await sync_to_async(session)(1, ended=False)

    assert (await answer(key, "/v1/sessions/sess_1"))["state"] == "live"
    for status, body in (
        await ask(key, "/v1/sessions/sess_1/items", "POST", item=ITEM),
        await ask(key, "/v1/sessions/sess_1/end", "POST"),
    ):
        assert (status, body["error"]["code"]) == (409, "session_elsewhere")


async def test_a_session_waits_for_its_client_and_can_be_called_off(key: str) -> None:
    start = {"type": "realtime", "audio": {"output": {"voice": "ash"}}}
    made = await answer(key, "/v1/sessions", "POST", agent="terse", session=start, overrides=["voice"], expires_in_s=60)
    secret = await ClientSecret.objects.aget()
    path = f"/v1/sessions/{made['id']}"

    assert (made["state"], made["agent"], made["url"]) == (
        "waiting", "terse", "ws://testserver/v1/realtime?model=terse",
    )  # fmt: skip
    assert secret.digest == keys.digest_of(made["client_secret"]["value"])
    assert (secret.agent, secret.session, secret.overrides) == ("terse", start, ["voice"])
    assert 58 < secret.expires_at.timestamp() - datetime.now(UTC).timestamp() < 61
    assert (await answer(key, path))["state"] == "waiting"
    assert (await answer(key, f"{path}/items"))["data"] == []
    status, body = await ask(key, f"{path}/items", "POST", item=ITEM)
    assert (status, body["error"]["code"]) == (409, "session_waiting")
    assert (await answer(key, "/v1/sessions"))["data"] == []

    assert (await answer(key, f"{path}/end", "POST"))["state"] == "ended"
    assert (await ask(key, path))[0] == 404
    assert not await ClientSecret.objects.aexists()


async def test_a_session_that_is_just_being_opened_waits_still(key: str) -> None:
    made = await answer(key, "/v1/sessions", "POST")
    await ClientSecret.objects.aupdate(claimed_at=datetime.now(UTC))
    path = f"/v1/sessions/{made['id']}"

    assert (await answer(key, path))["state"] == "waiting"
    status, body = await ask(key, f"{path}/end", "POST")
    assert (status, body["error"]["code"]) == (409, "session_begun")
    assert await ClientSecret.objects.aexists()


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"agent": "nobody"}, 404, "model"),
        ({"expires_in_s": 5}, 400, "expires_in_s"),
        ({"overrides": ["everything"]}, 400, "overrides[0]"),
        ({"session": {"audio": {"output": {"speed": 9}}}}, 400, "session.audio.output.speed"),
        ({"sesion": {}}, 400, "sesion"),
    ],
)
async def test_what_is_wrong_with_a_new_session_is_named(
    key: str, body: dict[str, Any], status: int, param: str
) -> None:
    answered, error = await ask(key, "/v1/sessions", "POST", **body)

    assert (answered, error["error"]["param"]) == (status, param)
    assert not await ClientSecret.objects.aexists()
