"""Scenario 6: the disk is full. Nothing is half stored, and all goes on when there is room."""

import contextlib
import resource
from pathlib import Path

import pytest

from actors.store.errors import NoSpaceError
from actors.store.partition import Partition
from store_work import check, commit, in_child, snapshot

SIZE = 50_000
LIMIT_BYTES = 4 << 20
COVERED = 20  # commits that a snapshot covers before the disk is full


def until_full(folder: Path) -> dict[str, int]:
    """Commits until there is no room, frees some, goes on, gets room, goes on."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    with Partition.open(folder, create=True) as partition:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, hard))
        full = 0
        with contextlib.suppress(NoSpaceError):
            while True:
                full = commit(partition, full + 1, SIZE)
                if full == COVERED:
                    snapshot(partition)
        with pytest.raises(NoSpaceError, match="no room for 50,"):
            commit(partition, full + 1, SIZE)
        # Reading works, and so does deleting, which makes room within the file.
        assert check(partition, SIZE) == full
        assert partition.trim_journal(COVERED + 1) == COVERED
        for number in range(full + 1, full + 11):
            commit(partition, number, SIZE)
        within = number
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        for number in range(within + 1, within + 201):
            commit(partition, number, SIZE)
        assert len(list(partition.journal(full))) == number - full
    with Partition.open(folder) as partition:
        return {"full": full, "within": within, "last": partition.head.journal_last}


def test_a_full_disk_refuses_commits_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how, answer = in_child(lambda: until_full(tmp_path / "p"))
    assert how == "returned", repr(answer)
    assert answer["full"] > COVERED
    assert answer["last"] == answer["full"] + 210
    with capsys.disabled():
        print(
            f"\nscenario 6: full after {answer['full']} commits, then 10 in freed pages, then 200"
        )
