"""Tests of `actors.live.backup`: copies of a directory at rest and at work, and their restoring."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest

from actors.audience_erasing import hashes_in
from actors.importer import import_audience
from actors.live.backup import Source, Stopped, back_up, copy_config, restore
from actors.live.backup_manifest import read_manifest
from actors.live.data_dir import DataDir, people_path
from actors.live.data_dir import read_manifest as read_data_dir
from actors.live.errors import RefusedError
from actors.live.verify import verify
from actors.people.people import People
from actors.relay.switches import Off, read_switches, write_switches
from actors.relay.vault import Vault
from actors.store.errors import CorruptError, FormatError
from core.errors import HeadraceError
from core.hashing import hash_customer
from data_dirs import begin, digest_of, driven_engine, made
from scanning import hits
from serving import signups


def backed_up(folder: Path, to: Path) -> None:
    with DataDir.open(folder) as data:
        source: Source = Stopped(data)
        back_up(source, to)


def test_a_directory_at_rest_comes_back_as_it_was(tmp_path: Path) -> None:
    digest = made(tmp_path / "d")
    (tmp_path / "d" / "providers.yaml").write_text("providers: {}\n")
    (tmp_path / "d" / "templates").mkdir()
    (tmp_path / "d" / "templates" / "hello.yaml").write_text("channels: {}\n")
    backed_up(tmp_path / "d", tmp_path / "b")
    assert verify(tmp_path / "b").digest == f"{digest:016x}"
    manifest = read_manifest(tmp_path / "b")
    assert manifest.stores["control"].commits == 2
    assert set(manifest.erasures.values()) == {0}
    assert manifest.began_ms <= manifest.ended_ms
    restored = restore(tmp_path / "b", tmp_path / "r", former=tmp_path / "d")
    assert set(restored.lost.values()) == {0}
    assert (tmp_path / "r" / "templates" / "hello.yaml").read_text() == "channels: {}\n"
    before, after = (read_data_dir(tmp_path / name) for name in ("d", "r"))
    assert before.instance != after.instance
    assert (before.tenant, before.partitions, before.salt) == ("shop", 2, after.salt)
    with driven_engine(tmp_path / "r") as engine:
        assert digest_of(engine) == digest
        found = engine.state_of("c7")
        assert found is not None
        assert found["personal"] == {"email": "c7@shop.example"}


def test_a_running_engine_copies_itself_under_load(tmp_path: Path) -> None:
    with driven_engine(tmp_path / "d", 2) as engine:
        begin(engine)
        sent = 0
        stop = threading.Event()
        counts: list[int] = []

        def load() -> None:
            nonlocal sent
            while not stop.is_set():
                first = 1000 + sent
                engine.send(signups(1, first))
                sent += 1

        thread = threading.Thread(target=load)
        thread.start()
        try:
            for number in range(2):
                before = sent
                back_up(engine, tmp_path / f"b{number}")
                counts.append(before)
        finally:
            stop.set()
            thread.join()
        total = int(engine.counts("welcome").entered[0])
    assert counts[-1] > 0, "nothing was sent meanwhile"
    assert verify(tmp_path / "b1").sound
    for number, before in enumerate(counts):
        restored = restore(tmp_path / f"b{number}", tmp_path / f"r{number}", former=tmp_path / "d")
        with driven_engine(tmp_path / f"r{number}") as engine:
            entered = int(engine.counts("welcome").entered[0])
            # All that was acknowledged before it began is in it, and nothing that never was.
            assert 60 + before <= entered <= total
            assert (sum(restored.lost.values()) == 0) <= (entered == total)


def test_whoever_was_erased_stays_erased(tmp_path: Path) -> None:
    made(tmp_path / "d")
    backed_up(tmp_path / "d", tmp_path / "b")
    erased = 0
    for number in range(2):
        with People.open(people_path(tmp_path / "d", number)) as people:
            erased += people.erase([b"c7"], 1_800_000_000_000).found
    assert erased == 1
    alone = restore(tmp_path / "b", tmp_path / "alone")
    assert alone.erased == 0
    again = restore(tmp_path / "b", tmp_path / "again", former=tmp_path / "d")
    assert again.erased == 2  # each of the two ledgers has it
    assert hits(tmp_path / "alone", [b"c7@shop.example"])
    assert not hits(tmp_path / "again", [b"c7@shop.example"])
    with driven_engine(tmp_path / "again") as engine:
        found = engine.state_of("c7")
        assert found is not None
        assert "personal" not in found


def test_a_copy_without_people_has_no_personal_value(tmp_path: Path) -> None:
    made(tmp_path / "d")
    with DataDir.open(tmp_path / "d") as data:
        back_up(Stopped(data), tmp_path / "b", people=False)
    assert not hits(tmp_path / "b", [b"@shop.example"])
    assert verify(tmp_path / "b").sound


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    made(tmp_path / "d")
    backed_up(tmp_path / "d", tmp_path / "b")
    for there in (tmp_path / "d", tmp_path / "b"):
        with pytest.raises(RefusedError, match="there is something already"):
            restore(tmp_path / "b", there)
    with pytest.raises(RefusedError, match="there is something already"):
        backed_up(tmp_path / "d", tmp_path / "b")
    with pytest.raises(FormatError, match="there is no backup here"):
        restore(tmp_path / "d", tmp_path / "r")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "d"]


def test_a_damaged_backup_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    made(tmp_path / "d")
    backed_up(tmp_path / "d", tmp_path / "b")
    path = tmp_path / "b" / "partitions" / "001" / "data.mdb"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CorruptError, match="the file is not what was written"):
        restore(tmp_path / "b", tmp_path / "r")
    found = verify(tmp_path / "b", quick=True)
    assert next(c.place for c in found.checks if c.verdict == "damaged") == "backup"
    statement = json.loads((tmp_path / "b" / "backup.json").read_text())
    (tmp_path / "b" / "backup.json").write_text(json.dumps({**statement, "headrace_backup": 9}))
    with pytest.raises(FormatError, match="format version 9; this release reads 1"):
        restore(tmp_path / "b", tmp_path / "r")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "d"]


def test_one_partition_alone_is_restored_and_catches_up_on_commands(tmp_path: Path) -> None:
    made(tmp_path / "d")
    backed_up(tmp_path / "d", tmp_path / "b")
    with driven_engine(tmp_path / "d") as engine:
        engine.pause("welcome")
        engine.resume("welcome")
        engine.send(signups(40, 500))
    restore(tmp_path / "b", tmp_path / "r", former=tmp_path / "d")
    for kind in ("partitions", "people"):
        shutil.rmtree(tmp_path / "d" / kind / "000")
        shutil.copytree(tmp_path / "r" / kind / "000", tmp_path / "d" / kind / "000")
    with driven_engine(tmp_path / "d") as engine:
        assert engine.control.last == 4
        reply = engine.send(signups(40, 500))
        assert reply.accepted + reply.duplicates == 40
        assert reply.accepted > 0
        assert reply.duplicates > 0
        assert engine.counts("welcome").entered[0] == 120
    found = verify(tmp_path / "d")
    assert found.sound, found.checks
    assert [c.detail for c in found.checks if c.check == "commands"][1:] == ["4 applied"] * 2


def test_a_backup_has_secrets_and_switches_but_not_the_key(tmp_path: Path) -> None:
    data, to = tmp_path / "data", tmp_path / "to"
    data.mkdir()
    to.mkdir()
    Vault(data, {}).change({"a": "canary-secret"})
    write_switches(data, {"email": Off("drop", 5)})
    (data / "content.yaml").write_text("headrace_content: 1\n")
    copy_config(data, to)
    assert sorted(path.name for path in to.iterdir()) == [
        "content.yaml",
        "secrets.json",
        "switches.json",
    ]
    assert read_switches(to) == {"email": Off("drop", 5)}
    with pytest.raises(HeadraceError, match="key of the secrets"):
        Vault(to, {}).values()


def test_audiences_and_runs_come_along_without_who_was_erased_since(tmp_path: Path) -> None:
    made(tmp_path / "d")
    audience = small_audience(tmp_path / "d" / "audiences" / "shop")
    run = tmp_path / "d" / "runs" / "r1"
    run.mkdir(parents=True)
    stories = [{"customer": "c7", "events": []}, {"customer": "c8", "events": []}]
    (run / "stories.json").write_text(json.dumps(stories))
    (run / "order.json").write_text(json.dumps({"options": {"trace": ["c7", "c8"]}}))
    (tmp_path / "d" / "audiences" / ".files").mkdir()
    (tmp_path / "d" / "audiences" / ".files" / "x.csv").write_text("c7")
    backed_up(tmp_path / "d", tmp_path / "b")
    assert verify(tmp_path / "b").sound
    assert not (tmp_path / "b" / "audiences" / ".files").exists()
    same = restore(tmp_path / "b", tmp_path / "same")
    assert same.erased == 0
    assert (tmp_path / "same" / "runs" / "r1" / "stories.json").read_text() == json.dumps(stories)
    ids = {hash_customer(f"c{n}") for n in range(9)}
    assert hashes_in(tmp_path / "same" / "audiences" / "shop") == ids

    with driven_engine(tmp_path / "d") as engine:
        engine.erase(["c7"])
    restore(tmp_path / "b", tmp_path / "again", former=tmp_path / "d")
    again = tmp_path / "again"
    assert hashes_in(again / "audiences" / "shop") == ids - {hash_customer("c7")}
    assert json.loads((again / "runs" / "r1" / "stories.json").read_text()) == stories[1:]
    told = json.loads((again / "runs" / "r1" / "order.json").read_text())
    assert told["options"]["trace"] == ["(erased)", "c8"]
    # The engine knows of it too: nothing that was known of them decides anything any more.
    with driven_engine(again) as engine:
        found, other = engine.state_of("c7"), engine.state_of("c8")
        assert found is not None
        assert found["erased"] is True
        assert found["places"] == []
        assert other is not None
        assert "erased" not in other or not other["erased"]

    # A file of it that was damaged is noticed.
    with (tmp_path / "b" / "audiences" / "shop" / "customers.parquet").open("r+b") as file:
        file.seek(40)
        file.write(b"\xff\xfe\xfd")
    assert not verify(tmp_path / "b").sound
    with pytest.raises(CorruptError):
        restore(tmp_path / "b", tmp_path / "never")
    assert audience.is_dir()


def small_audience(folder: Path) -> Path:
    """An imported audience of nine customers, of whom some are the engine's too."""
    source = folder.parent.parent / "source"
    source.mkdir()
    (source / "people.csv").write_text("id\n" + "".join(f"c{n}\n" for n in range(9)))
    mapping = (
        "headrace_mapping: 1\nas_of: 2026-04-01T00:00:00Z\ncustomers: {file: people.csv, id: id}"
    )
    (source / "mapping.yaml").write_text(mapping)
    import_audience(source / "mapping.yaml", folder)
    shutil.rmtree(source)
    return folder
