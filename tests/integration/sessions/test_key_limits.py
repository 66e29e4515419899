"""A key's limits on a running server, with real connections."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.processes import Server, manage, wait_until


@contextmanager
def opened(server: Server, key: str) -> Iterator[None]:
    """A session of `key` that has begun."""
    address = f"{server.ws_url}/v1/realtime?model=guide"
    with connect(address, additional_headers={"Authorization": f"Bearer {key}"}) as client:
        assert json.loads(client.recv(timeout=20))["type"] == "session.created"
        yield


def may_open(server: Server, key: str) -> bool:
    with suppress(InvalidStatus), opened(server, key):
        return True
    return False


def secret_of(server: Server, key: str) -> str:
    request = urllib.request.Request(
        f"{server.url}/v1/realtime/client_secrets", method="POST", headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        value: str = json.load(answer)["value"]
        return value


def test_sessions_at_once_of_a_key_and_its_secrets(live_server_process: Server) -> None:
    server = live_server_process
    key = manage(server.data, "apikey", "create", "two", "--sessions", "2").strip()
    with opened(server, key):
        with opened(server, secret_of(server, key)):
            for held in (key, secret_of(server, key)):
                with pytest.raises(InvalidStatus) as refused, opened(server, held):
                    pytest.fail("a third session")
                response = refused.value.response
                assert response.status_code == 429
                assert int(response.headers["Retry-After"]) > 0
                assert json.loads(response.body or b"")["error"]["code"] == "rate_limit_exceeded"
            with opened(server, server.key):
                pass  # others are not hurt
        wait_until(lambda: may_open(server, key), within_s=20, what="the place of the session that has ended")
