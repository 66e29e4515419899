"""Databases of a test's own: a file that can be locked or taken away, a PostgreSQL that can be stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQL
from environ import Env


@contextlib.contextmanager
def using(url: str, **options: Any) -> Iterator[None]:
    """Every thread's default database is the one at `url`, migrated."""
    ours = connections["default"]
    held: dict[str, Any] = connections.settings["default"]
    config = Env.db_url_config(url)
    options = {**(held["OPTIONS"] if config["ENGINE"] == held["ENGINE"] else {}), **options}
    connections.settings["default"] = {**held, "HOST": "", "PORT": "", **config, "OPTIONS": options}
    del connections["default"]
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        connection = connections["default"]
        connection.close()
        if isinstance(connection, PostgreSQL):
            connection.close_pool()
        connections.settings["default"] = held
        connections["default"] = ours


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'records.sqlite3'}"
