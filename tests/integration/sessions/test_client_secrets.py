"""POST /v1/realtime/client_secrets, over Django's asynchronous test client."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from openai.types.realtime import ClientSecretCreateResponse

from agents import services as agent_services
from agents.models import Agent
from agents.spec import AgentSpec, Override, Overrides
from sessions import auth, keys, views
from sessions.auth import Authenticator, FailureLimit, RecentPrincipals
from sessions.models import ClientSecret

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/v1/realtime/client_secrets"
LARGE = {"type": "function", "name": "f", "parameters": {"type": "object", "description": "x" * 200_000}}


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "authenticator", Authenticator(FailureLimit(most=2), RecentPrincipals()))


@pytest.fixture
def key() -> str:
    for slug in ("guide", "terse"):
        agent = agent_services.create_agent(slug=slug)
        agent_services.publish_spec(agent=agent, spec=AgentSpec(slug=slug, instructions=f"You are {slug}."))
    return keys.create_key(name="test")[1]


async def post(key: str | None, body: Any = None, *, url: str = URL, **options: Any) -> Any:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    content = options.pop("raw", None) or ({} if body is None else body)
    return await AsyncClient().post(url, content, content_type="application/json", headers=headers, **options)


async def test_a_secret_is_made_for_the_default_agent(key: str) -> None:
    answer = await post(key)
    made = ClientSecretCreateResponse.model_validate(answer.json())

    assert answer.status_code == 200
    assert answer.headers["x-request-id"].startswith("req_")
    assert made.value.startswith("ek_")
    assert (made.session.type, made.session.id[:5]) == ("realtime", "sess_")
    assert answer.json()["session"]["model"] == "guide"
    secret = await ClientSecret.objects.select_related("created_by_key").aget()
    assert secret.digest == keys.digest_of(made.value)
    assert 598 < (secret.expires_at - secret.created_at).total_seconds() < 602
    assert secret.created_by_key is not None


async def test_an_empty_body_will_do(key: str) -> None:
    answer = await AsyncClient().post(URL, b"", "application/json", headers={"authorization": f"Bearer {key}"})

    assert answer.status_code == 200


async def test_its_session_is_kept_and_shown(key: str) -> None:
    session = {
        "type": "realtime",
        "model": "terse",
        "instructions": "Be kind.",
        "audio": {"input": {"turn_detection": None}, "output": {"voice": "ash"}},
    }
    answer = await post(
        key,
        {
            "expires_after": {"anchor": "created_at", "seconds": 60},
            "session": session,
            "repartee": {"overrides": ["instructions"]},
        },
    )
    shown = answer.json()["session"]
    secret = await ClientSecret.objects.aget()

    assert shown["model"] == "terse"
    assert (shown["instructions"], shown["audio"]["output"]["voice"]) == ("Be kind.", "ash")
    assert shown["audio"]["input"]["turn_detection"] is None
    assert (secret.agent, secret.session, secret.overrides) == ("terse", session, ["instructions"])
    assert (secret.expires_at - secret.created_at).total_seconds() == pytest.approx(60, abs=1)


@pytest.mark.parametrize(
    ("ephemeral", "extra", "seen"),
    [((), [], ""), (("instructions",), [], "You are guide."), ((), ["instructions"], "You are guide.")],
)
async def test_the_instructions_are_shown_where_the_holder_may_see_them(
    key: str, ephemeral: tuple[Override, ...], extra: list[Override], seen: str
) -> None:
    spec = AgentSpec(slug="guide", instructions="You are guide.", overrides=Overrides(ephemeral=ephemeral))
    agent = await Agent.objects.aget(slug="guide")
    await sync_to_async(agent_services.publish_spec)(agent=agent, spec=spec)
    answer = await post(key, {"repartee": {"overrides": extra}})

    assert answer.json()["session"]["instructions"] == seen


async def test_a_secret_for_transcription(key: str) -> None:
    answer = await post(key, {"session": {"type": "transcription"}})

    assert ClientSecretCreateResponse.model_validate(answer.json()).session.type == "transcription"


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"expires_after": {"seconds": 5}}, 400, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"seconds": 7_201}}, 400, "invalid_value", "expires_after.seconds"),
        ({"session": {"model": "nobody"}}, 404, "model_not_found", "model"),
        ({"session": {"audio": {"output": {"speed": 9}}}}, 400, "invalid_value", "session.audio.output.speed"),
        ({"session": {"output_modalities": ["text", "audio"]}}, 400, "invalid_value", "session.output_modalities"),
        ({"session": {"tracing": {"metadata": {"a": "x" * 1_000_000}}}}, 400, "invalid_value", "session"),
        ({"session": {"instructions": "a\x00b"}}, 400, "invalid_value", "session"),
        ({"session": {"tracing": {"metadata": {"a": [{"\x00": 1}]}}}}, 400, "invalid_value", "session"),
        ({"session": {"tools": [LARGE]}}, 400, "invalid_value", "session.tools"),
        ({"session": {"tools": [{**LARGE, "parameters": []}]}}, 400, "invalid_type", "session.tools[0].parameters"),
        ({"session": {"prompt": {"id": "guide", "variables": {"a": "x" * 900_000}}}}, 400, "invalid_value", "session"),
        ({"repartee": {"version": 99}}, 404, "model_not_found", "model"),
        ({"repartee": {"overrides": ["everything"]}}, 400, "invalid_value", "repartee.overrides[0]"),
        ([], 400, "invalid_type", None),
        ("{", 400, "invalid_json", None),
    ],
)
async def test_what_is_wrong_is_named(key: str, body: Any, status: int, code: str, param: str | None) -> None:
    answer = await post(key, **({"raw": body} if isinstance(body, str) else {"body": body}))
    error = answer.json()["error"]

    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert (error["type"], type(error["message"])) == ("invalid_request_error", str)
    assert not await ClientSecret.objects.aexists()


@pytest.mark.parametrize("levels", [100, 500, 900, 5_000])
async def test_a_session_nested_too_deeply_is_not_valid(key: str, levels: int) -> None:
    deep = '{"a":' * levels + "1" + "}" * levels
    for session in (
        '{"tracing": {"metadata": %s}}',
        '{"tools": [{"type": "function", "name": "f", "parameters": %s}]}',
    ):
        assert (await post(key, raw=b'{"session": %s}' % (session % deep).encode())).status_code == 400


async def test_the_models_that_there_are_are_listed(key: str) -> None:
    answer = await post(key, {"session": {"model": "nobody"}})

    assert "guide, terse" in answer.json()["error"]["message"]


async def test_a_key_for_some_agents_makes_secrets_for_these(key: str) -> None:
    _, limited = await sync_to_async(keys.create_key)(name="limited", agents=["terse"])
    own, other, openais = [
        await post(limited, {"session": session}) for session in ({}, {"model": "guide"}, {"model": "gpt-realtime"})
    ]

    assert (own.status_code, own.json()["session"]["model"]) == (200, "terse")
    assert (other.status_code, other.json()["error"]["code"]) == (404, "model_not_found")
    assert "guide" not in other.json()["error"]["message"].split("Use one of:")[1]
    assert openais.json()["session"]["model"] == "gpt-realtime"
    assert {secret.agent async for secret in ClientSecret.objects.all()} == {"terse"}


async def test_only_a_real_key_makes_secrets(key: str) -> None:
    made = await post(key)
    again = await post(made.json()["value"])
    prepared = await post(made.json()["value"], url="/v1/sessions")
    without = await post(None)

    assert (again.status_code, again.json()["error"]["code"]) == (403, "permission_denied")
    assert (prepared.status_code, prepared.json()["error"]["code"]) == (403, "permission_denied")
    assert (without.status_code, without.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_guessing_keys_is_answered_with_429(key: str) -> None:
    answers = [await post("sk_guess") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 61


async def test_what_a_key_has_left_is_told_and_then_it_must_wait(key: str) -> None:
    _, scarce = await sync_to_async(keys.create_key)(name="scarce", requests_per_minute=2)
    answers = [await post(scarce, {"session": {"model": model}}) for model in ("guide", "nobody", "guide")]

    assert [answer.status_code for answer in answers] == [200, 404, 429]
    assert [answer.headers["x-ratelimit-limit-requests"] for answer in answers] == ["2"] * 3
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["1", "0", "0"]
    assert 29_000 < int(answers[0].headers["x-ratelimit-reset-requests"].removesuffix("ms")) <= 30_000
    assert 25 < int(answers[-1].headers["retry-after"]) <= 30
    assert answers[-1].json()["error"]["code"] == "rate_limit_exceeded"
    assert "2 requests a minute" in answers[-1].json()["error"]["message"]


async def test_other_methods_and_addresses_are_answered_in_json() -> None:
    wrong_method, nowhere = await AsyncClient().get(URL), await AsyncClient().get("/v1/realtime")

    assert (wrong_method.status_code, wrong_method.headers["allow"]) == (405, "POST")
    assert wrong_method.json()["error"]["code"] == "method_not_allowed"
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "not_found")


async def test_a_bug_is_json_too_and_tells_nothing(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret of the server's")

    monkeypatch.setattr(views, "issue_secret", broken)
    client = AsyncClient(raise_request_exception=False)
    answer = await client.post(URL, {}, content_type="application/json", headers={"authorization": f"Bearer {key}"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "secret of" not in answer.content.decode()
