"""The channel layer and background jobs on a real Redis."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from channels.layers import ChannelLayerManager
from django.test import override_settings

from project.settings import channel_layers
from tests.processes import ROOT, end, environment, wait_until

LONGER_THAN_REDIS_PYS_OWN_TIMEOUT_S = 6.0


@pytest.fixture
async def layer(redis_url: str) -> AsyncIterator[Any]:
    with override_settings(CHANNEL_LAYERS=channel_layers(redis_url)):
        made = ChannelLayerManager()["default"]
        yield made
        await made.flush()
        await made.close_pools()


async def test_a_message_and_a_group_message_arrive(layer: Any) -> None:
    channel = await layer.new_channel()
    await layer.send(channel, {"type": "to.one", "bytes": b"\x00\x01"})
    assert await layer.receive(channel) == {"type": "to.one", "bytes": b"\x00\x01"}
    await layer.group_add("listeners", channel)
    await layer.group_send("listeners", {"type": "to.all"})
    assert await layer.receive(channel) == {"type": "to.all"}


async def test_a_receiver_survives_an_idle_channel(layer: Any) -> None:
    channel = await layer.new_channel()
    async with asyncio.TaskGroup() as tasks:
        received = tasks.create_task(layer.receive(channel))
        await asyncio.sleep(LONGER_THAN_REDIS_PYS_OWN_TIMEOUT_S)
        assert not received.done()
        await layer.send(channel, {"type": "late"})
    assert received.result() == {"type": "late"}


@pytest.fixture
def worker(redis_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A Celery worker; gives the environment that it shares."""
    settings = environment(tmp_path, REDIS_URL=redis_url, DJANGO_SETTINGS_MODULE="project.settings")
    log_path = tmp_path / "worker.log"
    command = [sys.executable, "-m", "celery", "-A", "project", "worker", "--pool", "solo", "--loglevel", "INFO"]
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, env=settings, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: " ready." in log_path.read_text(), within_s=60, what="Celery's start")
        yield settings
    finally:
        end(process, signal.SIGTERM)


def test_a_background_job_runs_in_the_worker(worker: dict[str, str]) -> None:
    """`delay` as the application calls it, in one process; the job and its database write in another."""
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, env=worker, cwd=ROOT, check=True, timeout=120)
    call = "from sessions.tasks import purge; import os; print(os.getpid(), purge.delay().get(timeout=30))"
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", call]
    called = subprocess.run(command, env=worker, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    pid, result = called.stdout.split()
    assert result == "None"
    assert int(pid) != os.getpid()
