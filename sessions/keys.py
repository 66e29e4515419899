"""Server keys and client secrets, made and ended.

They are 256 random bits, so their SHA-256 digest needs no salt; the keys themselves are shown once, when
they are made, and stored and logged nowhere.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from agents.spec import Override
from sessions.models import ApiKey, ClientSecret
from sessions.scopes import SCOPES, TALKING, Scope, in_order

DEVELOPMENT_KEY = "development key"
"""The name of the key that is made for a developer; it is honoured in development mode only."""
SHOWN_CHARS = 11


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def create_key(
    *,
    name: str,
    agents: Collection[str] = (),
    scopes: Collection[Scope] = TALKING,
    requests_per_minute: int | None = None,
    sessions_at_once: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key's record, and the key itself: this is the only time it is known.

    A limit of None is as settings have it, and 0 is none.
    """
    key = "sk_" + secrets.token_urlsafe(32)
    record = ApiKey.objects.create(
        name=name,
        prefix=key[:SHOWN_CHARS],
        digest=digest_of(key),
        agents=sorted(set(agents)),
        scopes=in_order(scopes),
        requests_per_minute=requests_per_minute,
        sessions_at_once=sessions_at_once,
    )
    return record, key


def revoke_key(record: ApiKey) -> None:
    """End a key, and with it the client secrets it made. Sessions that run go on."""
    record.revoked_at = timezone.now()
    record.save(update_fields=["revoked_at"])


def ensure_dev_key() -> str | None:
    """Make the developer's key if there is none. The key if it was made now; None if it is already known."""
    if not settings.DEVELOPMENT:
        raise ImproperlyConfigured("A development key is made with REPARTEE_ENV=development only.")
    if settings.REPARTEE_DEV_API_KEY or ApiKey.objects.filter(name=DEVELOPMENT_KEY, revoked_at=None).exists():
        return None
    return create_key(name=DEVELOPMENT_KEY, scopes=SCOPES, requests_per_minute=0, sessions_at_once=0)[1]


@dataclass(frozen=True, slots=True)
class IssuedSecret:
    value: str
    expires_at: datetime


def issue_secret(
    *,
    agent: str,
    version: int | None = None,
    session: Mapping[str, Any] | None = None,
    overrides: Collection[Override] = (),
    lives_s: int = 600,
    key_id: int | None = None,
    user_id: int | None = None,
    opens_session: str | None = None,
) -> IssuedSecret:
    """A client secret for one agent, or even for one session of it. Those that expired are deleted on the way."""
    now = timezone.now()
    delete_expired_secrets(now=now)
    value = "ek_" + secrets.token_urlsafe(32)
    secret = ClientSecret.objects.create(
        digest=digest_of(value),
        expires_at=now + timedelta(seconds=lives_s),
        session=dict(session or {}),
        agent=agent,
        version=version,
        overrides=sorted(overrides),
        created_by_key_id=key_id,
        created_by_user_id=user_id,
        opens_session=opens_session,
    )
    return IssuedSecret(value, secret.expires_at)


def delete_expired_secrets(*, now: datetime) -> int:
    """How many there were. With a secret goes the session that it carries, instructions and all."""
    return ClientSecret.objects.filter(expires_at__lte=now).delete()[0]
