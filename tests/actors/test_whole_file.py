"""Checks that a file appears whole or not at all, and that devices and links are left in place."""

import contextlib
import os
import stat
from pathlib import Path

from actors.whole_file import whole_file


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_the_file_appears_when_the_block_ends_well(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    with whole_file(target) as part:
        part.write_text("new")
        assert part.parent == tmp_path
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(tmp_path) == ["report.json"]


def test_what_was_there_stays_until_then(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")
    with contextlib.suppress(RuntimeError), whole_file(target) as part:
        part.write_text("new")
        raise RuntimeError
    assert target.read_text() == "old"
    assert names(tmp_path) == ["report.json"]


def test_a_link_goes_on_to_lead_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with whole_file(tmp_path / "link") as part:
        part.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_device_is_written_to_and_not_replaced() -> None:
    with whole_file(Path(os.devnull)) as part:
        part.write_text("gone")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
