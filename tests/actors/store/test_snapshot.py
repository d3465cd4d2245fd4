"""Checks that a snapshot counts from its flip on, keeps slices, and sweeps what is not named."""

from pathlib import Path

import pytest

from actors.store.errors import TooLargeError
from actors.store.partition import Partition


def slices(partition: Partition) -> int:
    """How many slices are stored, named or not."""
    with partition.environment.reading() as txn:
        return sum(1 for _ in partition.environment.keys(txn, "slices"))


def test_a_snapshot_counts_from_its_flip_on(tmp_path: Path) -> None:
    with Partition.open(tmp_path, create=True) as partition:
        assert partition.load_snapshot() is None
        partition.commit([b"a", b"b"])
        first = partition.begin_snapshot()
        first.put_slice(b"one", b"1" * (8 << 20))
        first.put_slice(b"two", b"2")
        partition.commit(b"c")
        assert partition.load_snapshot() is None
        first.flip(b"mine")
        found = partition.load_snapshot()
        assert found is not None
        assert (found.sequence, found.payload) == (2, b"mine")
        assert list(found.slices()) == [(b"one", b"1" * (8 << 20)), (b"two", b"2")]
        assert found.slice(b"two") == b"2"

        second = partition.begin_snapshot()
        second.keep(b"one")
        second.put_slice(b"two", b"II")
        assert slices(partition) == 3
        second.flip()
        assert partition.sweep_snapshots() == 1
        assert slices(partition) == 2
    with Partition.open(tmp_path) as partition:
        found = partition.load_snapshot()
        assert found is not None
        assert found.sequence == 3
        assert dict(found.slices()) == {b"one": b"1" * (8 << 20), b"two": b"II"}


def test_one_given_up_is_swept_by_the_next(tmp_path: Path) -> None:
    with Partition.open(tmp_path, create=True) as partition:
        partition.commit(b"a")
        given_up = partition.begin_snapshot()
        given_up.put_slice(b"one", b"1")
        assert partition.sweep_snapshots() == 0
        partition.begin_snapshot().flip()
        assert slices(partition) == 0
        with pytest.raises(ValueError, match="snapshot 2 was begun after 1"):
            given_up.flip()


def test_what_is_refused(tmp_path: Path) -> None:
    with Partition.open(tmp_path, create=True) as partition:
        partition.commit([b"a", b"b", b"c"])
        with pytest.raises(ValueError, match="journal record 4: expected 0 to 3"):
            partition.begin_snapshot(4)
        writer = partition.begin_snapshot(2)
        with pytest.raises(TooLargeError, match="slice has 8,388,609 bytes"):
            writer.put_slice(b"one", bytes((8 << 20) + 1))
        with pytest.raises(TooLargeError, match="504 bytes; expected 1 to 503"):
            writer.put_slice(bytes(504), b"")
        writer.put_slice(b"one", b"1")
        with pytest.raises(ValueError, match="there already"):
            writer.put_slice(b"one", b"2")
        with pytest.raises(KeyError, match="has no slice b'two'"):
            writer.keep(b"two")
        writer.flip()
        with pytest.raises(ValueError, match="journal record 1: expected 2 to 3"):
            partition.begin_snapshot(1)
