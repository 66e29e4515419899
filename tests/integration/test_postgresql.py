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


ANY_ID = """
from datetime import UTC, datetime
from sessions.models import ConversationItem
from sessions.pipeline.records import ItemRecorded, SessionOpened
from sessions.recording import store
now = datetime.now(UTC)
opened = SessionOpened("sess_1", "guide", 1, "websocket", "server", now, store_text=False)
ids = ("a\\0b", "x" * 512)
items = [ItemRecorded("sess_1", at, item_id, 0, "message", "user", None, now) for at, item_id in enumerate(ids)]
store([opened, *items])
print(ConversationItem.objects.filter(session="sess_1").count())
"""


def test_an_item_is_recorded_whatever_its_client_calls_it(postgres_url: str, tmp_path: Path) -> None:
    manage(tmp_path, "migrate", "--verbosity", "0", DATABASE_URL=postgres_url)
    shown = manage(tmp_path, "shell", "--no-imports", "-c", ANY_ID, DATABASE_URL=postgres_url)
    assert shown.splitlines()[-1] == "2"
