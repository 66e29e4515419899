"""What every battery may ask for. The processes themselves are in tests/processes.py."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import settings

from tests import processes
from tests.processes import Server

StartServer: TypeAlias = Callable[..., Server]

settings.register_profile("any-machine", deadline=None)  # a busy machine makes no property false
settings.load_profile("any-machine")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skipped test is a failed one: what this suite needs, it brings or names."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line("Tests were skipped, which counts as a failure.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("The browser tests need Chromium. On Debian: apt-get install chromium", pytrace=False)
    return path


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with processes.redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with processes.postgres_server() as url:
        yield url


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers of a test's own: `start_server(tls=True, REPARTEE_IDLE_S="2")`, ready unless `ready=None`."""
    with ExitStack() as running:
        started = 0

        def start(*, ready: str | None = "/readyz", **options: Any) -> Server:
            nonlocal started
            started += 1
            options.setdefault("data", tmp_path / f"server-{started}")
            one = running.enter_context(processes.server(**options))
            if ready:
                one.wait_for(ready)
            return one

        yield start


@pytest.fixture(scope="session")
def live_server_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One ready server for all tests that leave it as they found it."""
    with processes.server(data=tmp_path_factory.mktemp("live")) as running:
        running.wait_for("/readyz")
        yield running
