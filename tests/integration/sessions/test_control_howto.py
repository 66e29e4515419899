"""docs/howto/control-over-rest.md: its commands and its program as they are printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

from tests.processes import ROOT, Server, manage

PAGE = (ROOT / "docs" / "howto" / "control-over-rest.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def dashboard_key(server: Server) -> str:
    """A key made with the page's own command."""
    _, _, *arguments = shlex.split(blocks("sh")[0])
    return manage(server.data, *arguments).strip()


def run(server: Server, key: str, *command: str) -> str:
    filled = [part.replace("http://localhost:8000", server.url).replace("sk_...", key) for part in command]
    environment = {**os.environ, "REPARTEE_API_KEY": key}
    done = subprocess.run(filled, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_commands(live_server_process: Server) -> None:
    key = dashboard_key(live_server_process)
    answers = run(live_server_process, key, "bash", "-euc", "".join(blocks("sh")[1:]))

    assert answers.count('"object":"list"') == 3
    assert '"id":"guide","object":"repartee.agent"' in answers
    assert '"spec":{' in answers
    assert '"state":"waiting"' in answers
    assert '"error"' not in answers


def test_its_program(live_server_process: Server) -> None:
    printed = run(live_server_process, dashboard_key(live_server_process), sys.executable, "-c", *blocks("python"))

    assert "user: What is Repartee?\nassistant: Repartee is" in printed
    assert "agent: Repartee is" in printed
    assert "supervisor: stopped" in printed
    assert "client: closed with 1000 stopped" in printed
