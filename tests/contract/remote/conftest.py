"""The scripted server, once for all, and what a provider under test is made in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.contract.remote.providers import Surroundings
from tests.fakes.scripted_server import ScriptedServer, scripted_server


@pytest.fixture(scope="session")
def provider_server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture
async def around(provider_server: ScriptedServer) -> AsyncIterator[Surroundings]:
    surroundings = Surroundings(provider_server)
    yield surroundings
    await surroundings.clients.aclose()
