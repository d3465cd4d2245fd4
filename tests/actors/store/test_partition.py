"""Checks what a commit stores, what it refuses, and what is read back."""

from pathlib import Path

import pytest

from actors.store.errors import CorruptError, TooLargeError, TrimmedError
from actors.store.outbox import Block
from actors.store.partition import Partition
from actors.store.relay_marks import Position
from store_work import SOURCE, check, commit, fill

MIB = 1 << 20


def test_what_was_committed_is_there_after_opening_again(tmp_path: Path) -> None:
    with Partition.open(tmp_path, create=True) as partition:
        assert partition.epoch == 1
        assert partition.commit([b"a", b"b"], [b"x", b""], {b"s": 5, b"t": 0}) == 2
        assert partition.commit(b"c") == 3
    with Partition.open(tmp_path) as partition:
        assert partition.epoch == 2
        assert list(partition.journal()) == [(1, b"a"), (2, b"b"), (3, b"c")]
        assert list(partition.journal(2)) == [(3, b"c")]
        assert list(partition.journal(3)) == []
        assert list(partition.outbox()) == [Block(2, (b"x", b""))]
        assert dict(partition.cursors) == {b"s": 5, b"t": 0}
        assert partition.head.transactions == 4


def test_what_is_refused_leaves_nothing(tmp_path: Path) -> None:
    with Partition.open(tmp_path, create=True) as partition:
        commit(partition, 1)
        before = partition.head
        with pytest.raises(ValueError, match="needs a journal record"):
            partition.commit([], [b"x"])
        with pytest.raises(TooLargeError, match="journal has 1,048,577 bytes"):
            partition.commit([b"a", bytes(MIB + 1)])
        with pytest.raises(TooLargeError, match="outbox has 1,048,577 bytes"):
            partition.commit(b"a", [bytes(MIB + 1)])
        with pytest.raises(TooLargeError, match="the name of a source has 512 bytes"):
            partition.commit(b"a", (), {bytes(512): 1})
        with pytest.raises(ValueError, match="is at 1 and cannot go back to 0"):
            partition.commit(b"a", (), {SOURCE: 0})
        assert partition.head == before
        assert check(partition) == 1


def test_an_outbox_block_of_many_parts(tmp_path: Path) -> None:
    effects = (bytes(MIB), b"small", bytes(MIB - 9), *(b"%d" % n for n in range(300_000)))
    with Partition.open(tmp_path, create=True) as partition:
        partition.commit(b"a", [b"first"])
        partition.commit(b"b", effects)
        partition.commit(b"c", [b"last"])
        found = list(partition.outbox())
        assert [block.commit for block in found] == [1, 2, 3]
        assert found[1].effects == effects
        assert list(partition.outbox(2)) == [Block(3, (b"last",))]


def test_long_journals_are_read_in_chunks(tmp_path: Path) -> None:
    with Partition.open(tmp_path, create=True) as partition:
        records = [b"%d" % number for number in range(1000)]
        partition.commit(records)
        reading = partition.journal()
        assert next(reading) == (1, b"0")
        partition.commit(b"later")
        assert [record for _, record in reading] == records[1:]


def test_the_relay_moves_on_and_keeps_rows(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    with Partition.open(tmp_path) as partition:
        assert partition.relay_position == Position(1, 1)
        with pytest.raises(ValueError, match=r"at \(1, 1\)"):
            partition.mark_relay(Position(1, 0))
        with pytest.raises(ValueError, match="the outbox ends at 4"):
            partition.mark_relay(Position(5))
        with pytest.raises(ValueError, match="1 rows are both put and deleted"):
            partition.mark_relay(put={b"a": b""}, delete=[b"a"])
        with pytest.raises(TooLargeError, match="the name of a row has 512 bytes"):
            partition.mark_relay(put={bytes(512): b""})
        partition.mark_relay(Position(2), put={b"dead/a": b"why"})
        partition.mark_relay(put={b"dead/key": b"new"}, delete=[b"ambiguous/key", b"not there"])
        assert partition.head.relay_rows == 2
    with Partition.open(tmp_path) as partition:
        assert partition.relay_position == Position(2)
        rows = [(b"dead/a", b"why"), (b"dead/key", b"new")]
        assert list(partition.relay_rows(b"ambiguous/")) == []
        assert list(partition.relay_rows(b"dead/")) == rows
        assert list(partition.relay_rows(b"dead/", b"dead/a")) == rows[1:]
        assert list(partition.relay_rows()) == rows


def test_many_rows_are_read_in_chunks(tmp_path: Path) -> None:
    rows = {b"row %03d" % number: b"%d" % number for number in range(600)}
    with Partition.open(tmp_path, create=True) as partition:
        partition.mark_relay(put=rows)
        assert dict(partition.relay_rows(b"row")) == rows


def test_a_row_whose_name_was_damaged_is_missed(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    data = (tmp_path / "data.mdb").read_bytes()
    (tmp_path / "data.mdb").write_bytes(data.replace(b"dead/key", b"dfad/key"))
    with pytest.raises(CorruptError, match="the 2 rows of the relay are not the 2 it wrote"):
        Partition.open(tmp_path)


def test_trimming_keeps_what_is_needed(tmp_path: Path) -> None:
    fill(tmp_path, 20)  # the last snapshot is that of 14
    with Partition.open(tmp_path) as partition:
        with pytest.raises(ValueError, match="up to record 14, so it cannot be trimmed before 16"):
            partition.trim_journal(16)
        assert partition.trim_journal(15) == 14
        assert partition.trim_journal(15) == 0
        assert [number for number, _ in partition.journal(14)] == list(range(15, 21))
        with pytest.raises(TrimmedError, match="begins with record 15; 14 was asked for"):
            next(partition.journal(13))
        with pytest.raises(ValueError, match="the relay is at commit 1"):
            partition.trim_outbox(2)
        partition.mark_relay(Position(12))
        assert partition.trim_outbox(11) == 9  # 5 and 10 had no effects
        assert next(partition.outbox(11)).commit == 12
        with pytest.raises(TrimmedError, match="trimmed up to commit 11"):
            next(partition.outbox(10))
        commit(partition, 21)
    with Partition.open(tmp_path) as partition:
        assert [number for number, _ in partition.journal(14)] == list(range(15, 22))
