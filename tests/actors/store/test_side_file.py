"""Checks that the number of transactions survives a torn write, and that its loss is told."""

from pathlib import Path

import pytest

from actors.store.errors import CorruptError
from actors.store.side_file import FILE_BYTES, SECTOR_BYTES, SideFile, read_number


def test_the_greatest_number_counts(tmp_path: Path) -> None:
    path = tmp_path / "commits"
    side = SideFile(path, create=True, number=5)
    assert side.number == read_number(path) == 5
    for number in range(6, 50):
        side.write(number)
        assert read_number(path) == number
    side.close()
    assert path.stat().st_size == FILE_BYTES


def test_a_torn_write_leaves_the_number_before(tmp_path: Path) -> None:
    path = tmp_path / "commits"
    side = SideFile(path, create=True)
    side.write(1)
    side.write(2)
    side.close()
    data = bytearray(path.read_bytes())
    data[9] ^= 1
    path.write_bytes(data)
    assert read_number(path) == 1
    data[SECTOR_BYTES + 9] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptError, match="neither of its two numbers"):
        read_number(path)


@pytest.mark.parametrize("size", [0, 100])
def test_a_file_cut_short(tmp_path: Path, size: int) -> None:
    path = tmp_path / "commits"
    SideFile(path, create=True, number=3).close()
    path.write_bytes(path.read_bytes()[:size])
    if size:
        assert read_number(path) == 3
    else:
        with pytest.raises(CorruptError):
            read_number(path)
