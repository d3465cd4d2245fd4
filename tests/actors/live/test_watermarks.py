"""Tests of `actors.live.watermarks`: when it is too full for more rows."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from actors.live import watermarks
from actors.live.errors import BusyError, FullError
from actors.live.watermarks import Marks, Watermarks, machine_memory_bytes, resident_bytes


@pytest.mark.parametrize(
    ("free_blocks", "state"),
    [(500, "ok"), (201, "ok"), (200, "warn"), (101, "warn"), (100, "full"), (0, "full")],
)
def test_the_disk_has_two_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_blocks: int, state: str
) -> None:
    found = SimpleNamespace(f_bavail=free_blocks, f_bfree=free_blocks, f_frsize=4096, f_blocks=1000)
    monkeypatch.setattr(os, "statvfs", lambda path: found)
    marks = Watermarks(tmp_path, Marks())
    marks.look()
    assert marks.disk_state == state
    refusal = marks.refusal()
    assert isinstance(refusal, FullError) == (state == "full")


def test_a_large_disk_with_room_is_not_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = SimpleNamespace(f_bavail=1 << 24, f_bfree=1 << 24, f_frsize=4096, f_blocks=1 << 31)
    monkeypatch.setattr(os, "statvfs", lambda path: found)
    marks = Watermarks(tmp_path, Marks())
    marks.look()
    assert (round(marks.disk_used, 3), marks.disk_state) == (0.992, "ok")


def test_it_looks_again_after_a_while_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = [1 << 30]
    monkeypatch.setattr(watermarks, "resident_bytes", lambda: used[0])
    marks = Watermarks(tmp_path, Marks(disk_full=1.1, memory_bytes=2 << 30))
    assert marks.refusal() is None
    used[0] = 3 << 30
    assert marks.refusal() is None
    monkeypatch.setattr(watermarks, "LOOK_AGAIN_S", 0.0)
    refusal = marks.refusal()
    assert isinstance(refusal, BusyError)
    assert "3,072 MiB of memory, and from 2,048 MiB on" in str(refusal)


def test_memory_is_that_of_the_machine() -> None:
    assert 0 < resident_bytes() < machine_memory_bytes()


def test_a_confined_process_has_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(watermarks, "_CGROUP_LIMIT", limit)
    physical = machine_memory_bytes()
    for text, expected in (("1048576\n", 1 << 20), ("max\n", physical)):
        limit.write_text(text)
        assert machine_memory_bytes() == expected
