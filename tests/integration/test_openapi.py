"""The HTTP API does what its document says: schemathesis asks a running server for all of it, and for more."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests import processes
from tests.processes import Server

CONFIG = """\
seed = 3
{more}

[generation]
max-examples = {examples}
deterministic = true

[checks]
# A session that was called off before its client came is forgotten, and is right to be "not found".
ensure_resource_availability.enabled = false

[[operations]]
# They take OpenAI's objects, in which a schema cannot say all: an unknown prompt, a content part without its text.
include-operation-id = ["client_secrets", "create_session", "create_item", "chat_completions", "create_response"]
checks.positive_data_acceptance.enabled = false
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Server]:
    """On PostgreSQL, which takes less than SQLite does: no NUL in a text, no number beyond its type."""
    with processes.server(data=tmp_path_factory.mktemp("openapi"), DATABASE_URL=postgres_url) as running:
        running.wait_for("/readyz")
        yield running


def check(server: Server, folder: Path, *arguments: str, examples: int, more: str = "") -> None:
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG.format(more=more, examples=examples))
    program = [str(Path(sys.executable).with_name("st")), "--config-file", str(config), "--no-color"]
    what = [f"{server.url}/v1/openapi.json", "--header", f"Authorization: Bearer {server.key}", *arguments]
    done = subprocess.run(
        [*program, "run", *what], cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def a_live_session(server: Server) -> Iterator[str]:
    """The id of a session in words whose client reads all that it is sent."""
    body = json.dumps({"agent": "guide", "session": {"output_modalities": ["text"]}}).encode()
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{server.url}/v1/sessions", body, headers), timeout=20) as made:
        session: dict[str, Any] = json.load(made)
    key = session["client_secret"]["value"]
    with connect(session["url"], additional_headers={"Authorization": f"Bearer {key}"}, max_size=None) as client:
        reader = threading.Thread(target=read_all, args=(client,))
        reader.start()
        yield session["id"]
    reader.join()


def read_all(client: ClientConnection) -> None:
    try:
        for _ in client:
            pass
    except ConnectionClosed:
        pass


@pytest.mark.timeout(300)
def test_every_operation_does_what_the_document_says(server: Server, tmp_path: Path) -> None:
    check(server, tmp_path, examples=20)


@pytest.mark.timeout(300)
def test_so_do_those_on_a_session_that_runs(server: Server, tmp_path: Path) -> None:
    with a_live_session(server) as session_id:
        these = ("--include-path-regex", "^/v1/sessions/", "--exclude-operation-id", "end_session")
        parameters = f'parameters = {{ session_id = "{session_id}" }}'
        check(server, tmp_path, *these, "--phases", "fuzzing", examples=150, more=parameters)
        with urllib.request.urlopen(
            urllib.request.Request(
                f"{server.url}/v1/sessions/{session_id}",
                headers={"Authorization": f"Bearer {server.key}"},
            ),
            timeout=20,
        ) as shown:
            assert json.load(shown)["live"]["items"] > 0
