"""Real clients against a running Repartee, each unmodified and in an environment of its own.

    python -m tests.clients [CLIENT …]

Prints a line for each scenario of each client and for each how-to page whose program was run, then a table.
The exit code is 1 if anything failed. `make test-clients` runs all.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Timer
from typing import Final

from tests.clients import environments, snippets
from tests.clients.environments import CLIENTS, SHARED, Client
from tests.clients.report import RULES, Report, Result, parsed
from tests.clients.stage import Stage, recorded_speech, stage
from tests.invariants import Broken, Invariants

DRIVER_LIMIT_S: Final = 240.0
SECRET: Final = re.compile(r"ek_[\w-]+")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def set_up(client: Client) -> None:
    started = time.monotonic()
    if environments.set_up(client):
        say(f"… {client.name} installed in {time.monotonic() - started:.0f} s")


def settings(client: Client, running: Stage, speech: tuple[Path, str]) -> Mapping[str, str]:
    """What a driver and a page's program find in their environment."""
    server = running.secure if client.needs_tls else running.plain
    return client.environment(
        REPARTEE_BASE_URL=f"{server.url}/v1",
        REPARTEE_API_KEY=server.key,
        SCRIPTED_PROVIDER=running.provider.origin,
        SPEECH_FILE=str(speech[0]),
        SPEECH_WORDS=speech[1],
        WIRE_FILE=str(speech[0].with_name(f"{client.name}.frames")),
        CHROMIUM=shutil.which("chromium") or "chromium",
        NODE_EXTRA_CA_CERTS=str(running.certificate),
    )


def driver(client: Client) -> Path:
    """The driver where its language finds the client's packages."""
    if client.is_python:
        return client.folder / f"{client.driver}.py"
    for file in (*client.folder.glob("*.mjs"), *SHARED.glob("*.mjs")):
        shutil.copy(file, client.installed)
    return client.installed / f"{client.driver}.mjs"


def drive(client: Client, environment: Mapping[str, str], report: Report) -> None:
    for line in output(client, driver(client), environment):
        if result := parsed(client.name, line):
            report.add(result)
        else:
            say(f"  {line}")
    report.missing(client.name)
    report.add(rules_kept(client, Path(environment["WIRE_FILE"])))


def rules_kept(client: Client, wire: Path) -> Result:
    """Every frame of every connection, held against what a Realtime client may rely on."""
    connections: defaultdict[str, Invariants] = defaultdict(Invariants)
    frames = wire.read_text().splitlines() if wire.exists() else []
    try:
        for frame in frames:
            number, _, event = frame.partition(" ")
            connections[number].see(event)
    except Broken as broken:
        return Result("FAIL", client.name, RULES, str(broken))
    detail = f"{len(frames)} frames of {len(connections)} connections"
    return Result("PASS" if frames else "FAIL", client.name, RULES, detail)


def output(client: Client, program: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The program's lines as they come. It is ended when it takes too long."""
    with subprocess.Popen(
        client.command(program),
        env=environment,
        cwd=client.installed,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        limit = Timer(DRIVER_LIMIT_S, process.kill)
        limit.start()
        try:
            yield from (line.rstrip() for line in process.stdout or ())
        finally:
            limit.cancel()


def follow_page(client: Client, page: str, port: int, environment: Mapping[str, str], report: Report) -> None:
    """Runs the page's programs. The first asks the guide what Repartee is, and must print an answer that says so.

    One that follows makes a client secret, and must print it.
    """
    talks, *makes_secret = snippets.written(client, page, port)
    printed = [(talks, "voice agents"), *((program, "ek_") for program in makes_secret)]
    for program, expected in printed:
        report.add(follow(client, program, expected, environment))


def follow(client: Client, program: Path, expected: str, environment: Mapping[str, str]) -> Result:
    try:
        done = subprocess.run(
            client.command(program),
            env=environment,
            cwd=client.installed,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    except subprocess.TimeoutExpired as over:
        return Result("FAIL", "docs", program.stem, str(over))
    followed = done.returncode == 0 and expected in done.stdout
    detail = " ".join((done.stdout if followed else done.stdout + done.stderr[-600:]).split())
    return Result("PASS" if followed else "FAIL", "docs", program.stem, SECRET.sub("ek_…", detail))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=", ".join(client.name for client in CLIENTS))
    wanted = parser.parse_args().clients
    if unknown := set(wanted) - {client.name for client in CLIENTS}:
        parser.error(f"no such client: {', '.join(sorted(unknown))}")
    chosen = [client for client in CLIENTS if not wanted or client.name in wanted]
    report, started = Report(), time.monotonic()
    for client in chosen:
        set_up(client)
    with tempfile.TemporaryDirectory(prefix="repartee-clients-") as folder, stage(Path(folder)) as running:
        say(f"… servers are ready after {time.monotonic() - started:.0f} s")
        speech = recorded_speech(Path(folder))
        for client in chosen:
            environment = settings(client, running, speech)
            drive(client, environment, report)
            for page in client.documents:
                port = (running.secure if client.needs_tls else running.plain).port
                follow_page(client, page, port, environment, report)
    say(f"… {time.monotonic() - started:.0f} s in all")
    for line in report.lines():
        say(line)
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
