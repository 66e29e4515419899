"""Lines on disk, in order, for as long as they cannot go where they belong.

A spill is a folder of numbered files that only grow at their end. It belongs to the process that holds
its lock; one that nobody holds was left by a process that is gone, and may be adopted.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE_BYTES: Final = 4 * 1024 * 1024  # a file is replayed, and beyond the bound dropped, as a whole


@dataclass(slots=True)
class _File:
    path: Path
    lines: int
    size: int


class Spill:
    """Raises OSError when the disk refuses, and then holds what it held before.

    `max_bytes` bounds the folder. Not thread-safe.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._files = deque(_mend(path) for path in sorted(folder.glob("*.jsonl")))
        except OSError:
            os.close(self._lock)
            raise
        self._next = int(self._files[-1].path.stem) + 1 if self._files else 0

    def __bool__(self) -> bool:
        return bool(self._files)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self._files)

    def append(self, lines: Sequence[bytes]) -> int:
        """Add lines that end in a line feed, and wait until they are on the disk.

        Returns how many old lines had to go to make room.
        """
        data = b"".join(lines)
        last = self._files[-1] if self._files else None
        if last is None or last.size + len(data) > min(FILE_BYTES, self._max_bytes // 4):
            last = _File(self.folder / f"{self._next:012d}.jsonl", 0, 0)
        _append(last, data)
        last.lines, last.size = last.lines + len(lines), last.size + len(data)
        if not self._files or self._files[-1] is not last:
            self._files.append(last)
            self._next += 1
        return self._make_room()

    def first(self) -> list[bytes]:
        """The lines of the oldest file."""
        return self._files[0].path.read_bytes().splitlines(keepends=True)

    def drop_first(self) -> int:
        """Forget the oldest file; returns how many lines it had."""
        file = self._files.popleft()
        file.path.unlink(missing_ok=True)
        return file.lines

    def close(self) -> None:
        """Let go of the folder, and remove it if nothing is left in it. A second call does nothing."""
        if self._lock < 0:
            return
        if not self._files:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)
        self._lock = -1

    def _make_room(self) -> int:
        dropped = 0
        while self.size > self._max_bytes and len(self._files) > 1:
            dropped += self.drop_first()
        return dropped


def abandoned(folder: Path, *, max_bytes: int) -> list[Spill]:
    """The spills under `folder` whose processes are gone, oldest first, now held by this one."""
    found = []
    for path in sorted(folder.glob("*/"), key=lambda path: path.stat().st_mtime):
        try:
            found.append(Spill(path, max_bytes=max_bytes))
        except BlockingIOError:
            continue
    return found


def _append(file: _File, data: bytes) -> None:
    fd = os.open(file.path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        view, at = memoryview(data), file.size
        while view:
            written = os.pwrite(fd, view, at)
            view, at = view[written:], at + written
        os.fsync(fd)
    except OSError:
        os.ftruncate(fd, file.size)
        raise
    finally:
        os.close(fd)


def _mend(path: Path) -> _File:
    """A file as its writer left it, without the line it may have died in."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    return _File(path, data.count(b"\n"), whole)
