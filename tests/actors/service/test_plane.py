"""Checks that the control plane stores all or nothing, notices damage, and makes nobody wait."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import lmdb
import pytest

from actors.service.plane import Plane
from actors.service.transactions import ROWS
from actors.store.errors import (
    CorruptError,
    FormatError,
    HaltedError,
    InUseError,
    MisuseError,
    NoSpaceError,
    StoreError,
    TooLargeError,
)
from actors.store.partition import Partition
from live_work import armed
from store_work import in_child
from waiting import PATIENCE_S


def put(plane: Plane, key: str = "a", **record: object) -> None:
    with plane.operator.write() as txn:
        txn.put("flows", key, record)


def get(plane: Plane, key: str = "a") -> object:
    with plane.operator.read() as txn:
        return txn.get("flows", key)


def test_what_was_stored_is_there_after_opening_again(folder: Path) -> None:
    with Plane.open(folder / "p") as plane:
        put(plane, n=1)
        before = plane.transactions
        with plane.tenant("acme").write() as txn:
            assert txn.append("audit", {"n": 2}) == 1
        assert plane.transactions == before + 1
    with Plane.open(folder / "p", create=False) as plane:
        assert get(plane) == {"n": 1}
        with plane.tenant("acme").write() as txn:
            assert txn.append("audit", {}) == 2
    assert (folder / "p").stat().st_mode & 0o777 == 0o700
    assert (folder / "p" / "data.mdb").stat().st_mode & 0o777 == 0o600


def test_a_block_that_raises_stores_nothing(plane: Plane) -> None:
    before = plane.transactions
    for error in (RuntimeError, KeyboardInterrupt, CorruptError, lmdb.Error):
        with pytest.raises(error), plane.operator.write() as txn:  # noqa: PT012
            txn.put("flows", "a", {})
            txn.append("audit", {})
            raise error("mine")
        # What a block raises is its own, and says nothing of this store.
        assert not plane.halted
        with plane.operator.read() as reading:
            assert reading.get("flows", "a") is None
            assert list(reading.scan("audit")) == []
    assert plane.transactions == before


def test_a_write_without_changes_is_none(plane: Plane) -> None:
    before = plane.transactions
    with plane.operator.write() as txn:
        assert txn.get("flows", "a") is None
        assert not txn.delete("flows", "a")
    assert plane.transactions == before


def test_readers_and_writers_do_not_wait_for_each_other(plane: Plane) -> None:
    put(plane, n=1)
    reading, written = threading.Event(), threading.Event()
    seen: list[object] = []

    def read() -> None:
        with plane.operator.read() as txn:
            reading.set()
            assert written.wait(PATIENCE_S)
            seen.append(txn.get("flows", "a"))
            seen.append(list(txn.scan("flows")))

    thread = threading.Thread(target=read)
    thread.start()
    assert reading.wait(PATIENCE_S)
    with plane.operator.write() as txn:
        txn.put("flows", "a", {"n": 2})
        txn.put("flows", "b", {})
        # Nor does a write that is under way hold up readers.
        other = threading.Thread(target=lambda: seen.append(get(plane)))
        other.start()
        other.join(PATIENCE_S)
        assert seen == [{"n": 1}]
    written.set()
    thread.join(PATIENCE_S)
    assert seen == [{"n": 1}, {"n": 1}, [("a", {"n": 1})]]
    assert get(plane) == {"n": 2}


def test_there_may_be_more_readers_than_lmdb_has_places(plane: Plane) -> None:
    put(plane, n=1)
    seen: list[object] = []
    # So many must be able to read at once; the others wait for one of them to end.
    begin = threading.Barrier(100)

    def read(number: int) -> None:
        with plane.operator.read() as txn:
            if number < 100:
                begin.wait(PATIENCE_S)
            seen.append(txn.get("flows", "a"))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [{"n": 1}] * 300
    assert not plane.halted


def test_writers_take_turns(plane: Plane) -> None:
    put(plane, n=0)

    def count() -> None:
        for _ in range(50):
            with plane.operator.write() as txn:
                txn.put("flows", "a", {"n": (txn.get("flows", "a") or {})["n"] + 1})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get(plane) == {"n": 200}


def test_a_read_within_a_read_sees_the_same(plane: Plane) -> None:
    put(plane, n=1)
    with plane.operator.read() as outer:
        writer = threading.Thread(target=lambda: put(plane, n=2))
        writer.start()
        writer.join()
        with plane.operator.read() as inner:
            assert inner.get("flows", "a") == outer.get("flows", "a") == {"n": 1}
        assert outer.get("flows", "a") == {"n": 1}
    assert get(plane) == {"n": 2}


def test_blocks_that_would_wait_for_themselves_are_refused(plane: Plane) -> None:
    rows = plane.tenant("acme")
    with (
        plane.operator.read(),
        pytest.raises(MisuseError, match="within a read or a write"),
        rows.write(),
    ):
        pass
    with plane.operator.write() as txn:
        txn.put("flows", "a", {"n": 1})
        with pytest.raises(MisuseError, match="within a read or a write"), rows.write():
            pass
        with pytest.raises(MisuseError, match="whose changes it can not see"), rows.read():
            pass
    assert get(plane) == {"n": 1}


def test_the_map_grows_in_the_middle_of_a_transaction_and_beside_readers(folder: Path) -> None:
    with Plane.open(folder / "p", map_bytes=1 << 20) as plane:
        stop = threading.Event()
        problems: list[BaseException] = []

        def read() -> None:
            try:
                while not stop.is_set():
                    with plane.operator.read() as txn:
                        rows = list(txn.scan("flows"))
                        assert [int(key) for key, _ in rows] == list(range(len(rows)))
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        first = plane.map_bytes
        for number in range(20):
            put(plane, f"{number:03d}", body=os.urandom(400_000))
        stop.set()
        for thread in threads:
            thread.join()
        assert problems == []
        assert plane.map_bytes > first
        assert plane.map_bytes > 8_000_000
        assert plane.verify().first_problem == ""


def test_a_full_disk_refuses_a_write_and_nothing_else(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "the disk is full")

    put(plane, n=1)
    big = os.urandom(3 << 20)
    with monkeypatch.context() as disk:
        disk.setattr(os, "posix_fallocate", full)
        for _ in range(2):
            with pytest.raises(NoSpaceError, match="no room for 3,1"):
                put(plane, "b", body=big)
        put(plane, n=1)
    assert get(plane) == {"n": 1}
    assert get(plane, "b") is None
    put(plane, "b", body=big)
    assert get(plane, "b") == {"body": big}
    assert plane.verify().sound


@pytest.mark.parametrize("point", ["before_transaction", "in_transaction", "side_file"])
def test_a_failed_write_halts_it(folder: Path, point: str) -> None:
    with Plane.open(folder / "p") as plane:
        put(plane, n=1)
        with armed(point, "eio"), pytest.raises(HaltedError):
            put(plane, n=2)
        assert plane.halted
        for use in (lambda: get(plane), lambda: put(plane, n=3), plane.verify, plane.tend):
            with pytest.raises(HaltedError):
                use()
    with Plane.open(folder / "p") as plane:
        assert get(plane) == {"n": 2 if point == "side_file" else 1}


def overwrite(folder: Path, find: bytes, replace: bytes) -> None:
    data = (folder / "data.mdb").read_bytes()
    assert find in data
    (folder / "data.mdb").write_bytes(data.replace(find, replace))


def test_damage_is_told_with_table_and_key_and_halts_it(folder: Path) -> None:
    with Plane.open(folder / "p") as plane, plane.tenant("acme").write() as txn:
        txn.put("flows", "welcome", {"name": "as it was written"})
        txn.put("flows", "other", {})
    overwrite(folder / "p", b"as it was written", b"as it is told now")
    with Plane.open(folder / "p") as plane:
        report = plane.verify()
        (problem,) = (finding.detail for finding in report.findings if not finding.sound)
        said = "table flows of tenant 'acme', key 'welcome': the record does not match its checksum"
        assert problem == said
        assert not plane.halted
        with plane.tenant("acme").read() as txn:
            assert txn.get("flows", "other") == {}
            with pytest.raises(CorruptError) as caught:
                txn.get("flows", "welcome")
        assert f"{caught.value.pointer}: {caught.value.message}" == said
        assert "restore the control plane from its last backup" in str(caught.value)
        with pytest.raises(HaltedError, match="does not match its checksum"):
            get(plane)


def test_rows_that_vanished_or_came_otherwise_are_found(folder: Path) -> None:
    def problems() -> list[str]:
        with Plane.open(folder / "p") as plane:
            return [f.detail for f in plane.verify().findings if not f.sound]

    with Plane.open(folder / "p") as plane:
        for key in "abc":
            put(plane, key, of=key)
        with plane.operator.write() as txn:
            txn.append("audit", {})
            txn.append("audit", {})
    with lmdb.open(str(folder / "p"), max_dbs=2, lib_version=0) as raw:
        rows = raw.open_db(ROWS.encode())
        with raw.begin(write=True) as txn:
            record = txn.get(b"o\x05a", db=rows)
            txn.delete(b"o\x05a", db=rows)
    assert problems() == ["5 rows are there, 6 were stored"]
    with lmdb.open(str(folder / "p"), max_dbs=2, lib_version=0) as raw:
        rows = raw.open_db(ROWS.encode())
        with raw.begin(write=True) as txn:
            txn.put(b"o\x05d", record, db=rows)
    assert problems() == [
        "table flows of the operator, key 'd': the record does not match its checksum",
        "6 rows are there, 6 were stored, under other keys",
    ]
    with lmdb.open(str(folder / "p"), max_dbs=2, lib_version=0) as raw:
        rows = raw.open_db(ROWS.encode())
        with raw.begin(write=True) as txn:
            txn.delete(b"o\x05d", db=rows)
            txn.put(b"?", record, db=rows)
            txn.delete(b"o\x00\x0c", db=rows)
            txn.put(b"o\x00\x0c", txn.get(b"o\x05b", db=rows), db=rows)
    assert problems() == [
        "key 3f: it belongs to nobody",
        "table sequence of audit of the operator: the record does not match its checksum",
        "6 rows are there, 6 were stored, under other keys",
    ]


def test_a_number_beyond_the_last_is_found(plane: Plane) -> None:
    with plane.tenant("acme").write() as txn:
        txn.append("audit", {})
        txn.put("audit", "0000000000000009", {})
    problems = [finding.detail for finding in plane.verify().findings if not finding.sound]
    said = "table audit of tenant 'acme', key '0000000000000009': above the last, 1"
    assert problems == [said]


def test_only_one_process_has_it_open(folder: Path) -> None:
    with Plane.open(folder / "p") as plane:
        put(plane, n=1)
        with pytest.raises(InUseError, match="this process has the control plane open already"):
            Plane.open(folder / "p")
        how, error = in_child(lambda: get(plane))
        assert (how, type(error)) == ("raised", MisuseError)
        code = f"from actors.service.plane import Plane; Plane.open({str(folder / 'p')!r})"
        other = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert f"the control plane is open in process {os.getpid()}" in other.stderr
        assert get(plane) == {"n": 1}
    with pytest.raises(MisuseError, match="the control plane is closed"):
        get(plane)


def test_what_is_no_control_plane_is_refused(folder: Path) -> None:
    with pytest.raises(FormatError, match="there is no control plane here"):
        Plane.open(folder / "none", create=False)
    (folder / "full").mkdir()
    (folder / "full" / "notes").touch()
    with pytest.raises(FormatError, match="the folder is not empty, and holds no control plane"):
        Plane.open(folder / "full")
    Partition.open(folder / "partition", create=True).close()
    with pytest.raises(FormatError, match="'headrace partition' instead of 'headrace control"):
        Plane.open(folder / "partition")
    Plane.open(folder / "p").close()
    with pytest.raises(FormatError, match="'headrace control plane' instead of"):
        Partition.open(folder / "p")
    (folder / "p" / "format").write_text('{"format": "headrace control plane", "version": 2}')
    with pytest.raises(FormatError, match="the control plane has format version 2"):
        Plane.open(folder / "p")


def test_a_creation_that_was_torn_is_begun_anew(folder: Path) -> None:
    Plane.open(folder / "p").close()
    for name in ("data.mdb", "commits"):
        (folder / "p" / name).unlink()
    with pytest.raises(StoreError, match="the file is missing"):
        Plane.open(folder / "p", create=False)
    with Plane.open(folder / "p") as plane:
        put(plane, n=1)
        assert plane.verify().sound


def test_a_file_that_would_kill_the_process_is_found_after_a_death(folder: Path) -> None:
    def die() -> None:
        Plane.open(folder / "p")
        os.kill(os.getpid(), signal.SIGKILL)

    with Plane.open(folder / "p") as plane:
        for number in range(300):
            put(plane, f"{number}", body=bytes(100))
    assert in_child(die) == ("died", "SIGKILL")
    data = bytearray((folder / "p" / "data.mdb").read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 + 10 : page * 4096 + 16] = b"\xff" * 6
    (folder / "p" / "data.mdb").write_bytes(data)
    for _ in range(5):
        with pytest.raises(CorruptError, match=r"data.mdb: .*restore the control plane"):
            Plane.open(folder / "p")


def test_a_backup_opens_elsewhere_and_holds_no_deleted_row(plane: Plane, folder: Path) -> None:
    with plane.tenant("acme").write() as txn:
        txn.put("flows", "kept", {"n": 1})
        txn.append("audit", {"n": 2})
        for number in range(200):
            txn.put("flows", f"{number}", {"text": "a canary that was deleted"})
    with plane.tenant("acme").write() as txn:
        for number in range(200):
            txn.delete("flows", f"{number}")
    head = plane.backup(folder / "copy")
    assert head.transactions == plane.transactions
    with pytest.raises(StoreError, match="there already"):
        plane.backup(folder / "copy")
    with plane.tenant("acme").write() as txn:
        txn.put("flows", "later", {})
    assert b"a canary" not in (folder / "copy" / "data.mdb").read_bytes()
    with Plane.open(folder / "copy", create=False) as copy:
        assert copy.verify().first_problem == ""
        with copy.tenant("acme").write() as txn:
            assert list(txn.scan("flows")) == [("kept", {"n": 1})]
            assert txn.append("audit", {}) == 2


def test_readers_that_died_are_cleared(plane: Plane) -> None:
    assert plane.tend() == 0


@pytest.mark.parametrize("tenant", ["", "a" * 65, "\ud800"])
def test_an_id_that_does_not_fit_is_refused(plane: Plane, tenant: str) -> None:
    with pytest.raises(TooLargeError, match="can not be the id of a tenant"):
        plane.tenant(tenant)
