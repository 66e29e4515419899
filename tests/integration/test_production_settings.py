"""What a process refuses, and what it sets, when nothing says that this is development."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, environment

SECRET = base64.urlsafe_b64encode(bytes(range(32))).decode()
SECRETS = {"SECRET_KEY": f"{SECRET}{SECRET}", "REPARTEE_ENCRYPTION_KEYS": f"{SECRET}, {SECRET}"}
SHOW = """
import json
from django.conf import settings
names = ("DEBUG", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "REPARTEE_DEV_API_KEY",
         "REPARTEE_ENCRYPTION_KEYS", "ALLOWED_HOSTS")
print(json.dumps({name: getattr(settings, name) for name in names}))
"""


def run(data: Path, *arguments: str, **overrides: str) -> subprocess.CompletedProcess[str]:
    given = {"REPARTEE_ENV": "production", "DJANGO_SETTINGS_MODULE": "project.settings", **overrides}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=environment(data, **given), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("missing", SECRETS)
def test_it_does_not_start_without_its_secrets(tmp_path: Path, missing: str) -> None:
    secrets = {name: value for name, value in SECRETS.items() if name != missing}
    refused = run(tmp_path, "manage.py", "check", **secrets)
    assert refused.returncode != 0
    assert f"Set {missing}" in refused.stderr
    assert not (tmp_path / "secrets").exists()


def test_an_unknown_environment_is_refused(tmp_path: Path) -> None:
    refused = run(tmp_path, "manage.py", "check", **{**SECRETS, "REPARTEE_ENV": "staging"})
    assert refused.returncode != 0
    assert "REPARTEE_ENV must be development or production" in refused.stderr


def test_its_defaults_are_safe(tmp_path: Path) -> None:
    shown = run(tmp_path, "-c", SHOW, **SECRETS, REPARTEE_DEV_API_KEY="any", REPARTEE_ALLOWED_HOSTS="voice.example.com")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout) == {
        "DEBUG": False,
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SECURE_SSL_REDIRECT": True,
        "REPARTEE_DEV_API_KEY": "",
        "REPARTEE_ENCRYPTION_KEYS": [SECRET, SECRET],
        "ALLOWED_HOSTS": ["voice.example.com", "localhost", "127.0.0.1", "[::1]"],
    }


def test_trace_ids_are_the_same_in_every_process_and_tell_nothing_of_the_secret(tmp_path: Path) -> None:
    show = "from django.conf import settings; print(settings.REPARTEE_TRACE_KEY.hex())"
    first, second = (run(tmp_path, "-c", show, **SECRETS).stdout.strip() for _ in range(2))
    other = run(tmp_path, "-c", show, **SECRETS | {"SECRET_KEY": "another"}).stdout.strip()
    assert first == second != other
    assert len(bytes.fromhex(first)) == 64
    assert SECRETS["SECRET_KEY"].encode() not in bytes.fromhex(first)


def test_djangos_own_deployment_check_is_content(tmp_path: Path) -> None:
    hsts = {"REPARTEE_HSTS_INCLUDE_SUBDOMAINS": "true", "REPARTEE_HSTS_PRELOAD": "true"}
    checked = run(tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING", **SECRETS, **hsts)
    assert checked.returncode == 0, checked.stderr


def test_setting_up_a_machine_of_ones_own_is_refused(tmp_path: Path) -> None:
    refused = run(tmp_path, "-m", "project.launch", **SECRETS)
    assert refused.returncode != 0
    assert "REPARTEE_ENV=development" in refused.stderr
    assert not (tmp_path / "repartee.sqlite3").exists()
