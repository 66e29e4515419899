"""The scripted OpenAI-compatible server as a process of its own, for tests that need real sockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from agents.spec import Account
from tests.processes import ROOT, accepts_connections, end, wait_until


@dataclass(frozen=True, slots=True)
class ScriptedServer:
    """`origin` is its address without a path."""

    origin: str

    def account(self, **script: object) -> Account:
        """An account whose requests get `script`, see benchmarks.providers.script. It soon gives up one that is silent,
        and only that: no stop of a busy machine is taken for a failure."""
        silent = script.get("fault") in ("stall", "deaf")
        return Account(
            name="lab",
            kind="openai_compatible",
            base_url=self.base_url(**script),
            api_key="sk-canary-key",
            connect_timeout_s=10,
            first_output_timeout_s=1.0 if silent else 20,
            stall_timeout_s=0.4 if silent else 20,
        )

    def base_url(self, **script: object) -> str:
        return f"{self.origin}/with/{quote(urlencode(script), safe='')}/v1" if script else f"{self.origin}/v1"

    def last_id(self) -> int:
        """The number that the next request will have."""
        return max((entry["id"] for entry in self.log()), default=-1) + 1

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.origin}/_log?since={since}", timeout=20) as answer:
            requests: list[dict[str, Any]] = json.load(answer)["requests"]
            return requests

    def wait_for_disconnect(self, request_id: int, *, within_s: float = 20.0) -> float:
        """When the server saw the client of this request leave, in seconds of the monotonic clock."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            seen = self.log(request_id)[0]["disconnected"]
            if seen is not None:
                return float(seen)
            time.sleep(0.01)
        raise AssertionError(f"request {request_id} is still connected after {within_s} s")

    def wait_for_all_to_leave(self, since: int, *, within_s: float = 20.0) -> int:
        """Requests from number `since` on, once the client of none of them is connected."""
        requests: list[dict[str, Any]] = []

        def all_left() -> bool:
            requests[:] = self.log(since)
            return all(entry["disconnected"] is not None for entry in requests)

        wait_until(all_left, within_s=within_s, what="the leaving of every client")
        return len(requests)


@contextmanager
def scripted_server(*options: str, certificate: tuple[Path, Path] | None = None) -> Iterator[ScriptedServer]:
    """A server on a free port; `certificate` is the files of a certificate and its key."""
    command = [sys.executable, "-m", "benchmarks.providers", "--port", "0", *options]
    if certificate is not None:
        command += ["--ssl-certfile", str(certificate[0]), "--ssl-keyfile", str(certificate[1])]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            origin = line.decode().strip().removesuffix("/v1")
            port = int(origin.rpartition(":")[2])
            wait_until(lambda: accepts_connections(port), within_s=15, what="the scripted server's start")
            yield ScriptedServer(origin)
        finally:
            end(process, signal.SIGTERM)
