"""Tests of the ledger of erasures: appended whole, cut where torn, refused where damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.people.erasures import (
    RECORD_BYTES,
    Erasure,
    Ledger,
    copy_longest,
    create_ledger,
    digest_of,
    read_ledger,
)
from actors.store.errors import CorruptError, HaltedError, NoSpaceError

KEY = bytes(range(32))
A, B, C = (digest_of(KEY, number) for number in (1, 2, 3))


def made(path: Path) -> Ledger:
    create_ledger(path, KEY)
    ledger = Ledger(path, KEY)
    ledger.append([A, B], 10)
    ledger.append([A], 20)
    return ledger


def test_the_hash_is_keyed() -> None:
    assert A.hex() == "f86f1d8574507aa770b947c35073c1f8"
    assert len({A, B, C, digest_of(bytes(32), 1)}) == 4


def test_what_was_appended_is_read_again(tmp_path: Path) -> None:
    made(tmp_path / "l").close()
    ledger = Ledger(tmp_path / "l", KEY)
    assert ledger.erasures == [Erasure(1, A, 10), Erasure(2, B, 10), Erasure(3, A, 20)]
    assert [ledger.last(digest) for digest in (A, B, C)] == [3, 2, 0]
    assert [ledger.last_ms(digest) for digest in (A, B, C)] == [20, 10, None]
    ledger.append([], 30)
    assert (ledger.count, (tmp_path / "l").stat().st_size) == (3, 4 * RECORD_BYTES)
    ledger.close()


@pytest.mark.parametrize("kept", range(1, RECORD_BYTES, 7))
def test_a_torn_end_is_cut_off(tmp_path: Path, kept: int) -> None:
    made(tmp_path / "l").close()
    data = (tmp_path / "l").read_bytes()
    (tmp_path / "l").write_bytes(data[: 3 * RECORD_BYTES + kept])
    ledger = Ledger(tmp_path / "l", KEY)
    assert ledger.count == 2
    ledger.append([C], 40)
    ledger.close()
    assert [erasure.digest for erasure in read_ledger(tmp_path / "l", KEY)[0]] == [A, B, C]


def test_every_flipped_bit_before_the_end_is_noticed(tmp_path: Path) -> None:
    made(tmp_path / "l").close()
    data = (tmp_path / "l").read_bytes()
    for place in range(3 * RECORD_BYTES * 8):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        (tmp_path / "l").write_bytes(damaged)
        with pytest.raises(CorruptError, match=r"latest copy|last backup"):
            read_ledger(tmp_path / "l", KEY)


def test_what_is_no_ledger_of_ours(tmp_path: Path) -> None:
    with pytest.raises(CorruptError, match="missing"):
        Ledger(tmp_path / "l", KEY)
    (tmp_path / "l").write_bytes(b"")
    with pytest.raises(CorruptError, match="empty"):
        Ledger(tmp_path / "l", KEY)
    create_ledger(tmp_path / "l", bytes(32))
    with pytest.raises(CorruptError, match="another environment"):
        Ledger(tmp_path / "l", KEY)
    (tmp_path / "l").write_bytes(b"x" * RECORD_BYTES)
    with pytest.raises(CorruptError, match="first record"):
        Ledger(tmp_path / "l", KEY)


def test_the_longest_copy_counts_if_it_continues_the_others(tmp_path: Path) -> None:
    ledger = made(tmp_path / "l")
    (tmp_path / "early").write_bytes((tmp_path / "l").read_bytes())
    ledger.append([C], 30)
    ledger.close()
    assert copy_longest([tmp_path / "early", tmp_path / "l"], KEY, tmp_path / "to") == 4
    assert (tmp_path / "to").read_bytes() == (tmp_path / "l").read_bytes()
    other = Ledger(tmp_path / "early", KEY)
    other.append([B], 30)
    other.close()
    with pytest.raises(CorruptError, match="contradicts"):
        copy_longest([tmp_path / "early", tmp_path / "l"], KEY, tmp_path / "to")


def test_a_full_disk_leaves_it_usable_and_a_failed_fsync_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = made(tmp_path / "l")
    pwrite, fsync = os.pwrite, os.fsync
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:10], at))
    with pytest.raises(NoSpaceError):
        ledger.append([C], 30)
    monkeypatch.setattr(os, "pwrite", pwrite)
    assert (ledger.count, (tmp_path / "l").stat().st_size) == (3, 4 * RECORD_BYTES)

    def broken(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(HaltedError, match="Input/output error"):
        ledger.append([C], 30)
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(HaltedError, match="failed before"):
        ledger.append([C], 30)
    ledger.close()
