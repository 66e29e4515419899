"""A slice of `benchmarks.fuzz`: hostile clients on many live sessions at once, against a real server."""

from __future__ import annotations

import asyncio
import time
from itertools import islice

from benchmarks import fuzz
from tests.fakes.scripted_server import ScriptedServer
from tests.hostile.sequences import Pause, Step
from tests.processes import Server


async def test_hostile_clients_get_what_they_are_owed_and_leave_nothing(
    live_server_process: Server, provider_server: ScriptedServer
) -> None:
    server, logged = live_server_process, len(live_server_process.log)
    await asyncio.to_thread(fuzz.apply_agents, server, provider_server)
    todo, sounds = islice(fuzz.runs(seed=7), 30), fuzz.make_sounds()
    report = await fuzz.fuzz(server, todo, sounds, at_once=20, until=time.monotonic() + 15)
    assert not report.failures
    assert not await fuzz.what_is_left(server, log_from=logged)
    assert report.sequences > 50
    assert report.kinds["response.done"] > 10


async def test_a_failure_is_cut_to_the_steps_it_needs() -> None:
    steps: list[Step] = [Pause(float(n)) for n in range(20)]

    async def still_fail(fewer: list[Step]) -> bool:
        return {Pause(3.0), Pause(17.0)} <= set(fewer)

    assert await fuzz.shrunk(steps, still_fail) == [Pause(3.0), Pause(17.0)]
