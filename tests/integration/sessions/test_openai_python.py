"""OpenAI's own Python package against a running server: the how-to's program as it is printed."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from openai import AsyncOpenAI, AuthenticationError, NotFoundError

from tests.processes import Server

HOW_TO = Path(__file__).parents[3] / "docs" / "howto" / "connect-openai-python.md"


def client_of(server: Server, key: str | None = None) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key or server.key, max_retries=0)


def test_the_how_to_works(live_server_process: Server) -> None:
    program = re.search(r"```python\n(import asyncio.*?)```", HOW_TO.read_text(), re.DOTALL)
    assert program is not None
    done = subprocess.run(
        [sys.executable, "-c", program[1].replace("http://localhost:8000", live_server_process.url)],
        env={**os.environ, "REPARTEE_API_KEY": live_server_process.key},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "repartee" in done.stdout.lower()


async def test_a_client_secret_opens_the_session_it_was_made_for(live_server_process: Server) -> None:
    secret = await client_of(live_server_process).realtime.client_secrets.create(
        session={"type": "realtime", "model": "guide", "output_modalities": ["text"]}
    )
    client = client_of(live_server_process, secret.value)
    async with asyncio.timeout(20), client.realtime.connect(model="gpt-realtime") as connection:
        created = await connection.recv()

    assert created.type == "session.created"
    assert created.session.type == "realtime"
    assert (created.session.model, created.session.output_modalities) == ("gpt-realtime", ["text"])


async def test_a_wrong_key_and_an_unknown_model_raise_what_the_package_has_for_them(
    live_server_process: Server,
) -> None:
    with pytest.raises(AuthenticationError, match="Incorrect API key"):
        await client_of(live_server_process, "sk_wrong").realtime.client_secrets.create()
    with pytest.raises(NotFoundError, match=r"Use one of: .*guide"):
        await client_of(live_server_process).realtime.client_secrets.create(
            session={"type": "realtime", "model": "nobody"}
        )
