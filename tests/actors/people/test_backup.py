"""Tests of backups of personal values: whole, and without those who were erased since."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from actors.people.backup import erase_again, restore
from actors.people.people import People
from actors.store.errors import CorruptError, FormatError, StoreError
from scanning import hits

ANN, BOB, EVE = b"ann@example.com", b"bob", b"eve"
VALUES = {ANN: {"name": "canary-ann"}, BOB: {"name": "canary-bob"}, EVE: {"name": "canary-eve"}}


def made(folder: Path) -> People:
    people = People.open(folder, create=True, map_bytes=1 << 20)
    people.put(VALUES)
    return people


def test_who_was_erased_after_the_backup_does_not_come_back(tmp_path: Path) -> None:
    with made(tmp_path / "p") as people:
        people.erase([EVE], 1)
        assert people.backup(tmp_path / "old") == 1
        people.erase([ANN], 2)
        people.put({EVE: {"name": "canary-anew"}})
        assert people.backup(tmp_path / "late") == 2
        people.erase([EVE], 3)
    ledger = tmp_path / "p" / "erasures"
    assert restore(tmp_path / "old", tmp_path / "to" / "a", [ledger]) == 3
    assert restore(tmp_path / "late", tmp_path / "to" / "b", [ledger]) == 3
    assert restore(tmp_path / "old", tmp_path / "to" / "c", []) == 1
    for name, known in (("a", {BOB}), ("b", {BOB}), ("c", {ANN, BOB})):
        with People.open(tmp_path / "to" / name) as people:
            assert {person.id for person in people.persons()} == known
    assert hits(tmp_path / "to" / "a", [ANN, b"canary-ann", b"canary-eve", b"canary-anew"]) == {}
    assert hits(tmp_path / "to" / "b", [ANN, b"canary-ann", b"canary-eve", b"canary-anew"]) == {}


def test_a_backup_is_cleaned_where_it_is(tmp_path: Path) -> None:
    with made(tmp_path / "p") as people:
        people.backup(tmp_path / "old")
        people.erase([ANN], 2)
    assert hits(tmp_path / "old", [ANN, b"canary-ann"]) != {}
    assert erase_again(tmp_path / "old", [tmp_path / "p" / "erasures"]) == 1
    assert hits(tmp_path, [ANN, b"canary-ann"]) == {}
    restore(tmp_path / "old", tmp_path / "to", [])
    with People.open(tmp_path / "to") as people:
        assert people.get([ANN, BOB, EVE]) == {BOB: VALUES[BOB], EVE: VALUES[EVE]}


def test_a_backup_under_load_is_sound(tmp_path: Path) -> None:
    with made(tmp_path / "p") as people:
        done = threading.Event()

        def load() -> None:
            number = 0
            while not done.is_set():
                number += 1
                people.put({b"c%d" % number: {"name": "n" * 200}})
                if number % 20 == 0:
                    people.erase([b"c%d" % (number - 10)], number)

        thread = threading.Thread(target=load)
        thread.start()
        try:
            for number in range(5):
                people.backup(tmp_path / f"b{number}")
        finally:
            done.set()
            thread.join()
    for number in range(5):
        restore(tmp_path / f"b{number}", tmp_path / f"r{number}", [])
        with People.open(tmp_path / f"r{number}") as people:
            assert people.get([ANN]) == {ANN: VALUES[ANN]}
            assert not people.pending


def test_what_cannot_be_restored(tmp_path: Path) -> None:
    with made(tmp_path / "p") as people:
        people.backup(tmp_path / "b")
        with pytest.raises(StoreError, match="there already"):
            people.backup(tmp_path / "b")
    with made(tmp_path / "other") as people:
        people.erase([ANN], 1)
    with pytest.raises(CorruptError, match="another environment"):
        restore(tmp_path / "b", tmp_path / "r", [tmp_path / "other" / "erasures"])
    with pytest.raises(FormatError, match="no personal values"):
        restore(tmp_path, tmp_path / "r", [])
    with pytest.raises(StoreError, match="there already"):
        restore(tmp_path / "b", tmp_path / "p", [])
    data = tmp_path / "b" / "values-1" / "data.mdb"
    damaged = bytearray(data.read_bytes())
    damaged[damaged.index(b"canary-bob")] ^= 1
    data.write_bytes(damaged)
    with pytest.raises(CorruptError, match="the backup is damaged"):
        restore(tmp_path / "b", tmp_path / "r", [])
    assert not (tmp_path / "r").exists()
