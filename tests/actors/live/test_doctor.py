"""Tests of `actors.live.doctor` and of what it looks at."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.live import doctor
from actors.live.data_dir import DataDir, partition_path
from actors.live.doctor import Asked, Finding, examine, in_use
from actors.live.errors import DownError
from actors.live.household import Household
from actors.live.machine_look import file_system
from actors.live.store_look import StoreLook, look_at, look_in_process
from actors.live.watermarks import Marks
from actors.relay.rows import Row, encode_row
from actors.store.partition import Partition
from actors.store.starts import quarantine
from data_dirs import DAY_MS, START_MS, driven_engine, findings, made

NOW_MS = START_MS + 5 * DAY_MS
ROOMY = Marks(disk_spare_bytes=0, disk_warn=1.1, disk_full=1.2)
MOUNTS = """\
/dev/vda1 / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
host:/data /mnt/shared nfs4 rw 0 0
/dev/vdb1 /mnt/shared\\040two xfs rw 0 0
"""


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "clock_synchronised", lambda: (True, ""))
    monkeypatch.setattr(doctor, "file_system", lambda folder: "ext4")


def nobody() -> Asked:
    raise AssertionError("no engine is there to be asked")


def looked(folder: Path, now_ms: int = NOW_MS) -> list[Finding]:
    return examine(folder, nobody, marks=ROOMY, now_ms=now_ms)


def test_messages_that_nobody_sends_are_found_by_their_age(tmp_path: Path) -> None:
    made(tmp_path / "d")
    sent_ms = START_MS + 3_600_000
    stuck = {("relay_stuck", f"partitions/{n:03}") for n in range(2)}
    assert findings(looked(tmp_path / "d", sent_ms + 60_000)) == set()
    assert findings(looked(tmp_path / "d", sent_ms + 20 * 60_000)) == stuck
    assert {f.severity for f in looked(tmp_path / "d", sent_ms + 20 * 60_000)} == {"warning"}
    assert {f.severity for f in looked(tmp_path / "d", sent_ms + 2 * DAY_MS)} == {"error"}


def test_what_is_parked_is_counted(tmp_path: Path) -> None:
    made(tmp_path / "d")
    with Partition.open(partition_path(tmp_path / "d", 1)) as store:
        rows = {f"parked/a/{n}".encode(): encode_row(Row(None, "dead")) for n in range(3)}
        rows[b"parked/a/x"] = encode_row(Row(None, "ambiguous"))
        store.mark_relay(put=rows)
        assert look_at(store).rows == {"dead": 3, "ambiguous": 1}
    [found] = [f for f in looked(tmp_path / "d", START_MS) if f.code == "messages_parked"]
    assert found.place == "partitions/001"
    assert found.message == "messages are parked: 3 dead, 1 ambiguous"


def test_quarantine_and_young_deaths_are_found(tmp_path: Path) -> None:
    made(tmp_path / "d")
    quarantine(partition_path(tmp_path / "d", 0), "it died young")
    (partition_path(tmp_path / "d", 1) / "starts").write_text("2\n")
    found = looked(tmp_path / "d", START_MS)
    assert findings(found) == {
        ("quarantined", "partitions/000"),
        ("died_young", "partitions/001"),
    }
    assert "python -m actors.store.verify --release" in found[0].advice


def test_a_file_that_kills_its_reader_is_told_and_the_others_are_looked_at(tmp_path: Path) -> None:
    made(tmp_path / "d")
    path = partition_path(tmp_path / "d", 0) / "data.mdb"
    path.write_bytes(path.read_bytes()[:8192])
    found = looked(tmp_path / "d")
    assert ("unreadable", "partitions/000") in findings(found)
    assert ("relay_stuck", "partitions/001") in findings(found)


def test_a_journal_far_behind_its_snapshot_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As an engine leaves it that is killed; one that is stopped saves its state.
    monkeypatch.setattr(Household, "settle", lambda _: None)
    made(tmp_path / "d")
    [look] = look_in_process([partition_path(tmp_path / "d", 0)])
    assert isinstance(look, StoreLook)
    assert look.tail_records > 2
    monkeypatch.setattr(doctor, "TAIL_RECORDS", 1)
    assert findings(looked(tmp_path / "d", START_MS)) == {
        ("snapshot_old", "partitions/000"),
        ("snapshot_old", "partitions/001"),
    }


def test_a_full_disk_a_clock_and_a_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "d")
    full = Marks(disk_spare_bytes=2**62, disk_warn=0.0, disk_full=0.0)
    nearly = Marks(disk_spare_bytes=2**62, disk_warn=0.0, disk_full=1.1)
    place = str(tmp_path / "d")
    assert findings(examine(tmp_path / "d", nobody, marks=full, now_ms=START_MS)) == {
        ("disk_full", place)
    }
    assert findings(examine(tmp_path / "d", nobody, marks=nearly, now_ms=START_MS)) == {
        ("disk_nearly_full", place)
    }
    monkeypatch.setattr(doctor, "clock_synchronised", lambda: (False, ""))
    monkeypatch.setattr(doctor, "file_system", lambda folder: "nfs4")
    monkeypatch.setattr(doctor, "bytes_max", lambda: (1 << 20, "ulimit -v"))
    found = findings(looked(tmp_path / "d", START_MS))
    assert {("clock_not_synchronised", "machine"), ("remote_file_system", place)} < found
    assert ("map_limit", "partitions/000") in found
    monkeypatch.setattr(doctor, "clock_synchronised", lambda: (None, "no such call"))
    [note] = [f for f in looked(tmp_path / "d", START_MS) if f.code == "clock_unknown"]
    assert (note.severity, note.message) == ("note", "the clock was not looked at: no such call")


def test_file_systems_are_told_by_the_longest_mount(tmp_path: Path) -> None:
    for path, kind in {
        "/srv/data": "ext4",
        "/run/x": "tmpfs",
        "/mnt/shared/d": "nfs4",
        "/mnt/shared two/d": "xfs",
        "/mnt/sharedness": "ext4",
    }.items():
        assert file_system(Path(path), MOUNTS) == kind


def test_a_folder_of_another_version_is_told(tmp_path: Path) -> None:
    made(tmp_path / "d")
    path = tmp_path / "d" / "headrace.json"
    path.write_text(path.read_text().replace('"headrace_data": 1', '"headrace_data": 7'))
    [found] = looked(tmp_path / "d")
    assert (found.code, found.severity) == ("format", "error")
    assert "format version 7" in found.message
    assert [f.code for f in looked(tmp_path / "nowhere")] == ["format"]


def test_a_running_engine_is_asked(tmp_path: Path) -> None:
    made(tmp_path / "d")
    assert in_use(tmp_path / "d") is None
    with driven_engine(tmp_path / "d") as engine:
        assert in_use(tmp_path / "d") not in (None, "")

        def ask() -> Asked:
            status = engine.status()
            while not all("partitions" in shard for shard in status["shards"]):
                status = engine.status()
            return Asked(status, engine.looks())

        found = examine(tmp_path / "d", ask, marks=ROOMY, now_ms=NOW_MS)
        assert [f.code for f in found] == ["relay_stuck", "relay_stuck", "in_use"]

    with DataDir.open(tmp_path / "d"):

        def silent() -> Asked:
            raise DownError("nobody answers")

        found = examine(tmp_path / "d", silent, marks=ROOMY, now_ms=NOW_MS)
        assert [f.code for f in found] == ["engine_silent", "in_use"]


def test_what_an_engine_tells_of_its_shards_is_found(tmp_path: Path) -> None:
    made(tmp_path / "d")
    partitions = {
        0: {"state": "halted", "error": "a bit flipped", "companions": ""},
        1: {"state": "open", "error": "", "companions": "the relay ended: no"},
    }
    leapt = {
        "numbers": [0, 1], "alive": True, "clock_difference_ms": -7_000, "partitions": partitions
    }  # fmt: skip
    gone = {"numbers": [2, 2], "alive": False, "error": "it died"}
    asked = Asked({"shards": [leapt, gone]}, {"partitions/000": "a bit flipped"})
    with DataDir.open(tmp_path / "d"):
        found = examine(tmp_path / "d", lambda: asked, marks=ROOMY, now_ms=NOW_MS)
    assert findings(found) == {
        ("in_use", str(tmp_path / "d")),
        ("halted", "partitions/000"),
        ("unreadable", "partitions/000"),
        ("relay_down", "partitions/001"),
        ("clock_leapt", "shard 0-1"),
        ("shard_down", "shard 2-2"),
    }
