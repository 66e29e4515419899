"""Keys and client secrets, on a real database."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from importlib import import_module
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.test import RequestFactory, override_settings
from django.utils import timezone

from agents import services as agent_services
from agents.errors import Overloaded
from agents.spec import AgentSpec, Overrides
from sessions import auth, keys
from sessions.auth import Authenticator, FailureLimit, Principal, RecentPrincipals
from sessions.errors import Conflict, InvalidKey, MissingScope, TooManyFailures, TooManyRequests
from sessions.limits import KeyLimiter, Limits
from sessions.models import ApiKey, ClientSecret
from sessions.scopes import SCOPES

pytestmark = pytest.mark.django_db(transaction=True)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authenticator(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    fresh = Authenticator(FailureLimit(most=3, clock=clock), RecentPrincipals(clock=clock))
    monkeypatch.setattr(auth, "authenticator", fresh)
    monkeypatch.setattr(auth, "limiter", KeyLimiter(clock=clock))
    return fresh


def key(**fields: Any) -> tuple[ApiKey, str]:
    return keys.create_key(name="test", **fields)


async def test_a_key_names_its_principal(authenticator: Authenticator) -> None:
    record, value = await _sync(key, agents=["guide"])

    assert await authenticator.principal(value, "a") == Principal(
        kind="server",
        id=f"key-{record.pk}",
        account=f"key-{record.pk}",
        limits=Limits(600, 100),
        scopes=frozenset({"realtime", "text"}),
        agents=frozenset({"guide"}),
        key_id=record.pk,
    )


def test_only_a_digest_of_a_key_is_stored() -> None:
    record, value = key()
    stored = ApiKey.objects.values().get(pk=record.pk)

    assert value.startswith("sk_")
    assert len(value) == 46
    assert value not in str(stored)
    assert stored["prefix"] == value[:11]
    assert stored["digest"] == keys.digest_of(value)


@pytest.mark.parametrize("value", [None, "", "sk_wrong", "ek_wrong", "\udcff\ud800"[:1]])
async def test_a_wrong_key_is_refused(authenticator: Authenticator, value: str | None) -> None:
    with pytest.raises(InvalidKey):
        await authenticator.principal(value, "a")


async def test_a_revoked_key_ends_with_its_secrets(authenticator: Authenticator, clock: Clock) -> None:
    record, value = await _sync(key)
    secret = await _sync(keys.issue_secret, agent="guide", key_id=record.pk)
    for held in (value, secret.value):
        await authenticator.principal(held, "a")
    await _sync(keys.revoke_key, record)

    clock.now += 5
    for held in (value, secret.value):
        with pytest.raises(InvalidKey):
            await authenticator.principal(held, "a")


async def test_a_key_is_looked_up_once_in_five_seconds(authenticator: Authenticator, clock: Clock) -> None:
    record, value = await _sync(key)
    first = await authenticator.principal(value, "a")
    await _sync(record.delete)

    clock.now += 4.9
    assert await authenticator.principal(value, "a") is first
    clock.now += 0.1
    with pytest.raises(InvalidKey):
        await authenticator.principal(value, "a")


async def test_a_use_is_noted_once_a_minute(authenticator: Authenticator, clock: Clock) -> None:
    record, value = await _sync(key)
    noted = []
    for age in (None, timedelta(seconds=50), timedelta(seconds=61)):
        if age is not None:
            before = timezone.now() - age
            await ApiKey.objects.filter(pk=record.pk).aupdate(last_used_at=before)
        clock.now += 5
        await authenticator.principal(value, "a")
        await record.arefresh_from_db()
        assert record.last_used_at is not None
        noted.append(timezone.now() - record.last_used_at < timedelta(seconds=5))

    assert noted == [True, False, True]


# --- scopes ---


async def test_a_key_has_the_scopes_it_was_made_with(authenticator: Authenticator) -> None:
    _, value = await _sync(key, scopes=["turns", "sessions", "turns"])
    principal = await authenticator.principal(value, "a")

    assert principal.scopes == {"sessions", "turns"}
    principal.require("turns")
    with pytest.raises(MissingScope, match=r"lacks the scope 'realtime'.*--scope realtime"):
        principal.require("realtime")


async def test_scopes_that_no_longer_exist_mean_nothing(authenticator: Authenticator) -> None:
    record, value = await _sync(key)
    await ApiKey.objects.filter(pk=record.pk).aupdate(scopes=["text", "everything"])

    assert (await authenticator.principal(value, "a")).scopes == {"text"}


async def test_a_secret_is_for_realtime_only_whatever_its_maker_may_do(authenticator: Authenticator) -> None:
    record, _ = await _sync(key, scopes=SCOPES)
    secret = await _sync(keys.issue_secret, agent="guide", key_id=record.pk)
    principal = await authenticator.principal(secret.value, "a")

    assert principal.scopes == {"realtime"}
    with pytest.raises(MissingScope, match="A client secret opens Realtime sessions only"):
        principal.require("text")


async def test_each_surface_asks_for_its_scope(authenticator: Authenticator) -> None:
    _, value = await _sync(key, scopes=["text"])
    carried = {"authorization": f"Bearer {value}"}
    request = RequestFactory().get("/", headers=carried)

    assert (await auth.authenticate_http(request, scope="text")).kind == "server"
    with pytest.raises(MissingScope):
        await auth.authenticate_http(request, scope="turns")
    with pytest.raises(MissingScope):
        await auth.authenticate_websocket(scope((b"authorization", carried["authorization"].encode())))


# --- limits ---


@pytest.mark.parametrize(
    ("fields", "limits"),
    [
        ({}, Limits(7, 3)),
        ({"requests_per_minute": 20}, Limits(20, 3)),
        ({"sessions_at_once": 0}, Limits(7, 0)),
    ],
)
@override_settings(REPARTEE_KEY_REQUESTS_PER_MINUTE=7, REPARTEE_KEY_SESSIONS=3)
async def test_a_keys_limits_are_its_own_or_those_of_the_settings(
    authenticator: Authenticator, fields: dict[str, int], limits: Limits
) -> None:
    _, value = await _sync(key, **fields)

    assert (await authenticator.principal(value, "a")).limits == limits


async def test_a_secret_counts_against_the_key_that_made_it(authenticator: Authenticator) -> None:
    record, value = await _sync(key, requests_per_minute=2)
    first, second = [(await _sync(keys.issue_secret, agent="guide", key_id=record.pk)).value for _ in range(2)]
    for held in (value, first):
        await auth.authenticate_websocket(scope((b"authorization", f"Bearer {held}".encode())))

    with pytest.raises(TooManyRequests, match="2 requests a minute"):
        await auth.authenticate_websocket(scope((b"authorization", f"Bearer {second}".encode())))


async def test_secrets_of_the_talk_page_count_against_who_opened_it(authenticator: Authenticator) -> None:
    user = await User.objects.acreate(username="ann")
    secrets = [
        await _sync(keys.issue_secret, agent="guide", user_id=user_id) for user_id in (user.pk, user.pk, None, None)
    ]
    accounts = [(await authenticator.principal(secret.value, "a")).account for secret in secrets]

    assert accounts == [f"user-{user.pk}"] * 2 + ["user-nobody"] * 2


# --- client secrets ---


async def test_a_secret_carries_what_its_maker_decided(authenticator: Authenticator) -> None:
    start = {"type": "realtime", "instructions": "Be kind."}
    secret = await _sync(keys.issue_secret, agent="guide", version=3, session=start, overrides=["voice"], lives_s=60)
    principal = await authenticator.principal(secret.value, "a")

    assert secret.value.startswith("ek_")
    assert (principal.kind, principal.version) == ("ephemeral", 3)
    assert principal.agents == {"guide"}
    assert principal.session == start
    assert principal.extra_overrides == {"voice"}


@pytest.mark.parametrize(
    "change",
    [{"scopes": ["text"]}, {"agents": ["terse"]}, {"revoked_at": timezone.now()}, {"name": keys.DEVELOPMENT_KEY}],
)
@override_settings(DEVELOPMENT=False)
async def test_a_secret_is_good_while_its_key_could_make_it(
    authenticator: Authenticator, clock: Clock, change: dict[str, Any]
) -> None:
    record, _ = await _sync(key, agents=["guide"])
    secret = await _sync(keys.issue_secret, agent="guide", key_id=record.pk)
    await authenticator.principal(secret.value, "a")
    await ApiKey.objects.filter(pk=record.pk).aupdate(**change)

    clock.now += 5
    with pytest.raises(InvalidKey):
        await authenticator.principal(secret.value, "a")


async def test_a_secret_of_the_talk_page_is_good_while_its_user_may_sign_in(authenticator: Authenticator) -> None:
    user = await User.objects.acreate(username="ann", is_active=False)
    secret = await _sync(keys.issue_secret, agent="guide", user_id=user.pk)

    with pytest.raises(InvalidKey):
        await authenticator.principal(secret.value, "a")


async def test_a_secret_ends_in_time_however_recently_it_was_used(authenticator: Authenticator, clock: Clock) -> None:
    secret = await _sync(keys.issue_secret, agent="guide", lives_s=2)
    await authenticator.principal(secret.value, "a")
    await ClientSecret.objects.aupdate(expires_at=timezone.now())

    clock.now += 2
    with pytest.raises(InvalidKey):
        await authenticator.principal(secret.value, "a")


async def test_a_secret_for_one_session_opens_it_once(authenticator: Authenticator) -> None:
    secret = await _sync(keys.issue_secret, agent="guide", opens_session="sess_1")
    principal = await authenticator.principal(secret.value, "a")

    with pytest.raises(Overloaded):
        async with auth.claimed_session(principal):
            raise Overloaded("The server is full, so the session does not begin.")
    async with auth.claimed_session(principal) as session_id:
        assert session_id == "sess_1"
        with pytest.raises(Conflict, match="has begun before"):
            async with auth.claimed_session(principal):
                pytest.fail("the same session again")
    with pytest.raises(Conflict):
        async with auth.claimed_session(principal):
            pytest.fail("the same session again")


async def test_other_secrets_open_any_number_of_sessions(authenticator: Authenticator) -> None:
    secret = await _sync(keys.issue_secret, agent="guide")
    principal = await authenticator.principal(secret.value, "a")
    for _ in range(2):
        async with auth.claimed_session(principal) as session_id:
            assert session_id is None


def test_expired_secrets_are_swept_when_one_is_made() -> None:
    keys.issue_secret(agent="guide", lives_s=-1)
    keys.issue_secret(agent="guide")

    assert ClientSecret.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "extra", "may"),
    [
        ("server", (), {"instructions", "voice"}),
        ("user", (), {"instructions", "voice"}),
        ("ephemeral", (), {"formats"}),
        ("ephemeral", ("voice",), {"formats", "voice"}),
        ("ephemeral", ("tools",), {"formats"}),
    ],
)
def test_who_may_change_what(kind: Any, extra: Any, may: set[str]) -> None:
    spec = AgentSpec(slug="guide", overrides=Overrides(server_keys=("instructions", "voice"), ephemeral=("formats",)))

    assert Principal(kind=kind, id="x", account="x", extra_overrides=frozenset(extra)).overrides(spec) == may


# --- guessing ---


async def test_guessing_is_slowed_down_by_address(authenticator: Authenticator, clock: Clock) -> None:
    for _ in range(3):
        with pytest.raises(InvalidKey):
            await authenticator.principal("sk_guess", "b")

    with pytest.raises(TooManyFailures) as caught:
        await authenticator.principal("sk_guess", "b")
    assert 0 < caught.value.retry_after_s <= 61
    with pytest.raises(InvalidKey):
        await authenticator.principal("sk_guess", "c")
    clock.now += 60
    with pytest.raises(InvalidKey):
        await authenticator.principal("sk_guess", "b")


@pytest.mark.parametrize("seen_s_ago", [None, 1, 5])
async def test_good_keys_are_not_locked_out_by_wrong_ones_of_their_address(
    authenticator: Authenticator, clock: Clock, seen_s_ago: float | None
) -> None:
    _, good = await _sync(key)
    if seen_s_ago is not None:
        await authenticator.principal(good, "elsewhere")
        clock.now += seen_s_ago
    for _ in range(10):
        with pytest.raises((InvalidKey, TooManyFailures)):
            await authenticator.principal("sk_guess", "b")

    assert (await authenticator.principal(good, "b")).kind == "server"


async def test_a_flood_of_wrong_keys_waits_for_one_look_up_at_a_time(clock: Clock) -> None:
    authenticator = Authenticator(FailureLimit(most=1, clock=clock), RecentPrincipals(clock=clock), waiting=2)
    (_, good), (_, known) = await _sync(key), await _sync(key)
    await authenticator.principal(known, "b")
    clock.now += 5
    with pytest.raises(InvalidKey):
        await authenticator.principal("sk_guess", "b")

    async with authenticator._in_turn:
        waiting = [asyncio.ensure_future(authenticator.principal(value, "b")) for value in (good, "sk_guess")]
        await asyncio.sleep(0)
        with pytest.raises(TooManyFailures) as refused:
            await authenticator.principal("sk_another", "b")
        assert refused.value.retry_after_s == 1
        assert (await authenticator.principal(known, "b")).kind == "server"
        with pytest.raises(InvalidKey):
            await authenticator.principal("sk_guess", "c")
    found, wrong = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(found, Principal)
    assert isinstance(wrong, TooManyFailures)
    assert await authenticator.principal(good, "b") is found


async def test_a_key_that_was_good_once_is_no_longer_told_from_others_when_it_is_not(
    authenticator: Authenticator, clock: Clock
) -> None:
    record, value = await _sync(key)
    await authenticator.principal(value, "b")
    await _sync(keys.revoke_key, record)
    clock.now += 5
    for _ in range(3):
        with pytest.raises(InvalidKey):
            await authenticator.principal(value, "b")

    with pytest.raises(TooManyFailures):
        await authenticator.principal(value, "b")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "a", False),
    ],
)
def test_a_network_of_ipv6_counts_as_one_address(clock: Clock, one: str, other: str, same: bool) -> None:
    limit = FailureLimit(most=1, clock=clock)
    limit.count(one)

    assert limit.left_s(one) == 60
    assert (limit.left_s(other) > 0) is same


def test_the_memory_of_guesses_and_of_keys_is_bounded(clock: Clock) -> None:
    limit, recent = FailureLimit(most=1, addresses=10, clock=clock), RecentPrincipals(entries=10, known=20, clock=clock)
    for n in range(100):
        limit.count(str(n))
        recent.put(str(n), Principal(kind="server", id="x", account="x"), None)

    assert (len(limit._windows), len(recent._held), len(recent._known)) == (10, 10, 20)


def test_what_a_key_carries_is_not_kept_longer_than_it_is_used(clock: Clock) -> None:
    recent = RecentPrincipals(clock=clock)
    for n in range(3):
        recent.put(str(n), Principal(kind="server", id="x", account="x"), None)
        clock.now += 4

    assert list(recent._held) == ["1", "2"]
    assert all(recent.knows(str(n)) for n in range(3))


async def test_no_key_is_ever_logged(authenticator: Authenticator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(InvalidKey):
        await authenticator.principal("sk_very_secret", "a")

    assert caplog.records
    assert "very_secret" not in "".join(str(record.__dict__) for record in caplog.records)


# --- where a request carries its key ---


def scope(*headers: tuple[bytes, bytes], subprotocols: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"type": "websocket", "headers": headers, "subprotocols": subprotocols, "client": ("a", 1)}


@override_settings(REPARTEE_DEV_API_KEY="fixed")
@pytest.mark.parametrize(
    "carried",
    [
        scope((b"authorization", b"Bearer fixed")),
        scope((b"Authorization", b"bearer  fixed ")),
        scope(subprotocols=("realtime", "openai-insecure-api-key.fixed", "openai-agents-sdk.js.1")),
        scope((b"authorization", b"Bearer fixed"), subprotocols=("realtime", "openai-insecure-api-key.wrong")),
    ],
)
async def test_a_websocket_carries_its_key_in_two_ways(authenticator: Authenticator, carried: dict[str, Any]) -> None:
    assert (await auth.authenticate_websocket(carried)).kind == "server"


@override_settings(REPARTEE_DEV_API_KEY="fixed")
@pytest.mark.parametrize(
    "carried",
    [
        scope(),
        scope((b"authorization", b"Basic fixed")),
        scope((b"authorization", b"Bearer wrong"), subprotocols=("realtime", "openai-insecure-api-key.fixed")),
    ],
)
async def test_without_a_good_key_nobody_enters(authenticator: Authenticator, carried: dict[str, Any]) -> None:
    with pytest.raises(InvalidKey):
        await auth.authenticate_websocket(carried)


# --- the developer's key ---


async def test_the_fixed_key_is_honoured_in_development_only(authenticator: Authenticator, clock: Clock) -> None:
    with override_settings(REPARTEE_DEV_API_KEY="fixed"):
        assert (await authenticator.principal("fixed", "a")).id == "development"
        clock.now += 5
        with override_settings(DEVELOPMENT=False), pytest.raises(InvalidKey):
            await authenticator.principal("fixed", "a")


async def test_a_development_key_is_made_once_and_for_development(authenticator: Authenticator, clock: Clock) -> None:
    made = await _sync(keys.ensure_dev_key)
    assert made is not None
    assert await _sync(keys.ensure_dev_key) is None
    principal = await authenticator.principal(made, "a")
    assert (principal.scopes, principal.limits) == (frozenset(SCOPES), Limits(0, 0))

    clock.now += 5
    with override_settings(DEVELOPMENT=False):
        with pytest.raises(InvalidKey):
            await authenticator.principal(made, "a")
        with pytest.raises(ImproperlyConfigured):
            keys.ensure_dev_key()


def test_the_development_key_of_an_older_version_may_do_everything() -> None:
    (old, _), (other, _) = keys.create_key(name=keys.DEVELOPMENT_KEY), key()
    import_module("sessions.migrations.0002_apikey_scopes").widen_development_key(apps, None)
    import_module("sessions.migrations.0003_apikey_limits").unlimit_development_key(apps, None)
    for record in (old, other):
        record.refresh_from_db()

    assert (old.scopes, other.scopes) == (list(SCOPES), ["realtime", "text"])
    assert [(record.requests_per_minute, record.sessions_at_once) for record in (old, other)] == [(0, 0), (None, None)]


def test_with_a_fixed_key_none_is_made() -> None:
    with override_settings(REPARTEE_DEV_API_KEY="fixed"):
        assert keys.ensure_dev_key() is None
    assert not ApiKey.objects.exists()


# --- manage.py apikey ---


def apikey(*arguments: str) -> str:
    out = StringIO()
    call_command("apikey", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def test_the_command_makes_lists_and_revokes() -> None:
    agent_services.publish_spec(agent=agent_services.create_agent(slug="guide"), spec=AgentSpec(slug="guide"))
    value = apikey("create", "web shop", "--agent", "guide")
    record = ApiKey.objects.get(digest=keys.digest_of(value))

    assert (record.name, record.agents) == ("web shop", ["guide"])
    assert apikey("list") == f"{value[:11]}…  web shop  agents: guide  for: realtime, text  last used never"
    assert "revoked" in apikey("revoke", value[:11])
    assert "revoked" in apikey("list")


def test_the_command_gives_the_scopes_and_limits_asked_for() -> None:
    scopes, limits = ("--scope", "turns", "--scope", "sessions"), ("--requests", "60", "--sessions", "0")
    value = apikey("create", "dashboard", *scopes, *limits)
    record = ApiKey.objects.get(digest=keys.digest_of(value))

    assert record.scopes == ["sessions", "turns"]
    assert (record.requests_per_minute, record.sessions_at_once) == (60, 0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "x", "--agent", "nobody"), "nobody"),
        (("create", keys.DEVELOPMENT_KEY), "development mode"),
        (("create", "x", "--scope", "everything"), "invalid choice"),
        (("create", "x", "--sessions", "many"), "not a number"),
        (("create", "x", "--requests", "-1"), "not a number"),
        (("revoke", "sk_nothing"), "No such key"),
        (("revoke", "sk_"), "More than one"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: tuple[str, ...], says: str) -> None:
    key()
    key()

    with pytest.raises(CommandError, match=says):
        apikey(*arguments)


async def _sync(call: Any, *args: Any, **kwargs: Any) -> Any:
    return await sync_to_async(call)(*args, **kwargs)
