from __future__ import annotations

import os
from pathlib import Path

import pytest

from sessions.spill import Spill, abandoned


def lines(*words: str) -> list[bytes]:
    return [f"{word}\n".encode() for word in words]


def everything(spill: Spill) -> list[bytes]:
    found = []
    while spill:
        found += spill.first()
        spill.drop_first()
    return found


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "a", max_bytes=40)
    for word in ("one", "two", "three", "four"):
        spill.append(lines(word))
    assert len(list((tmp_path / "a").glob("*.jsonl"))) > 1
    assert everything(spill) == lines("one", "two", "three", "four")


def test_beyond_the_bound_the_oldest_go_and_are_counted(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "a", max_bytes=40)
    dropped = sum(spill.append(lines(f"line {n:03d}")) for n in range(20))
    kept = everything(spill)
    assert dropped + len(kept) == 20
    assert kept == lines(*(f"line {n:03d}" for n in range(dropped, 20)))
    assert sum(map(len, kept)) <= 40


def test_one_process_holds_it_and_the_next_finds_it(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "a", max_bytes=1000)
    spill.append(lines("kept"))
    assert abandoned(tmp_path, max_bytes=1000) == []
    spill.close()
    (found,) = abandoned(tmp_path, max_bytes=1000)
    assert found.append(lines("more")) == 0
    assert everything(found) == lines("kept", "more")


def test_an_empty_one_leaves_nothing_behind(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "a", max_bytes=1000)
    spill.append(lines("x"))
    everything(spill)
    spill.close()
    spill.close()
    assert list(tmp_path.iterdir()) == []


def test_a_line_its_writer_died_in_is_cut_off(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "a", max_bytes=1000)
    spill.append(lines("whole"))
    spill.close()
    (file,) = (tmp_path / "a").glob("*.jsonl")
    file.write_bytes(b"whole\nhal")
    (found,) = abandoned(tmp_path, max_bytes=1000)
    found.append(lines("next"))
    assert everything(found) == lines("whole", "next")


def test_a_refusing_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spill = Spill(tmp_path / "a", max_bytes=1000)
    spill.append(lines("before"))
    write = os.pwrite

    def half(fd: int, data: memoryview, at: int) -> int:
        if len(data) == 1:
            raise OSError(28, "No space left on device")
        return write(fd, data[:-1], at)

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match="No space"):
        spill.append(lines("lost"))
    monkeypatch.undo()
    assert spill.first() == lines("before")
    spill.append(lines("after"))
    assert everything(spill) == lines("before", "after")
