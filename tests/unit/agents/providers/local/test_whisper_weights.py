from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest

from agents.errors import ConfigurationError
from agents.providers.local import whisper_weights


@pytest.fixture
def halves(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "one", tmp_path / "two"]
    for path, data in zip(paths, (b"first ", b"second"), strict=True):
        path.write_bytes(data)
    return paths


def test_halves_are_joined_in_order_and_hashed(halves: list[Path], tmp_path: Path) -> None:
    digest = whisper_weights._join(halves, tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == b"first second"
    assert digest == hashlib.sha256(b"first second").hexdigest()


def test_damaged_halves_are_refused_and_leave_nothing_behind(halves: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "models" / "whisper"
    with pytest.raises(ConfigurationError, match="reinstall"):
        whisper_weights._install(halves, [], target)
    assert list(target.parent.iterdir()) == []


def test_a_full_disk_says_what_to_do(halves: list[Path], tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as failure:
        whisper_weights._join(halves, Path("/dev/full"))
    assert failure.value.errno == errno.ENOSPC
    advice = whisper_weights._advice(failure.value, tmp_path)
    assert "free 150 MB" in advice
    assert str(tmp_path) in advice


def test_a_data_directory_that_is_a_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigurationError, match="REPARTEE_DATA"):
        whisper_weights.directory(tmp_path / "data")
