"""The seed of Repartee: three minutes of speech are generated in seconds, and the client stops reading."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.memory import MINUTES_3, unread_speech
from tests.fakes.scripted_server import ScriptedServer, scripted_server
from tests.faults.live import Agent, apply, change
from tests.processes import Server

LEAD_MS = 300
DELTA_MS = 100
GENERATED_IN_S = 5


@pytest.fixture(scope="module")
def providers() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        change(server, reply=MINUTES_3, llm_first_ms=20, llm_tokens_per_s=len(MINUTES_3.split()) / GENERATED_IN_S)
        change(server, stt_ms=20, tts_first_ms=20, tts_speed=0)
        yield server


@pytest.fixture(scope="module")
def server(live_server_process: Server, providers: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Server:
    apply(live_server_process, {"good": providers.base_url()}, [Agent("endless")], tmp_path_factory.mktemp("agents"))
    return live_server_process


@pytest.mark.parametrize("receive_buffer", [None, 8192], ids=["the-kernel-reads-on", "the-line-is-full"])
async def test_nothing_piles_up_for_a_client_that_stops_reading(server: Server, receive_buffer: int | None) -> None:
    found = await unread_speech(server, agent="endless", receive_buffer=receive_buffer)
    assert found.released_ms <= found.elapsed_ms + LEAD_MS + DELTA_MS
    assert found.stale_ms == 0
    assert found.grown_mib <= 2
