"""A client whose network has gone: nothing comes from it any more, and nothing says so."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

from tests.conftest import StartServer
from tests.processes import wait_until

EVERY_S = 0.5
SERVER = f"""
import uvicorn
from project import server
config = server.config(host="127.0.0.1", port={{port}})
config.ws_ping_interval = config.ws_ping_timeout = {EVERY_S}
server.run(uvicorn.Server(config))
"""
LINGER_S = 5


def test_its_session_ends_when_it_answers_no_ping(start_server: StartServer, tmp_path: Path) -> None:
    start_server(data=tmp_path / "kept").stop()  # which makes the database
    server = start_server(command=("-c", SERVER), data=tmp_path / "kept", DJANGO_SETTINGS_MODULE="project.settings")
    request = (
        "GET /v1/realtime?model=guide HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {server.key}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        began = time.monotonic()
        line.sendall(request.encode())
        assert b" 101 " in line.recv(100)
        while line.recv(65_536):
            pass
        waited = time.monotonic() - began

    def ended() -> bool:
        _, body = server.get("/v1/sessions", {"Authorization": f"Bearer {server.key}"})
        (session,) = json.loads(body)["data"]
        return session["ended_at"] is not None

    wait_until(ended, within_s=20, what="the session's end")
    assert 2 * EVERY_S <= waited <= 2 * EVERY_S + LINGER_S + 1
