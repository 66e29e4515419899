"""Event agents against a running server: the two examples, as a reader would run them, and the how-to's own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from openai import AsyncOpenAI

from agents.brain.expressions import Expression
from agents.brain.rules_brain import NAMES
from tests.fakes.scripted_server import scripted_server
from tests.processes import ROOT, Server, manage

EXAMPLES = ROOT / "docs" / "examples"
HOW_TO = (ROOT / "docs" / "howto" / "event-agents.md").read_text()
CLIENT = """
import asyncio, os
from openai import AsyncOpenAI

async def main():
    client = AsyncOpenAI(base_url=os.environ["URL"] + "/v1", api_key=os.environ["REPARTEE_API_KEY"])
{snippet}
asyncio.run(main())
"""
Played = tuple[list[str], dict[str, Any]]


def run(server: Server, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "REPARTEE_API_KEY": server.key, "URL": server.url},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def played(live_server_process: Server) -> Callable[..., Played]:
    """The lines that an example printed, and its report."""

    def play(program: Path, url: str, *options: str) -> Played:
        manage(live_server_process.data, "agent", "apply", str(program.parent / "agent.yaml"))
        transcript, _, report = run(live_server_process, str(program), "--url", url, *options).partition("{")
        return transcript.splitlines(), json.loads("{" + report)

    return play


def test_the_trader_keeps_up_with_a_tick_stream(played: Callable[..., Played], live_server_process: Server) -> None:
    transcript, report = played(
        EXAMPLES / "trading" / "trade.py", live_server_process.ws_url, "--seconds", "4", "--rate", "3000"
    )
    assert report["ticks_a_second"] > 1000
    assert report["decisions_a_second"] > 20
    assert 0 < report["share_conflated"] < 1
    assert report["orders_filled"] > 0
    assert all(re.match(r"tick +\d+: (buy|sell) +\d+ [A-Z]{4} at [\d.]+ ", line) for line in transcript)
    assert all(abs(int(line.rpartition(" ")[2])) <= 300 for line in transcript)


def test_the_player_is_better_than_chance(played: Callable[..., Played], live_server_process: Server) -> None:
    transcript, report = played(EXAMPLES / "game" / "play.py", live_server_process.url, "--seconds", "10")
    assert report["decisions_a_second"] > 5
    assert report["coins"] > 0
    assert report["score"] > report["score_by_chance"]
    assert all(re.search(r"(up|down|left|right) +since ", line) for line in transcript)


def test_the_shortest_agent_of_the_how_to_works_as_it_stands(live_server_process: Server, tmp_path: Path) -> None:
    agent, program = (re.search(rf"```{kind}\n(.*?)```", HOW_TO, re.DOTALL) for kind in ("yaml", "python"))
    assert agent is not None
    assert program is not None
    path = tmp_path / "watch.yaml"
    path.write_text(agent[1])
    manage(live_server_process.data, "agent", "apply", str(path))
    printed = run(live_server_process, "-c", CLIENT.format(snippet=textwrap.indent(program[1], "    ")))
    assert f"It prints `{printed.strip()}`." in HOW_TO


MODELS = """
accounts:
  - {{name: quick, kind: openai_compatible, base_url: "{quick}", api_key: sk-1}}
  - {{name: slow, kind: openai_compatible, base_url: "{slow}", api_key: sk-1}}
agents:
  - {{slug: quick, brain: llm, llm: {{account: quick, model: m}}, feed: {{mode: text, schema: {schema}}}}}
  - {{slug: slow, brain: llm, llm: {{account: slow, model: m}}, feed: {{mode: text, deadline_ms: 200}}}}
"""


async def decision(server: Server, model: str) -> Any:
    """The response to one event."""
    client = AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key)
    async with asyncio.timeout(20), client.realtime.connect(model=model, extra_query={"repartee": "1"}) as session:
        await session.send_raw(json.dumps({"type": "repartee.event", "key": "ACME", "data": {"price": 9}}))
        async for event in session:
            if event.type == "response.done":
                return event.response
    return None


async def test_a_language_model_decides_and_is_left_at_the_deadline(
    live_server_process: Server, tmp_path: Path
) -> None:
    schema = "{type: object, required: [action], properties: {action: {enum: [buy]}}}"
    with scripted_server() as models:
        quick = models.base_url(reply='{"action": "buy"}', llm_first_ms=20)
        slow = models.base_url(llm_first_ms=5000)
        path = tmp_path / "models.yaml"
        path.write_text(MODELS.format(quick=quick, slow=slow, schema=schema))
        manage(live_server_process.data, "agent", "apply", str(path))
        decided = await decision(live_server_process, "quick")
        assert json.loads(decided.output[0].content[0].text) == {"action": "buy"}
        since = models.last_id()
        late = await decision(live_server_process, "slow")
        assert (late.status, late.status_details.error.code) == ("failed", "deadline_exceeded")
        asked = [entry["id"] for entry in models.log(since) if entry["path"].endswith("/chat/completions")]
        models.wait_for_disconnect(asked[0], within_s=4)


def test_every_expression_of_the_how_to_is_one() -> None:
    sources = re.findall(r"^(when: .*)$", HOW_TO, re.MULTILINE)
    assert len(sources) == 4
    for source in sources:
        Expression(yaml.safe_load(source)["when"], NAMES)
