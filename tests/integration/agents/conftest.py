"""A file, an administrator, and an agent, as the tests of this folder start from."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents import as_code
from agents.models import Agent

TERSE = """\
accounts:
  - {name: lab, kind: openai_compatible, base_url: "http://127.0.0.1:9200/v1", api_key: unused}   # or api_key_env: NAME
agents:
  - slug: terse
    instructions: You are terse.
    brain: llm                      # or answers
    stt: {account: lab, model: whisper-1}
    llm: {account: lab, model: any}
    tts: {account: lab, model: tts-1, voice: alloy}
    turn_detection: {type: server_vad, silence_duration_ms: 300}
"""


@pytest.fixture
def terse(db: None) -> Agent:
    as_code.apply_document(TERSE)
    return Agent.objects.get(slug="terse")


@pytest.fixture
def admin_user(db: None) -> User:
    return User.objects.create_superuser("root", password="a long password")


@pytest.fixture
def admin(admin_user: User) -> Client:
    client = Client()
    client.force_login(admin_user)
    return client
