from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from agents.providers.local.models import LocalModels
from agents.providers.openai_compatible.client import Clients
from agents.spec import TurnDetection
from sessions.host import SessionHost
from sessions.journal import DatabaseJournal
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.messages import CloseSession, CreateResponse, SessionConfig, TurnClosed
from telemetry.trace import trace_ids
from tests.scenario import Kept, make_agent

KEY = b"the same in every process"


async def test_the_ids_of_a_trace_are_those_that_any_process_would_give_it(tmp_path: Path) -> None:
    models = LocalModels(tmp_path)
    host = SessionHost(models, Clients(), cast("DatabaseJournal", Kept()), Bounds(), KEY)
    config = SessionConfig(modality="text", turn_detection=TurnDetection(type="none"))
    trace: Mapping[str, Any] = {}
    async with host._group:
        handle = host.open(make_agent(), config, session_id="sess_1", transport="websocket")
        await handle.send(CreateResponse())
        async for event in handle.events():
            if isinstance(event, TurnClosed):
                trace = event.trace
                await handle.send(CloseSession())
    models.close()
    assert (trace["trace_id"], trace["span_id"]) == trace_ids("sess_1", 0, KEY)
