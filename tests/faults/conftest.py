from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.scripted_server import ScriptedServer, scripted_server


@pytest.fixture(scope="session")
def provider_server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server
