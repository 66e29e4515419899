"""One pool of connections per account, and how long it is waited on."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import httpcore2
import httpx2
import openai

from agents.errors import ProviderError
from agents.providers.openai_compatible.errors import (
    FAILURES,
    OPENAI_BASE_URL,
    ConnectionLost,
    Refused,
    provider_error,
    timed_out,
)
from agents.spec import Account

T = TypeVar("T")

MAX_CONNECTIONS: Final = 200
KEPT_CONNECTIONS: Final = 20
KEPT_S: Final = 60.0
"""An idle connection is closed after this; a conversation's pauses are shorter."""


class Client:
    """An account's way to its server. Light, and never stale: the pool behind it opens when first used."""

    def __init__(self, account: Account, clients: Clients) -> None:
        self.account = account
        self._clients = clients

    def lease(self) -> AbstractAsyncContextManager[openai.AsyncOpenAI]:
        """The pool, for one request and the reading of its answer."""
        return self._clients.lease(self.account)

    def first_due(self) -> float:
        """When a request made now must have given its first output, in loop time."""
        return asyncio.get_running_loop().time() + self.account.first_output_timeout_s

    def next_due(self) -> float:
        """When an answer that moved just now must move again, in loop time."""
        return asyncio.get_running_loop().time() + self.account.stall_timeout_s

    async def wait(self, due: float | None, work: Awaitable[T]) -> T:
        """`work`, done by `due`, if there is such a time; whatever goes wrong is a ProviderError."""
        try:
            async with asyncio.timeout_at(due):
                return await work
        except TimeoutError:
            raise timed_out(self.account) from None
        except FAILURES as error:
            raise provider_error(self.account, error) from None

    async def send(self, due: float, request: Callable[[], Awaitable[T]]) -> T:
        """As `wait`, but tried once more if the connection broke before an answer began."""
        try:
            return await self.wait(due, request())
        except ConnectionLost:
            pass
        return await self.wait(due, request())

    async def prepare(self, count: int) -> Counter[str]:
        """See to it that `count` connections wait for requests; how many were found "open", and how many "failed".

        Nothing is sent if they wait already. What goes wrong, the request that needs the connection will say.
        """
        try:
            async with self._clients.prepared(self.account, min(count, KEPT_CONNECTIONS)) as (api, requests):
                return Counter(await asyncio.gather(*(self._open(api) for _ in range(requests))))
        except ProviderError:  # there is no such address
            return Counter(failed=1)

    async def _open(self, api: _API) -> str:
        """Ask for the least there is: no connection opens without a request."""
        try:
            async with asyncio.timeout(self.account.connect_timeout_s):
                await api.http.head(f"{api.base_url}models", headers=api.auth_headers)
        except (TimeoutError, *FAILURES):
            return "failed"
        return "open"

    async def warm(self) -> None:
        """Open a connection ahead of time, and find out whether server and key are good.

        A server without a list of models (404) is as warm as any.
        """
        async with self.lease() as api:
            try:
                await self.send(self.first_due(), api.models.list)
            except Refused as error:
                if error.status != 404:
                    raise


@dataclass(slots=True)
class _Pool:
    """`opening` connections are being prepared."""

    api: _API
    users: int = 0
    opening: int = 0


class Clients:
    """The pools of a process, one for each account value, at most `size` idle ones.

    The least recently used idle pool is closed when there are too many, so an account that was edited
    leaves nothing behind. Belongs to one event loop; `aclose` when it ends.
    """

    def __init__(self, size: int = 32) -> None:
        self._size = size
        self._pools: OrderedDict[Account, _Pool] = OrderedDict()

    def client(self, account: Account) -> Client:
        return Client(account, self)

    @asynccontextmanager
    async def lease(self, account: Account) -> AsyncIterator[openai.AsyncOpenAI]:
        async with self._held(account) as pool:
            yield pool.api

    @asynccontextmanager
    async def prepared(self, account: Account, count: int) -> AsyncIterator[tuple[_API, int]]:
        """The pool, and how many requests made at once leave `count` connections waiting.

        A request takes a connection that waits before it opens one, so they are as many as are to be there in all.
        """
        async with self._held(account) as pool:
            idle = pool.api.idle
            requests = 0 if idle + pool.opening >= count else count - pool.opening
            pool.opening += requests
            try:
                yield pool.api, requests
            finally:
                pool.opening -= requests

    @asynccontextmanager
    async def _held(self, account: Account) -> AsyncIterator[_Pool]:
        tls = await trusted()
        pool = self._pools.get(account)
        if pool is None:
            pool = self._pools[account] = _Pool(_connect(account, tls))
        self._pools.move_to_end(account)
        pool.users += 1
        try:
            yield pool
        finally:
            pool.users -= 1
            await self._trim()

    async def aclose(self) -> None:
        while self._pools:
            _, pool = self._pools.popitem()
            await pool.api.close()

    async def _trim(self) -> None:
        idle = [account for account, pool in self._pools.items() if not pool.users]
        for account in idle[: max(0, len(self._pools) - self._size)]:
            await self._pools.pop(account).api.close()


async def trusted() -> ssl.SSLContext:
    """The system's certificates. Reading them takes some 20 ms, so it is done once and in a thread."""
    return _trusted() if _trusted.cache_info().currsize else await asyncio.to_thread(_trusted)


@functools.cache
def _trusted() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


def _connect(account: Account, tls: ssl.SSLContext) -> _API:
    read_s = max(account.first_output_timeout_s, account.stall_timeout_s)
    timeout = httpx2.Timeout(read_s, connect=account.connect_timeout_s, pool=account.connect_timeout_s)
    limits = httpx2.Limits(
        max_connections=MAX_CONNECTIONS, max_keepalive_connections=KEPT_CONNECTIONS, keepalive_expiry=KEPT_S
    )
    try:
        return _API(
            account,
            httpx2.AsyncClient(http2=False, verify=tls, limits=limits, timeout=timeout, follow_redirects=True),
            timeout,
        )
    except httpx2.InvalidURL as error:
        raise provider_error(account, error) from None


class _API(openai.AsyncOpenAI):
    """The library's client for one account, without what OPENAI_* variables hold for another.

    By itself it would send OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS to any server.
    """

    def __init__(self, account: Account, http_client: httpx2.AsyncClient, timeout: httpx2.Timeout) -> None:
        super().__init__(
            api_key=account.api_key or "none",
            base_url=account.base_url or OPENAI_BASE_URL,
            max_retries=0,
            timeout=timeout,
            http_client=http_client,
        )
        self.http = http_client
        self.organization = self.project = self.admin_api_key = self.webhook_secret = None
        self._custom_headers = {}

    @property
    def idle(self) -> int:
        """Connections that wait for a request."""
        transport = self.http._transport_for_url(self.base_url)  # noqa: SLF001 - httpx tells nobody of its pool
        pool = getattr(transport, "_pool", None)
        connections = pool.connections if isinstance(pool, httpcore2.AsyncConnectionPool) else []
        return sum(connection.is_idle() and not connection.has_expired() for connection in connections)
