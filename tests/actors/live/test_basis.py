"""Tests of `actors.live.basis`: which engine's records are replayed, and under which zones."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.live.basis import (
    Basis,
    engine_version,
    installed_basis,
    pack_tables,
    unpack_tables,
)
from actors.live.control import TenantSettings
from actors.live.data_dir import partition_path, read_manifest
from actors.live.errors import EngineError
from actors.live.partition import LivePartition
from actors.live.reading import reading
from actors.live.records import BasisRecord, TickRecord, decode_record
from actors.live.verify import SKIPPED, verify
from core.semantics import SEMANTICS
from core.zone_tables import ZoneTables, installed
from data_dirs import driven_engine, made, work
from zone_files import shifted
from zone_tenants import SEND, SETTINGS, T0, document

OLD = Basis("0.0.9/0", installed())
FLOW = document(
    {
        "t": {"type": "on_event", "event": "go", "next": "w"},
        "w": {"type": "wait", "for": "2 days", "next": "m"},
        "m": SEND,
    }
)
PUBLISH = {"kind": "publish", "flow": "f", "version": 1, "document": FLOW, "at_ms": T0}


def opened(folder: Path, basis: Basis | None = None) -> LivePartition:
    return LivePartition.open(folder, SETTINGS, create=True, basis=basis)


def bases(partition: LivePartition) -> list[tuple[int, str, bool]]:
    """Number, engine, and whether it has tables, of each such record of the journal."""
    found = []
    for number, data in partition.store.journal():
        record = decode_record(number, data, "")
        if isinstance(record, BasisRecord):
            found.append((number, record.engine, bool(record.tables)))
    return found


def test_an_engine_is_named_by_its_release_and_its_rules() -> None:
    assert installed_basis().engine == f"{engine_version()}/{SEMANTICS}"
    assert installed_basis().tables is installed()


def test_zones_are_packed_and_known_again() -> None:
    tables = shifted(["Asia/Tokyo"], T0, 900)
    packed = pack_tables(tables)
    assert len(packed) < 100_000  # it must fit into a record beside what else there may be
    found = unpack_tables(packed)
    assert (found.digest, found.files) == (tables.digest, tables.files)
    assert unpack_tables(packed, installed(), tables) is tables
    for damaged in (b"", packed[:-9], b"x" * 40):
        with pytest.raises(ValueError, match="tables of zones cannot be read"):
            unpack_tables(damaged)


def test_a_record_of_another_engine_is_refused_with_what_to_do() -> None:
    basis = Basis("0.2.0/3", installed())
    basis.check(TickRecord(1, 0, 0), "0.2.0/3", 7, "p")
    basis.check(TickRecord(1, 0, 0), "", 7, "p")
    basis.check(BasisRecord("0.1.0/3", b""), "0.1.0/3", 7, "p")
    with pytest.raises(EngineError) as caught:
        basis.check(TickRecord(1, 0, 0), "0.1.0/3", 7, "p")
    assert str(caught.value) == (
        "p, journal record 7: the records from 7 on are in no snapshot, and Headrace 0.1.0/3 wrote "
        "them: 0.2.0/3 might decide otherwise. Install 0.1.0 again, start the engine and stop it "
        "cleanly, which leaves nothing to replay; then upgrade"
    )
    with pytest.raises(EngineError, match=r"Headrace 0\.2\.0/2 wrote"):
        basis.check(BasisRecord("0.2.0/2", b"tables"), "0.2.0/3", 7, "p")


def test_the_first_record_tells_and_opening_alone_writes_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        with opened(tmp_path / "p") as partition:
            assert partition.store.head.journal_last == 0
    with opened(tmp_path / "p") as partition:
        partition.command(1, PUBLISH)
        partition.tick(T0)
        assert bases(partition) == [(1, installed_basis().engine, True)]
        assert partition.store.head.journal_last == 2
    with opened(tmp_path / "p") as partition:
        partition.command(2, {"kind": "pause", "flow": "f", "at_ms": T0})
        assert bases(partition) == [(1, installed_basis().engine, True)]


def test_a_tail_of_another_version_is_not_opened_and_a_snapshot_is(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    with opened(folder, OLD) as partition:
        partition.command(1, PUBLISH)
        digest = partition.digest()
    with pytest.raises(EngineError, match=r"Headrace 0\.0\.9/0 wrote them"):
        opened(folder)
    # As the advice has it: the old one opens it and stops cleanly.
    with opened(folder, OLD) as partition:
        while partition.snapshot(now=True):
            pass
    for _ in range(2):
        with opened(folder) as partition:
            assert partition.digest() == digest
            assert partition.store.head.journal_last == 2
    with opened(folder) as partition:
        partition.command(2, {"kind": "pause", "flow": "f", "at_ms": T0})
        mine = installed_basis().engine
        assert bases(partition) == [(1, OLD.engine, True), (3, mine, False)]
    # The other way round the tail is the newer one's.
    with pytest.raises(EngineError, match="Headrace"):
        opened(folder, OLD)
    with opened(folder) as partition:
        while partition.snapshot(now=True):
            pass
    with opened(folder, OLD) as partition:
        assert partition.control_sequence == 2


def test_waits_that_another_version_moved_are_a_tail_too(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    with opened(folder, OLD) as partition:
        partition.command(1, PUBLISH)
        while partition.snapshot(now=True):
            pass
    opened(folder, Basis("0.0.9/0", shifted(["Asia/Tokyo"], T0, 900))).close()
    with pytest.raises(EngineError):
        opened(folder)


def test_a_zone_that_went_away_stays_for_who_lives_there(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    with opened(folder) as partition:
        partition.command(1, PUBLISH)
        last = partition.store.head.journal_last
    files = {n: data for n, data in installed().files.items() if n != SETTINGS.zone}
    with opened(folder, Basis(installed_basis().engine, ZoneTables(files))) as partition:
        assert partition.store.head.journal_last == last


def test_a_commit_that_fails_tells_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path / "p") as partition:
        commit = partition.store.commit

        def failing(*args: object, **options: object) -> int:
            raise OSError("no")

        monkeypatch.setattr(partition.store, "commit", failing)
        with pytest.raises(OSError, match="no"):
            partition.command(1, PUBLISH)
        monkeypatch.setattr(partition.store, "commit", commit)
        partition.command(1, PUBLISH)
        assert bases(partition) == [(1, installed_basis().engine, True)]


def test_verifying_what_another_version_left_open_is_skipped(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made(folder, 1)
    with driven_engine(folder) as engine:
        work(engine, first=90, count=5)
    with reading(partition_path(folder, 0)) as store:
        number, tail = store.head.journal_last, store.load_snapshot()
        assert tail is not None
        assert tail.manifest.sequence == number  # a clean stop
    settings = TenantSettings.of(read_manifest(folder))
    with LivePartition.open(partition_path(folder, 0), settings, basis=OLD) as partition:
        partition.tick(partition.clock_ms + 30 * 86_400_000)
    found = verify(folder)
    assert found.sound
    skipped = [check for check in found.checks if check.verdict == SKIPPED]
    assert [(check.place, check.check) for check in skipped] == [("partitions/000", "replay")]
    assert "Headrace 0.0.9/0 wrote them" in skipped[0].detail


def test_an_engine_tells_of_partitions_that_another_version_left_open(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made(folder, 2)
    settings = TenantSettings.of(read_manifest(folder))
    with LivePartition.open(partition_path(folder, 0), settings, basis=OLD) as partition:
        partition.tick(partition.clock_ms + 30 * 86_400_000)
    with driven_engine(folder) as engine:
        shards = engine.status()["shards"]
        told = {int(n): p for shard in shards for n, p in shard["partitions"].items()}
    assert (told[0]["state"], told[1]["state"]) == ("halted", "open")
    assert "Headrace 0.0.9/0 wrote them" in told[0]["error"]
