"""The whole schema and a row's way there and back on a real PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path

from tests.processes import manage

ROUND_TRIP = """
import json
from django.db import connection
from agents.services import ensure_guide
from agents.models import Agent
slug = ensure_guide().slug
agent = Agent.objects.get(slug=slug)
print(json.dumps([connection.vendor, agent.slug, agent.published.agent_spec.slug]))
"""


def test_migrations_and_a_round_trip(postgres_url: str, tmp_path: Path) -> None:
    manage(tmp_path, "migrate", "--verbosity", "0", DATABASE_URL=postgres_url)
    manage(tmp_path, "makemigrations", "--check", "--dry-run", DATABASE_URL=postgres_url)
    shown = manage(tmp_path, "shell", "--no-imports", "-c", ROUND_TRIP, DATABASE_URL=postgres_url)
    assert json.loads(shown.splitlines()[-1]) == ["postgresql", "guide", "guide"]
    assert not (tmp_path / "repartee.sqlite3").exists()
