"""Tests of `actors.live.verify`: a sound directory passes, and each sort of damage is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from actors.live.control import ControlLog, TenantSettings
from actors.live.data_dir import DataDir, partition_path, people_path
from actors.live.partition import LivePartition
from actors.live.reading import reading
from actors.live.replay import Recount
from actors.live.replies import InFlight
from actors.live.verify import Verification, verify
from actors.store.errors import FormatError, InUseError
from actors.store.folder import DATA
from core.counters import Counters
from data_dirs import begin, digest_of, driven_engine, made, work
from serving import WELCOME


def damaged(found: Verification) -> list[tuple[str, str]]:
    return [(c.place, c.check) for c in found.checks if c.verdict == "damaged"]


def test_a_sound_directory_passes_with_the_digest_that_it_has(tmp_path: Path) -> None:
    digest = made(tmp_path / "d")
    found = verify(tmp_path / "d")
    assert found.sound, damaged(found)
    assert found.digest == f"{digest:016x}"
    whole = [c.detail for c in found.checks if c.check == "whole replay"]
    assert len(whole) == 2
    assert all("the same digest" in detail for detail in whole)
    replays = [c.detail for c in found.checks if c.check == "replay"]
    assert all(detail.startswith("snapshot of record") for detail in replays)


def test_verifying_changes_nothing(tmp_path: Path) -> None:
    made(tmp_path / "d")
    before = {p: p.read_bytes() for p in (tmp_path / "d").rglob("*.mdb") if p.name == DATA}
    assert verify(tmp_path / "d").sound
    assert {p: p.read_bytes() for p in before} == before
    with driven_engine(tmp_path / "d") as engine:
        work(engine, first=100, count=5)
        digest = digest_of(engine)
    assert verify(tmp_path / "d").digest == f"{digest:016x}"


def test_quick_replays_nothing(tmp_path: Path) -> None:
    made(tmp_path / "d")
    found = verify(tmp_path / "d", quick=True)
    assert found.sound
    assert found.digest == ""
    assert [c.verdict for c in found.checks if c.check == "replay"] == ["skipped"] * 2


def test_it_refuses_while_an_engine_works(tmp_path: Path) -> None:
    made(tmp_path / "d")
    with driven_engine(tmp_path / "d"), pytest.raises(InUseError, match="in use by process"):
        verify(tmp_path / "d")
    with pytest.raises(FormatError, match="there is no data directory here"):
        verify(tmp_path / "nowhere")


def _cut(folder: Path) -> None:
    path = partition_path(folder, 1) / DATA
    path.write_bytes(path.read_bytes()[:8192])


def _flip_all(folder: Path) -> None:
    """Flip a bit in a customer's id wherever it stands in the journal."""
    path = partition_path(folder, 0) / DATA
    data = path.read_bytes()
    assert b"signup" in data
    path.write_bytes(data.replace(b"signup", b"sjgnup"))


def _ledger(folder: Path) -> None:
    path = people_path(folder, 0) / "erasures"
    path.write_bytes(b"\0" * 10 + path.read_bytes()[10:])


@pytest.mark.parametrize(
    ("harm", "place"),
    [
        (_cut, "partitions/001"),
        (_flip_all, "partitions/000"),
        (_ledger, "people/000"),
        (lambda folder: (folder / "control" / DATA).unlink(), "control"),
    ],
)
def test_damage_is_found_where_it_is(
    tmp_path: Path, harm: Callable[[Path], None], place: str
) -> None:
    made(tmp_path / "d")
    harm(tmp_path / "d")
    found = verify(tmp_path / "d", quick=True)
    assert not found.sound
    assert {where for where, _ in damaged(found)} == {place}


def test_a_command_that_the_log_does_not_know_is_found(tmp_path: Path) -> None:
    made(tmp_path / "d")
    with DataDir.open(tmp_path / "d") as data, ControlLog.open(data.control) as log:
        command = log.after(1)[0][1]
        with LivePartition.open(data.partition(0), TenantSettings.of(data.manifest)) as partition:
            other = {**command, "kind": "pause", "at_ms": command["at_ms"] + 1, "flow": "welcome"}
            partition.command(3, other)
    found = verify(tmp_path / "d", quick=True)
    assert damaged(found) == [("partitions/000", "commands")]
    [check] = [c for c in found.checks if c.verdict == "damaged"]
    assert check.detail == "it applied command 3, and the control log ends with 2"


def test_counters_that_decisions_do_not_add_up_to_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "d", 1)
    add = Recount.add

    def forgetful(self: Recount, node: object, port: object) -> None:
        add(self, node[1:], port[1:])  # type: ignore[index]

    monkeypatch.setattr(Recount, "add", forgetful)
    found = verify(tmp_path / "d")
    assert damaged(found) == [("partitions/000", "whole replay")]
    assert found.checks[-3].detail.startswith("welcome, version 1: the counters of")


def test_a_snapshot_that_says_otherwise_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "d", 1)
    with reading(partition_path(tmp_path / "d", 0)) as store:
        assert store.load_snapshot() is not None
    first: list[Counters] = []

    def lies(partition: LivePartition) -> int:
        first.append(partition.counts("welcome"))
        return len(first)

    monkeypatch.setattr(LivePartition, "digest", lies)
    found = verify(tmp_path / "d")
    [check] = [c for c in found.checks if c.verdict == "damaged"]
    assert (check.check, check.detail) == (
        "whole replay",
        "digest is 2, and 1 by the last snapshot",
    )


@pytest.mark.parametrize("in_flight", ["pin", "drop", "reset"])
def test_whom_commands_took_out_is_accounted_for(tmp_path: Path, in_flight: InFlight) -> None:
    with driven_engine(tmp_path / "d", 2) as engine:
        begin(engine)
        engine.erase([f"c{number}" for number in range(0, 60, 4)])
        engine.publish(WELCOME.replace("Welcome", "Welcome again"), in_flight=in_flight)
        work(engine, first=60, count=20)
        for number in range(2):
            while engine._of[number].call("read", number, "snapshot", True):
                pass
        engine.erase(["c61", "c62"])
        work(engine, first=80, count=20)
        engine.stop("welcome", in_flight="drop")
        work(engine, first=100, count=5)
    found = verify(tmp_path / "d")
    assert found.sound, [c for c in found.checks if c.verdict == "damaged"]
