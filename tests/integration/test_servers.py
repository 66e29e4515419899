"""Repartee as a process: uvicorn as `make run` starts it, and daphne, which sends no lifespan."""

from __future__ import annotations

import base64
import json
import signal
import socket
import sqlite3
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.conftest import StartServer
from tests.processes import Server, wait_until

DAPHNE = ("-m", "daphne", "-p", "{port}", "project.asgi:application")
RUNSERVER = ("manage.py", "runserver", "--noreload", "127.0.0.1:{port}")


def realtime(server: Server, **headers: str) -> ClientConnection:
    address = f"{server.ws_url}/v1/realtime?model=guide"
    return connect(address, additional_headers={"Authorization": f"Bearer {server.key}", **headers})


def say(connection: ClientConnection, text: str) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    connection.send(json.dumps({"type": "conversation.item.create", "item": item}))
    connection.send(json.dumps({"type": "response.create"}))


def wait_for_event(connection: ClientConnection, kind: str) -> None:
    while json.loads(connection.recv(timeout=10))["type"] != kind:
        pass


def read_on(connection: ClientConnection) -> None:
    while True:
        connection.recv(timeout=5)


def test_alive_and_ready(live_server_process: Server) -> None:
    assert live_server_process.get("/healthz") == (200, '{"status": "alive"}')
    assert live_server_process.get("/readyz") == (200, '{"status": "ready"}')


def test_a_server_that_still_loads_is_alive_and_names_what_is_missing(start_server: StartServer) -> None:
    server = start_server(ready="/healthz")
    status, body = server.get("/readyz")
    assert status == 503
    assert {"stt", "tts"} & set(json.loads(body)["missing"])
    server.wait_for("/readyz")


def test_a_realtime_session_begins(live_server_process: Server) -> None:
    with realtime(live_server_process) as socket:
        assert json.loads(socket.recv(timeout=10))["type"] == "session.created"


def test_the_api_is_never_redirected_to_a_slash(live_server_process: Server) -> None:
    status, _ = live_server_process.get("/v1/no-such-thing")
    assert status == 404


def test_static_files_are_served(live_server_process: Server) -> None:
    assert live_server_process.get("/static/unfold/css/styles.css")[0] == 200


def test_a_foreign_host_name_is_refused(live_server_process: Server) -> None:
    assert live_server_process.get("/healthz", {"Host": "evil.example.com"})[0] == 400


def test_what_was_made_is_printed_once(start_server: StartServer, tmp_path: Path) -> None:
    first = start_server(data=tmp_path / "kept", REPARTEE_DEV_API_KEY="")
    for heading in ("Repartee is ready", "Talk ", "Configure ", "Realtime API "):
        wait_until(lambda heading=heading: heading in first.log, within_s=20, what=heading)  # type: ignore[misc]
    assert first.log.count("Administrator ") == 1
    assert first.log.count("API key ") == 1
    first.stop()
    second = start_server(data=tmp_path / "kept", REPARTEE_DEV_API_KEY="")
    wait_until(lambda: "Repartee is ready" in second.log, within_s=20, what="the addresses")
    assert "Administrator " not in second.log
    assert "API key " not in second.log


def test_https_with_its_own_certificate(start_server: StartServer) -> None:
    """The client trusts the certificate and nothing else, and checks the name."""
    server = start_server(tls=True)
    assert server.get("/healthz")[0] == 200


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_within_two_seconds(start_server: StartServer, how: signal.Signals) -> None:
    """In the middle of a reply, with a second client that never finished its request."""
    server = start_server()
    with realtime(server) as talking, socket.create_connection(("127.0.0.1", server.port)) as unfinished:
        say(talking, "What can you do?")
        wait_for_event(talking, "response.output_audio.delta")
        unfinished.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        assert server.stop(how) < 2.0
        with pytest.raises(ConnectionClosed):
            read_on(talking)
    assert "Traceback" not in server.log


def test_a_new_data_folder_gets_a_database_in_wal_mode(live_server_process: Server) -> None:
    with sqlite3.connect(live_server_process.data / "repartee.sqlite3") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("command", [DAPHNE, RUNSERVER], ids=["daphne", "runserver"])
def test_daphne_serves_too(start_server: StartServer, tmp_path: Path, command: tuple[str, ...]) -> None:
    start_server(data=tmp_path / "kept").stop()
    server = start_server(
        command=command, data=tmp_path / "kept", ready="/healthz", DJANGO_SETTINGS_MODULE="project.settings"
    )
    with realtime(server) as socket:
        assert json.loads(socket.recv(timeout=20))["type"] == "session.created"
    server.wait_for("/readyz")


def test_on_postgresql_and_redis(start_server: StartServer, postgres_url: str, redis_url: str) -> None:
    server = start_server(DATABASE_URL=postgres_url, REDIS_URL=redis_url)
    with realtime(server) as socket:
        assert json.loads(socket.recv(timeout=10))["type"] == "session.created"
    assert not (server.data / "repartee.sqlite3").exists()


def test_in_production_only_probes_need_no_https(start_server: StartServer) -> None:
    secret = base64.urlsafe_b64encode(bytes(range(32))).decode()
    server = start_server(
        command=("-m", "project.server", "--host", "127.0.0.1", "--port", "{port}"),
        ready="/readyz",
        REPARTEE_ENV="production",
        SECRET_KEY=secret,
        REPARTEE_ENCRYPTION_KEYS=secret,
    )
    assert server.get("/healthz")[0] == 200
    assert server.get("/")[0] == 301
    line = next(line for line in server.log.splitlines() if "Application startup complete" in line)
    assert json.loads(line)["logger"] == "uvicorn.error"
