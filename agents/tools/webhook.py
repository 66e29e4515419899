"""Tools that live on somebody's web server: one signed POST a call.

The request's body is `{"call_id": …, "name": …, "arguments": {…}}`. With a secret, the header
`X-Repartee-Signature` is "v1=" and the hex HMAC-SHA256 of "<X-Repartee-Timestamp>.<body>". The answer's
body is given to the brain as it is. Nothing is retried: the call may have done something.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from agents.errors import ToolError
from agents.interfaces import ToolResult

MAX_RESPONSE = 64 * 1024
"""Bytes of an answer that are accepted; a longer one is an error."""


@dataclass(frozen=True, slots=True)
class _Target:
    """Where to connect: `url` with a checked address in place of `name`, and the Host header to send there."""

    url: httpx.URL
    host: str
    name: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """One tool's address. Targets in private networks are refused unless `allow_private`.

    The name is resolved once and the address found safe is the one connected to, so a name server cannot
    change its mind in between. Redirects and proxies are not followed.
    """

    name: str
    url: str
    secret: str = ""
    timeout_s: float = 10.0
    allow_private: bool = False
    clock: Callable[[], float] = time.time

    async def call(self, call_id: str, arguments: Mapping[str, Any]) -> ToolResult:
        body = json.dumps({"call_id": call_id, "name": self.name, "arguments": arguments}).encode()
        try:
            return ToolResult(await self._post(await self._target(), body))
        except httpx.TimeoutException as error:
            raise ToolError(f"{self.name} did not answer within {self.timeout_s:g} seconds.") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise ToolError(f"{self.name} could not be reached.") from error

    async def _post(self, target: _Target, body: bytes) -> str:
        async with httpx.AsyncClient(verify=_trusted(), trust_env=False, follow_redirects=False) as client:
            request = client.build_request(
                "POST",
                target.url,
                content=body,
                headers={"host": target.host, **self._headers(body)},
                timeout=self.timeout_s,
                extensions={"sni_hostname": target.name},
            )
            response = await client.send(request, stream=True)
            try:
                return await self._read(response)
            finally:
                await response.aclose()

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"content-type": "application/json", "accept-encoding": "identity", "user-agent": "repartee"}
        if not self.secret:
            return headers
        timestamp = str(int(self.clock()))
        return {
            **headers,
            "x-repartee-timestamp": timestamp,
            "x-repartee-signature": sign(self.secret, timestamp, body),
        }

    async def _read(self, response: httpx.Response) -> str:
        if not response.is_success:
            raise ToolError(f"{self.name} answered with status {response.status_code}.")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ToolError(f"{self.name} sent a compressed answer, which was not asked for.")
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > MAX_RESPONSE:
                raise ToolError(f"{self.name} answered with more than {MAX_RESPONSE // 1024} KiB.")
        return body.decode("utf-8", errors="replace")

    async def _target(self) -> _Target:
        url = httpx.URL(self.url)
        if url.scheme not in ("http", "https") or not url.host:
            raise ToolError(f"{self.name} has no http or https address.")
        host = url.netloc.decode("ascii")
        if self.allow_private:
            return _Target(url, host, url.host)
        address = await self._public_address(url.host, url.port or (443 if url.scheme == "https" else 80))
        return _Target(url.copy_with(host=address), host, url.host)

    async def _public_address(self, host: str, port: int) -> str:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(map(is_public, addresses)):
            raise ToolError(f"{self.name} points into a private network; REPARTEE_PRIVATE_WEBHOOKS=true allows that.")
        return addresses[0]


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of the signature header."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet, also seen through IPv6 wrappings of IPv4."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1] or _nat64(ip)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def _nat64(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(ip.packed[-4:]) if ip in ipaddress.ip_network("64:ff9b::/96") else None


@cache
def _trusted() -> ssl.SSLContext:
    """Loading the root certificates takes some 20 ms: done once."""
    return httpx.create_ssl_context(trust_env=False)
