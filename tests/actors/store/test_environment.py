"""Checks the fence, and what is done about readers and about each way LMDB can fail."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from actors import failpoints
from actors.store.environment import Changes
from actors.store.errors import CorruptError, FencedError, HaltedError, InUseError, NoSpaceError
from actors.store.head import HEAD_KEY, pack_head, unpack_head
from actors.store.partition import Partition
from actors.store.side_file import SideFile
from store_work import check, commit


def overwrite_head(partition: Partition, **changes: int) -> None:
    """Changes the stored head as another process would."""
    with partition.environment.using() as environment, environment.begin(write=True) as txn:
        meta = environment.open_db(b"meta", txn=txn)
        record = txn.get(HEAD_KEY, db=meta)
        head = replace(unpack_head(record, ""), **changes)
        txn.put(HEAD_KEY, pack_head(head), db=meta)


@pytest.mark.parametrize(("epoch", "kind"), [(2, FencedError), (1, CorruptError)])
def test_whoever_was_superseded_writes_no_more(tmp_path: Path, epoch: int, kind: type) -> None:
    with Partition.open(tmp_path, create=True) as partition:
        commit(partition, 1)
        change = {"epoch": 2} if epoch == 2 else {"journal_last": 9}
        overwrite_head(partition, **change)
        with pytest.raises(kind):
            commit(partition, 2)
        with pytest.raises(FencedError if epoch == 2 else HaltedError):
            commit(partition, 2)


def test_a_full_disk_within_a_transaction_leaves_it_usable(tmp_path: Path) -> None:
    with Partition.open(tmp_path, create=True) as partition:
        commit(partition, 1)
        failpoints.arm("in_transaction", "enospc")
        with pytest.raises(NoSpaceError) as caught:
            commit(partition, 2)
        assert caught.value.file == os.fspath(tmp_path)
        assert check(partition) == 1
        assert commit(partition, 2) == 2
    with Partition.open(tmp_path) as partition:
        assert check(partition) == 2


def test_what_a_plan_raises_stores_nothing(tmp_path: Path) -> None:
    def plan(head: object) -> Changes:
        raise KeyError(head)

    with Partition.open(tmp_path, create=True) as partition:
        before = partition.head
        with pytest.raises(KeyError):
            partition.environment.write(plan)
        assert partition.head == before
        assert commit(partition, 1) == 1


def test_an_interrupt_halts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(side_file: SideFile, number: int) -> None:
        raise KeyboardInterrupt

    with Partition.open(tmp_path, create=True) as partition:
        with monkeypatch.context() as patched:
            patched.setattr(SideFile, "write", interrupt)
            with pytest.raises(KeyboardInterrupt):
                commit(partition, 1)
        with pytest.raises(HaltedError, match="committing failed: KeyboardInterrupt"):
            commit(partition, 1)
    with Partition.open(tmp_path) as partition:
        assert check(partition) == 1


def test_a_halt_waits_for_readers_and_then_closes(tmp_path: Path) -> None:
    with Partition.open(tmp_path, create=True) as partition:
        commit(partition, 1)
        reading = partition.environment.reading()
        txn = reading.__enter__()
        failpoints.arm("in_transaction", "eio")
        with pytest.raises(HaltedError, match=r"committing failed: .*Input/output error"):
            commit(partition, 2)
        # Closing at once would have taken the map from under the reader.
        assert partition.environment.head_in(txn).journal_last == 1
        reading.__exit__(None, None, None)
        with pytest.raises(HaltedError):
            list(partition.journal())


def test_the_map_begins_at_twice_the_file(tmp_path: Path) -> None:
    with Partition.open(tmp_path, create=True, map_bytes=1 << 20) as partition:
        for number in range(1, 60):
            commit(partition, number, 100_000)
    size = (tmp_path / "data.mdb").stat().st_size
    with Partition.open(tmp_path, map_bytes=1 << 20) as partition:
        assert partition.map_bytes >= 2 * size
        assert check(partition, 100_000) == 59


def test_the_file_has_the_format_that_is_stated(tmp_path: Path) -> None:
    with Partition.open(tmp_path, create=True) as partition:
        with partition.environment.using() as environment:
            assert environment.lib_version()[0] == 0
            flags = environment.flags()
        assert (flags["sync"], flags["metasync"], flags["writemap"]) == (True, True, False)
        assert flags["lock"] is True


def test_a_takeover_within_one_process_is_refused(tmp_path: Path) -> None:
    with Partition.open(tmp_path, create=True) as partition:
        with pytest.raises(InUseError, match="this process has the partition open already"):
            Partition.open(tmp_path, takeover=True)
        assert commit(partition, 1) == 1
