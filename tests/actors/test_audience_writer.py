"""Check that an audience folder appears whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from actors.audience_writer import new_folder, row_groups
from core.errors import HeadraceError


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a" / "b") as work:
        (work / "schema.json").write_text("{}")
        assert not (tmp_path / "a" / "b").exists()
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]
    assert (tmp_path / "a" / "b" / "schema.json").read_text() == "{}"


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), ValueError("x")])
def test_nothing_is_left_of_a_broken_one(tmp_path: Path, stop: BaseException) -> None:
    def write() -> None:
        with new_folder(tmp_path / "a") as work:
            (work / "schema.json").write_text("{")
            raise stop

    with pytest.raises(type(stop)):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    def write() -> None:
        with new_folder(tmp_path / "a"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(HeadraceError, match="the disk is full") as caught:
        write()
    assert caught.value.file == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HeadraceError, match="cannot write"), new_folder(tmp_path / "file" / "a"):
        pass


def test_only_an_audience_is_replaced_and_only_when_told(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    with new_folder(old) as work:  # an empty folder is as good as none
        (work / "schema.json").write_text("1")
    with pytest.raises(HeadraceError, match="an audience is there already"), new_folder(old):
        pass
    with new_folder(old, replace=True) as work:
        (work / "schema.json").write_text("2")
    assert (old / "schema.json").read_text() == "2"
    assert [p.name for p in tmp_path.iterdir()] == ["old"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with (
        pytest.raises(HeadraceError, match="something other than an audience"),
        new_folder(tmp_path / "mine", replace=True),
    ):
        pass
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_row_groups_cover_all_rows_once() -> None:
    assert list(row_groups(0)) == [(0, 0)]
    assert list(row_groups(1 << 18)) == [(0, 1 << 18)]
    assert list(row_groups((1 << 18) + 1)) == [(0, 1 << 18), (1 << 18, (1 << 18) + 1)]
