"""Scenario 9: a backup under load is one moment's truth, and replay catches up from it."""

import threading
from pathlib import Path

import pytest

from actors.store.backup import restore
from actors.store.errors import MisuseError
from actors.store.partition import Partition
from actors.store.verify import verify
from store_work import check, commit, contents, effects, in_child, record, snapshot

SIZE = 20_000


def test_a_backup_under_load_is_restored_and_catches_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Partition.open(tmp_path / "p", create=True, map_bytes=1 << 20) as partition:
        for number in range(1, 201):
            commit(partition, number, SIZE)
        snapshot(partition)
        copied = threading.Event()

        def load() -> None:
            while not copied.is_set():
                commit(partition, partition.head.journal_last + 1, SIZE)

        thread = threading.Thread(target=load)
        thread.start()
        try:
            head = partition.backup(tmp_path / "backup")
        finally:
            copied.set()
            thread.join()
        expected = contents(partition)
        last = partition.head.journal_last
        assert 200 <= head.journal_last < last
        inputs = list(partition.journal(head.journal_last))
    assert verify(tmp_path / "backup").first_problem == ""
    restore(tmp_path / "backup", tmp_path / "restored")
    with Partition.open(tmp_path / "restored") as restored:
        assert check(restored, SIZE) == head.journal_last
        for number, data in inputs:
            assert data == record(number, SIZE)
            assert restored.commit(data, effects(number), {b"shop": number}) == number
        assert contents(restored) == expected
    with capsys.disabled():
        print(f"\nscenario 9: copied at commit {head.journal_last}, {len(inputs)} during the copy")


def test_a_fork_that_inherited_a_partition_fails_loudly(tmp_path: Path) -> None:
    with Partition.open(tmp_path / "p", create=True) as partition:
        commit(partition, 1)
        write, read = (lambda: commit(partition, 2)), (lambda: list(partition.journal()))
        for use in (write, read, partition.tend):
            how, answer = in_child(use)
            assert how == "raised"
            assert isinstance(answer, MisuseError)
            assert "forked" in str(answer)
        assert in_child(partition.close) == ("returned", None)
        commit(partition, 2)
        assert check(partition) == 2
