from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.fernet import Fernet

from project.local import generated_secret, remember_environment, remembered_environment


def test_a_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "key"
    made = generated_secret(path)
    assert generated_secret(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [path] == list(path.parent.iterdir())
    Fernet(made)


def test_processes_that_start_together_agree_on_the_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(generated_secret, [tmp_path / "key"] * 64))) == 1


def test_a_folder_is_for_production_unless_it_was_marked(tmp_path: Path) -> None:
    assert remembered_environment(tmp_path) == "production"
    remember_environment(tmp_path, "development")
    assert remembered_environment(tmp_path) == "development"
