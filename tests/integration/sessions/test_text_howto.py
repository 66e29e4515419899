"""docs/howto/text-over-http.md: its programs as they are printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.scripted_server import scripted_server
from tests.faults.live import Agent, apply
from tests.processes import ROOT, Server

PAGE = (ROOT / "docs" / "howto" / "text-over-http.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def run(server: Server, *command: str, **environment: str) -> str:
    filled = [part.replace("http://localhost:8000", server.url) for part in command]
    done = subprocess.run(
        filled,
        env={**os.environ, "REPARTEE_API_KEY": server.key, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_with_curl(live_server_process: Server) -> None:
    whole, streamed = blocks("sh")
    answer = json.loads(run(live_server_process, "bash", "-c", whole))
    assert "repartee" in answer["choices"][0]["message"]["content"].lower()
    told = run(live_server_process, "bash", "-c", streamed)
    assert told.startswith("event: response.created\nid: 0\ndata: {")
    assert "event: response.completed\n" in told


@pytest.mark.parametrize("number", [0, 2])
def test_with_the_package(live_server_process: Server, number: int) -> None:
    printed = run(live_server_process, sys.executable, "-c", blocks("python")[number])
    assert len(printed.split()) > 10
    if number == 2:
        assert printed.strip().endswith("completed")


def test_with_a_tool(live_server_process: Server, tmp_path: Path) -> None:
    with scripted_server("--tool", "stock", "--tool-arguments", '{"article": "lamp"}', "--reply", "Yes.") as lab:
        apply(live_server_process, {"good": lab.base_url()}, [Agent("text-clerk")], tmp_path)
        printed = run(live_server_process, sys.executable, "-c", blocks("python")[1], AGENT="text-clerk")
    assert printed == "Yes.\n"
