"""How much one key may ask for: requests a minute, and sessions at once.

Counted in this process; several processes together let through as many times as much. `KeyLimiter` is the
seam where counters shared by all of them will attach.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import ceil

from sessions.errors import TooManyRequests, TooManySessions
from telemetry import counters, names

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key may do at most. 0 means that there is no limit."""

    requests_per_minute: int = 0
    sessions_at_once: int = 0


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left after a request: `remaining` at once, and all of `limit` again in `reset_s` seconds."""

    limit: int
    remaining: int
    reset_s: float

    @property
    def headers(self) -> dict[str, str]:
        """As OpenAI's clients know them; none where there is no limit."""
        if not self.limit:
            return {}
        return {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(self.remaining),
            "x-ratelimit-reset-requests": f"{ceil(self.reset_s * 1000)}ms",
        }


class KeyLimiter:
    """Counts by account: a key with the client secrets it made, or a user of the talk page.

    Requests follow the generic cell rate algorithm: a whole minute's worth may come at once, and then each
    60/limit s gives room for one more. All it needs of an account is one time: when its last request will have
    been made up for. The account unused for longest is forgotten first.
    """

    def __init__(self, *, accounts: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self.accounts, self.clock = accounts, clock
        self._made_up_at: OrderedDict[str, float] = OrderedDict()
        self._sessions: Counter[str] = Counter()

    async def request(self, account: str, limits: Limits) -> Quota:
        """Count one request. `TooManyRequests` if there were too many; those refused do not count."""
        limit = limits.requests_per_minute
        if not limit:
            return Quota(0, 0, 0.0)
        now, each = self.clock(), MINUTE_S / limit
        made_up_in = max(self._made_up_at.get(account, now) - now, 0.0)
        if made_up_in + each > MINUTE_S + each / 1000:
            counters.count(names.KEYS_LIMITED, what="requests")
            raise TooManyRequests(limit, made_up_in + each - MINUTE_S, Quota(limit, 0, made_up_in).headers)
        self._made_up_at[account] = now + made_up_in + each
        self._made_up_at.move_to_end(account)
        if len(self._made_up_at) > self.accounts:
            self._made_up_at.popitem(last=False)
        return Quota(limit, int((MINUTE_S - made_up_in) / each + 1e-6) - 1, made_up_in + each)

    @asynccontextmanager
    async def session(self, account: str, limits: Limits) -> AsyncIterator[None]:
        """Hold one of the account's sessions. `TooManySessions` if it has as many as it may."""
        if limits.sessions_at_once and self._sessions[account] >= limits.sessions_at_once:
            counters.count(names.KEYS_LIMITED, what="sessions")
            raise TooManySessions(limits.sessions_at_once)
        self._sessions[account] += 1
        try:
            yield
        finally:
            self._sessions[account] -= 1
            if not self._sessions[account]:
                del self._sessions[account]
