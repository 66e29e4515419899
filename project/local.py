"""What a machine of one's own needs: generated secrets, and the names it is called by."""

from __future__ import annotations

import base64
import os
import secrets
import socket
from pathlib import Path

ENVIRONMENT_FILE = "environment"


def remembered_environment(data: Path) -> str:
    """What the folder was made for: `make run` marks its own, so that its commands need no REPARTEE_ENV."""
    marker = data / ENVIRONMENT_FILE
    return marker.read_text().strip() if marker.exists() else "production"


def remember_environment(data: Path, environment: str) -> None:
    (data / ENVIRONMENT_FILE).write_text(f"{environment}\n")


def generated_secret(path: Path) -> str:
    """32 random bytes in URL-safe base64 (a valid Fernet key), made once and kept at `path` for its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(fresh)
    try:
        os.link(draft, path)  # atomic, and fails where another process was first
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text()


def loopback_names(*, local_network: bool) -> list[str]:
    """Host names that mean this machine; with `local_network` also what a phone in the same network calls it."""
    names = ["localhost", "127.0.0.1", "[::1]"]
    if not local_network:
        return names
    host = socket.gethostname()
    return [*names, host, f"{host}.local", *lan_addresses()]


def lan_addresses() -> list[str]:
    """This machine's address on the local network, when it has one. Nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: an address that never is anybody's
        except OSError:
            return []
        return [probe.getsockname()[0]]
