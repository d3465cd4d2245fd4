"""Checks what a folder must be to be opened, and that it is opened once."""

import json
import os
from pathlib import Path

import pytest

from actors.store.errors import FormatError, InUseError, MisuseError, StoreError
from actors.store.folder import DATA, FORMAT, LOCK, SIDE, FolderLock, create_format
from actors.store.partition import Partition
from actors.store.side_file import SideFile, read_number
from store_work import commit, in_child


def test_one_process_opens_it_once(tmp_path: Path) -> None:
    with Partition.open(tmp_path / "p", create=True):
        with pytest.raises(InUseError, match="this process has the partition open already"):
            Partition.open(tmp_path / "p")
        how, answer = in_child(lambda: FolderLock(tmp_path / "p"))
        assert how == "raised"
        assert f"open in process {os.getpid()}" in str(answer)
    Partition.open(tmp_path / "p").close()


def test_a_lock_inherited_by_a_fork_is_dropped(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    assert in_child(lambda: lock.held) == ("returned", False)
    with pytest.raises(InUseError):
        FolderLock(tmp_path)
    lock.release()
    FolderLock(tmp_path).release()


def test_a_takeover_leaves_the_old_holder_without_the_name(tmp_path: Path) -> None:
    old = FolderLock(tmp_path)
    new = FolderLock(tmp_path, takeover=True)
    old.release()
    with pytest.raises(InUseError):
        FolderLock(tmp_path)
    new.release()
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_a_folder_without_a_partition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="there is no partition here"):
        Partition.open(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(FormatError, match="the folder is not empty"):
        Partition.open(tmp_path, create=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"format": "headrace partition", "version": 2}',
            "format version 2; this release reads 1",
        ),
        ('{"format": "diary", "version": 1}', "the folder holds 'diary' instead of"),
        ("{", "does not say what the folder holds"),
        ("[]", "does not say what the folder holds"),
    ],
)
def test_another_format_is_refused(tmp_path: Path, text: str, message: str) -> None:
    Partition.open(tmp_path / "p", create=True).close()
    (tmp_path / "p" / FORMAT).write_text(text)
    with pytest.raises(FormatError, match=message):
        Partition.open(tmp_path / "p")


def test_the_format_is_stated(tmp_path: Path) -> None:
    create_format(tmp_path / "p")
    assert json.loads((tmp_path / "p" / FORMAT).read_bytes()) == {
        "format": "headrace partition",
        "version": 1,
        "engine": "lmdb 0.9",
    }


def test_an_unfinished_partition_is_finished_only_on_demand(tmp_path: Path) -> None:
    create_format(tmp_path / "p")
    with pytest.raises(StoreError, match="the file is missing"):
        Partition.open(tmp_path / "p")
    with Partition.open(tmp_path / "p", create=True) as partition:
        assert commit(partition, 1) == 1


def test_a_creation_that_was_torn_is_begun_anew(tmp_path: Path) -> None:
    create_format(tmp_path / "p")
    SideFile(tmp_path / "p" / SIDE, create=True).close()
    (tmp_path / "p" / DATA).write_bytes(bytes(8192))
    with pytest.raises(FormatError, match="was not made to its end"):
        Partition.open(tmp_path / "p")
    with Partition.open(tmp_path / "p", create=True) as partition:
        assert commit(partition, 1) == 1
    assert read_number(tmp_path / "p" / SIDE) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_missing_rights_are_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="permission denied"):
        Partition.open(tmp_path / "p", create=True)


def test_a_closed_partition_says_so(tmp_path: Path) -> None:
    partition = Partition.open(tmp_path / "p", create=True)
    partition.close()
    partition.close()
    with pytest.raises(MisuseError, match="the partition is closed"):
        commit(partition, 1)
