"""Who is calling, by a server key (`sk_…`) or a client secret (`ek_…`), and what they may do."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, IPv6Network
from typing import Any, Literal, cast

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest
from django.utils import timezone

from agents.spec import AgentSpec, Override
from sessions.errors import Conflict, InvalidKey, MissingScope, TooManyFailures
from sessions.keys import DEVELOPMENT_KEY, digest_of
from sessions.limits import NO_LIMITS, KeyLimiter, Limits
from sessions.models import ApiKey, ClientSecret
from sessions.scopes import SCOPES, Scope, in_order
from telemetry import counters, names

log = logging.getLogger(__name__)

COME_AGAIN_S = 1.0
"""When a key may be shown again that nobody had the time to look at."""
LAST_USED_EVERY = timedelta(minutes=1)
SUBPROTOCOL = "realtime"
SUBPROTOCOL_KEY = "openai-insecure-api-key."


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is calling. `agents` are the slugs it may use, empty for all of them; `scopes` what for.

    `limits` are counted by `account`, which a key shares with the client secrets it made.

    An ephemeral one carries what its secret's creator decided: the session to start with, the version of
    the agent (None: the published one), what it may change beyond what the agent lists, and perhaps which one
    session it is for.
    """

    kind: Literal["server", "ephemeral", "user"]
    id: str
    account: str
    limits: Limits = NO_LIMITS
    scopes: frozenset[Scope] = frozenset({"realtime"})
    agents: frozenset[str] = frozenset()
    key_id: int | None = None
    session: Mapping[str, Any] | None = None
    version: int | None = None
    extra_overrides: frozenset[Override] = frozenset()
    opens_session: str | None = None

    def may_use(self, slug: str) -> bool:
        return not self.agents or slug in self.agents

    def require(self, scope: Scope) -> None:
        """`MissingScope` unless the caller has it."""
        if scope not in self.scopes:
            raise MissingScope(scope, secret=self.kind == "ephemeral")

    def overrides(self, spec: AgentSpec) -> frozenset[Override]:
        """What this caller may change of the agent's session."""
        granted = frozenset(spec.overrides.server_keys)
        if self.kind != "ephemeral":
            return granted
        return frozenset(spec.overrides.ephemeral) | (self.extra_overrides & granted)


# --- checking ------------------------------------------------------------------------------------


