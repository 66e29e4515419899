from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import cast

from agents.audio import Audio
from agents.providers.local.models import LocalModels, LocalOptions
from agents.providers.openai_compatible.client import Clients
from sessions.host import SessionHost
from sessions.journal import DatabaseJournal
from sessions.pipeline.bounds import Bounds
from tests.scenario import Kept


class PatientVAD:
    """A stream whose windows are judged only when all sessions have asked."""

    def __init__(self, go: threading.Event) -> None:
        self._go = go

    def push(self, audio: Audio) -> list[tuple[int, float]]:
        self._go.wait(10)
        return [(audio.samples, 0.0)]


async def test_sessions_that_all_ask_the_vad_at_once_take_turns(tmp_path: Path) -> None:
    models = LocalModels(tmp_path, LocalOptions(queue=4))
    host = SessionHost(models, Clients(), cast(DatabaseJournal, Kept()), Bounds(), b"key")
    go, audio = threading.Event(), Audio.silence(20, 16_000)
    try:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(host._detect(PatientVAD(go), audio)) for _ in range(50)]
            await asyncio.sleep(0)
            go.set()
        assert [task.result() for task in asked] == [[(320, 0.0)]] * 50
    finally:
        models.close()