class FailureLimit:
    """Counts wrong keys by address, in windows of a fixed length; the oldest address is forgotten first.

    A network of IPv6 counts as one address: a single host has all of its own /64 to call from.
    """

    def __init__(
        self, *, most: int, window_s: float = 60.0, addresses: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.most, self.window_s, self.addresses, self.clock = most, window_s, addresses, clock
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def left_s(self, address: str) -> float:
        """How much longer `address` counts as one that has tried too many wrong keys; 0.0 if it does not."""
        began, count = self._windows.get(_network_of(address), (0.0, 0))
        return max(began + self.window_s - self.clock(), 0.0) if count >= self.most else 0.0

    def count(self, address: str) -> None:
        now, network = self.clock(), _network_of(address)
        began, count = self._windows.pop(network, (now, 0))
        if now - began >= self.window_s:
            began, count = now, 0
        self._windows[network] = (began, count + 1)
        if len(self._windows) > self.addresses:
            self._windows.popitem(last=False)


def _network_of(address: str) -> str:
    try:
        ip = IPv6Address(address)
    except ValueError:  # IPv4, or the name of a socket
        return address
    return address if ip.ipv4_mapped else str(IPv6Network((ip, 64), strict=False))


class RecentPrincipals:
    """Keys seen in the last few seconds. A revoked key works for `ttl_s` longer, at most.

    Of keys seen before that, only that they were good is remembered: a principal may carry a whole session.
    """

    def __init__(
        self,
        *,
        ttl_s: float = 5.0,
        entries: int = 1_000,
        known: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ttl_s, self.entries, self.known, self.clock = ttl_s, entries, known, clock
        self._held: OrderedDict[str, tuple[float, Principal]] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()

    def get(self, digest: str) -> Principal | None:
        return self._held[digest][1] if digest in self._held and self._fresh(digest) else None

    def knows(self, digest: str) -> bool:
        """Whether the key was good when it was last looked up, however long ago."""
        return digest in self._known

    def forget(self, digest: str) -> None:
        self._known.pop(digest, None)

    def put(self, digest: str, principal: Principal, lives_s: float | None) -> None:
        ttl = self.ttl_s if lives_s is None else min(self.ttl_s, lives_s)
        self._held[digest] = (self.clock() + ttl, principal)
        self._held.move_to_end(digest)
        while self._held and (len(self._held) > self.entries or not self._fresh(next(iter(self._held)))):
            self._held.popitem(last=False)
        self._known[digest] = None
        self._known.move_to_end(digest)
        if len(self._known) > self.known:
            self._known.popitem(last=False)

    def _fresh(self, digest: str) -> bool:
        return self.clock() < self._held[digest][0]


class Authenticator:
    """Turns keys into principals, at one indexed query for a key not seen in the last seconds.

    Nobody guesses 256 random bits, so wrong keys are only a load: a good key is let in whatever else comes from its
    address. The keys of addresses that tried too many wrong ones are looked up one at a time, unless they have been
    good before, and past `waiting` of them no more are looked at.
    """

    def __init__(self, failures: FailureLimit, recent: RecentPrincipals, *, waiting: int = 1_000) -> None:
        self.failures = failures
        self.recent = recent
        self.waiting = waiting
        self._doubtful = 0
        self._in_turn = asyncio.Lock()

    async def principal(self, key: str | None, address: str) -> Principal:
        """Whose key it is. `InvalidKey` if nobody's, `TooManyFailures` if `address` has tried too many such."""
        if not key:
            raise InvalidKey
        digest = digest_of(key)
        if known := self.recent.get(digest):
            return known
        doubted_s = 0.0 if self.recent.knows(digest) else self.failures.left_s(address)
        found = await (self._look_up_in_turn(key, digest) if doubted_s else self._look_up(key, digest))
        if found is not None:
            return found
        if doubted_s:
            raise _too_many_failures(doubted_s)
        self.failures.count(address)
        log.warning("wrong API key", extra={"address": address})
        raise InvalidKey("Incorrect API key provided, or it has expired or been revoked.")

    async def _look_up_in_turn(self, key: str, digest: str) -> Principal | None:
        if self._doubtful >= self.waiting:
            raise _too_many_failures(COME_AGAIN_S)
        self._doubtful += 1
        try:
            async with self._in_turn:
                return self.recent.get(digest) or await self._look_up(key, digest)
        finally:
            self._doubtful -= 1

    async def _look_up(self, key: str, digest: str) -> Principal | None:
        found: tuple[Principal, float | None] | None = await database_sync_to_async(_find)(key, digest)
        if found is None:
            self.recent.forget(digest)
            return None
        principal, lives_s = found
        self.recent.put(digest, principal, lives_s)
        return principal


def _too_many_failures(retry_after_s: float) -> TooManyFailures:
    counters.count(names.KEYS_LIMITED, what="wrong_keys")
    return TooManyFailures(retry_after_s)


def _find(key: str, digest: str) -> tuple[Principal, float | None] | None:
    """The principal of a key, and how many more seconds it has."""
    if _is_fixed_development_key(digest):
        return Principal(kind="server", id="development", account="development", scopes=frozenset(SCOPES)), None
    return _find_secret(digest) if key.startswith("ek_") else _find_key(digest)


def _is_fixed_development_key(digest: str) -> bool:
    fixed: str = settings.REPARTEE_DEV_API_KEY if settings.DEVELOPMENT else ""
    return bool(fixed) and hmac.compare_digest(digest_of(fixed), digest)


def _find_key(digest: str) -> tuple[Principal, float | None] | None:
    key = ApiKey.objects.filter(digest=digest).first()
    if key is None or not hmac.compare_digest(key.digest, digest) or not _in_use(key):
        return None
    _note_use(key)
    principal = Principal(
        kind="server",
        id=f"key-{key.pk}",
        account=f"key-{key.pk}",
        limits=limits_of(key),
        scopes=frozenset(in_order(key.scopes)),
        agents=frozenset(key.agents),
        key_id=key.pk,
    )
    return principal, None


def _in_use(key: ApiKey) -> bool:
    return key.revoked_at is None and (settings.DEVELOPMENT or key.name != DEVELOPMENT_KEY)


def _find_secret(digest: str) -> tuple[Principal, float | None] | None:
    alive = ClientSecret.objects.filter(expires_at__gt=timezone.now())
    secret = alive.select_related("created_by_key", "created_by_user").filter(digest=digest).first()
    if secret is None or not hmac.compare_digest(secret.digest, digest) or not _could_be_made_now(secret):
        return None
    maker = secret.created_by_key
    principal = Principal(
        kind="ephemeral",
        id=f"secret-{secret.pk}",
        account=f"key-{maker.pk}" if maker else f"user-{secret.created_by_user_id or 'nobody'}",
        limits=limits_of(maker),
        agents=frozenset({secret.agent}),
        key_id=secret.created_by_key_id,
        session=secret.session,
        version=secret.version,
        extra_overrides=frozenset(cast("list[Override]", secret.overrides)),
        opens_session=secret.opens_session,
    )
    return principal, (secret.expires_at - timezone.now()).total_seconds()


def _could_be_made_now(secret: ClientSecret) -> bool:
    """Whether its maker could make it still. One of neither key nor user is of this machine's own operator."""
    key, user = secret.created_by_key, secret.created_by_user
    if key is not None:
        return _in_use(key) and "realtime" in key.scopes and (not key.agents or secret.agent in key.agents)
    return user is None or user.is_active


def limits_of(key: ApiKey | None) -> Limits:
    """What `key` may do; where it does not say, and for whoever has none, what settings say."""
    requests, sessions = (key.requests_per_minute, key.sessions_at_once) if key else (None, None)
    return Limits(
        settings.REPARTEE_KEY_REQUESTS_PER_MINUTE if requests is None else requests,
        settings.REPARTEE_KEY_SESSIONS if sessions is None else sessions,
    )


def _note_use(key: ApiKey) -> None:
    """A key's last use, to the minute. That it cannot be written now is no reason to refuse the key."""
    now = timezone.now()
    if key.last_used_at is not None and now - key.last_used_at < LAST_USED_EVERY:
        return
    try:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    except OperationalError:
        log.warning("could not note the use of an API key", extra={"key_id": key.pk})


# --- where a request carries its key -------------------------------------------------------------

authenticator = Authenticator(FailureLimit(most=settings.REPARTEE_KEY_FAILURES_PER_MINUTE), RecentPrincipals())
limiter = KeyLimiter()
QUOTA = "repartee.quota"
"""Where a request's META keeps what its key has left, for the answer's headers."""


async def authenticate_websocket(scope: Mapping[str, Any]) -> Principal:
    """The caller of a WebSocket: by its Authorization header, else by the subprotocol that browsers use."""
    headers: Collection[tuple[bytes, bytes]] = scope["headers"]
    given = next((value.decode("latin-1") for name, value in headers if name.lower() == b"authorization"), None)
    principal = await authenticator.principal(
        _bearer(given) if given else _subprotocol_key(scope.get("subprotocols") or ()), _address(scope.get("client"))
    )
    await limiter.request(principal.account, principal.limits)
    principal.require("realtime")
    return principal


async def authenticate_http(request: HttpRequest, *, scope: Scope) -> Principal:
    """The caller of an API view that needs `scope`. No other site can borrow cookies: they are not looked at."""
    address = request.META.get("REMOTE_ADDR") or ""
    principal = await authenticator.principal(_bearer(request.headers.get("authorization", "")), address)
    request.META[QUOTA] = await limiter.request(principal.account, principal.limits)
    principal.require(scope)
    return principal


def counted_session(principal: Principal) -> AbstractAsyncContextManager[None]:
    """Around a session: it is one of those that the caller's key may have at once, or `TooManySessions`."""
    return limiter.session(principal.account, principal.limits)


@asynccontextmanager
async def claimed_session(principal: Principal) -> AsyncIterator[str | None]:
    """The id of the one session that the caller's secret is for, None if it may open any number.

    `Conflict` if it has begun before. If it does not begin inside the block, the secret may be used again.
    """
    if principal.opens_session is None:
        yield None
        return
    secret = ClientSecret.objects.filter(opens_session=principal.opens_session)
    if not await secret.filter(claimed_at=None).aupdate(claimed_at=timezone.now()):
        raise Conflict("The session of this client secret has begun before; create another.", code="session_begun")
    try:
        yield principal.opens_session
    except BaseException:
        await secret.aupdate(claimed_at=None)
        raise


def _bearer(header: str) -> str | None:
    scheme, _, key = header.strip().partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def _subprotocol_key(offered: Collection[str]) -> str | None:
    keys = (name.removeprefix(SUBPROTOCOL_KEY) for name in offered if name.startswith(SUBPROTOCOL_KEY))
    return next(keys, None)


def _address(client: Collection[Any] | None) -> str:
    return str(next(iter(client))) if client else ""
