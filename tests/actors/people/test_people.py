"""Tests of personal values: what is put is found, what is erased is gone, and stays gone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from actors import failpoints
from actors.people.people import People
from actors.people.person import PersonError
from actors.store.errors import (
    CorruptError,
    FencedError,
    FormatError,
    InUseError,
    MisuseError,
    NoSpaceError,
    StoreError,
)
from core.hashing import hash_bytes
from scanning import hits
from store_work import environment

ANN, BOB, EVE = b"ann@example.com", b"bob", b"eve"
TAKEOVER = """
import sys
from actors.people.people import People
with People.open(sys.argv[1], takeover=True, map_bytes=1 << 20) as people:
    people.put({b"eve": {"name": "Eve"}})
    people.erase([b"bob"], 3)
    print(len(people))
"""
VALUES = {ANN: {"email": "ann@example.com", "age": 41}, BOB: {"phone": "+49 1", "vip": True}}
MAP_BYTES = 1 << 20


def opened(folder: Path, **options: bool) -> People:
    return People.open(folder, create=True, map_bytes=MAP_BYTES, **options)


def test_what_is_put_is_found_again(tmp_path: Path) -> None:
    with opened(tmp_path / "p") as people:
        people.put(VALUES)
        assert people.get([ANN, BOB, EVE]) == VALUES
        people.put({ANN: {"age": None, "name": "Ann"}, EVE: {}})
        assert people.get([ANN, EVE]) == {
            ANN: {"email": "ann@example.com", "name": "Ann"},
            EVE: {},
        }
        assert len(people) == 3
    with opened(tmp_path / "p") as people:
        assert {person.id for person in people.persons()} == {ANN, BOB, EVE}
        found = people.of_hashes([hash_bytes(BOB), 12])
        assert {id_hash: person.id for id_hash, person in found.items()} == {hash_bytes(BOB): BOB}
        assert "bob" not in repr(found) + repr(people)


def test_putting_the_same_again_writes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "p") as people:
        people.put(VALUES)
        assert people._partition is not None
        before = people._partition.head.transactions
        people.put(VALUES)
        people.put({ANN: {"age": 41}})
        assert people._partition.head.transactions == before


@pytest.mark.parametrize(
    ("id", "values", "message"),
    [
        (b"", {}, "0 bytes"),
        (b"x" * 512, {}, "512 bytes"),
        (b"\xff", {}, "not UTF-8"),
        (EVE, {"email": b"canary"}, "'email' is a bytes"),
        (EVE, {"email": ["canary"]}, "'email' is a list"),
        (EVE, {"age": float("nan")}, "no finite number"),
        (EVE, {"age": 2**63}, "beyond 64 bits"),
        (EVE, {"note": "canary" * 20_000}, "'note' has 120,000 bytes"),
        (EVE, {"note": "canary\ud800"}, "half a character"),
        (EVE, {"": 1}, "or none"),
        (EVE, {f"a{number}": "canary" for number in range(257)}, "257 personal values"),
        (EVE, {f"a{number}": "canary" * 5_000 for number in range(50)}, "take 1,500,"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_not_repeated(
    tmp_path: Path, id: bytes, values: dict[str, object], message: str
) -> None:
    with opened(tmp_path / "p") as people:
        with pytest.raises(PersonError, match=message) as raised:
            people.put({ANN: {"a": 1}, id: values})  # type: ignore[dict-item]
        assert "canary" not in str(raised.value)
        assert len(people) == 0


def test_ids_with_one_hash_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.people.people.hash_bytes", lambda id: len(id))
    with opened(tmp_path / "p") as people:
        with pytest.raises(PersonError, match="one hash"):
            people.put({BOB: {}, EVE: {}})
        people.put({BOB: {"name": "Bob"}})
        with pytest.raises(PersonError, match="one hash"):
            people.put({EVE: {"name": "Eve"}})
        assert people.get([EVE, BOB]) == {BOB: {"name": "Bob"}}


def test_the_erased_are_gone_and_others_stay(tmp_path: Path) -> None:
    with opened(tmp_path / "p") as people:
        people.put(VALUES)
        assert people.erase([ANN, EVE], 1_000) == (2, 1)
        assert people.get([ANN, BOB]) == {BOB: VALUES[BOB]}
        assert people.is_erased(hash_bytes(ANN))
        assert not people.is_erased(hash_bytes(BOB))
        assert hits(tmp_path, [b"ann@example.com"]) == {}
        people.put({ANN: {"name": "new"}})
        assert not people.is_erased(hash_bytes(ANN))
    with opened(tmp_path / "p") as people:
        assert people.get([ANN]) == {ANN: {"name": "new"}}
        assert (people.erased_through, people.pending, len(people)) == (2, False, 2)


def test_one_rewriting_serves_many_erasures(tmp_path: Path) -> None:
    ids = [b"customer-%03d" % number for number in range(100)]
    with opened(tmp_path / "p") as people:
        people.put({id: {"name": f"canary {id.decode()}"} for id in ids})
        for id in ids[:40]:
            people.erase([id], 5, rewrite=False)
        assert people.pending
        assert people.get(ids[:41]) == {ids[40]: {"name": "canary customer-040"}}
        people.rewrite()
        assert not people.pending
        assert len(people) == 60
        assert hits(tmp_path, ids[:40]) == {}
        assert hits(tmp_path, ids[40:41]) == {"p/values-2/data.mdb": ids[40:41]}


@pytest.mark.parametrize(
    "point",
    ["people_after_ledger", "people_after_delete", "people_before_swap", "people_after_swap"],
)
def test_an_erasure_cut_short_ends_at_the_next_opening(tmp_path: Path, point: str) -> None:
    people = opened(tmp_path / "p")
    people.put(VALUES)
    failpoints.arm(point, "eio")
    try:
        with pytest.raises((OSError, StoreError)):
            people.erase([ANN], 7)
    finally:
        failpoints.disarm()
    assert people.get([ANN]) == {}
    people.put({BOB: {"phone": "+49 2"}})
    people.close()
    with opened(tmp_path / "p") as people:
        assert people.get([ANN, BOB]) == {BOB: {"phone": "+49 2", "vip": True}}
        assert not people.pending
    assert hits(tmp_path, [b"ann@example.com"]) == {}


def test_a_customer_who_came_anew_before_the_rewriting_stays(tmp_path: Path) -> None:
    people = opened(tmp_path / "p")
    people.put(VALUES)
    failpoints.arm("people_after_ledger", "eio")
    try:
        with pytest.raises(OSError, match="people_after_ledger"):
            people.erase([ANN], 7)
    finally:
        failpoints.disarm()
    people.put({ANN: {"name": "new"}})
    people.close()
    with opened(tmp_path / "p") as people:
        assert people.get([ANN]) == {ANN: {"name": "new"}}


def test_without_room_the_erased_are_unreadable_and_the_rest_is_done_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "p") as people:
        people.put(VALUES)
        failpoints.arm("people_before_swap", "enospc")
        try:
            with pytest.raises(NoSpaceError):
                people.erase([ANN], 7)
        finally:
            failpoints.disarm()
        assert people.pending
        assert people.get([ANN]) == {}
        people.rewrite()
        assert not people.pending
        assert people.get([BOB]) == {BOB: VALUES[BOB]}
    assert hits(tmp_path, [b"ann@example.com"]) == {}


def test_a_ledger_that_ends_too_early_is_noticed(tmp_path: Path) -> None:
    with opened(tmp_path / "p") as people:
        people.put(VALUES)
        shutil.copyfile(tmp_path / "p" / "erasures", tmp_path / "early")
        people.erase([ANN], 7)
    shutil.copyfile(tmp_path / "early", tmp_path / "p" / "erasures")
    with pytest.raises(CorruptError, match="ends with erasure 0, and 1 had"):
        opened(tmp_path / "p")


def test_reading_and_putting_go_on_while_others_are_erased(tmp_path: Path) -> None:
    ids = [b"c%d" % number for number in range(300)]
    with opened(tmp_path / "p") as people:
        people.put({id: {"name": id.decode()} for id in ids})
        done = threading.Event()
        wrong: list[object] = []
        reads = 0

        def read() -> None:
            nonlocal reads
            while not done.is_set():
                found = people.get(ids[200:])
                reads += 1
                if found.keys() != set(ids[200:]):
                    wrong.append(found)

        def put() -> None:
            number = 0
            while not done.is_set():
                number += 1
                people.put({b"new%d" % number: {"name": "n"}})
            wrong.extend(n for n in range(1, number + 1) if not people.get([b"new%d" % n]))

        threads = [threading.Thread(target=work) for work in (read, read, put)]
        for thread in threads:
            thread.start()
        for number in range(20):
            people.erase(ids[number * 10 : number * 10 + 10], number)
        done.set()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert reads > 20
        assert people.get(ids[:200]) == {}


def test_who_may_open_it(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no personal values are kept here"):
        People.open(tmp_path / "p")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    with pytest.raises(FormatError):
        opened(tmp_path / "other")
    old = opened(tmp_path / "p")
    old.put(VALUES)
    with pytest.raises(InUseError):
        opened(tmp_path / "p")
    old.close()
    old.close()
    with pytest.raises(MisuseError):
        old.get([ANN])
    (tmp_path / "p" / "people.json").write_text('{"format": "headrace people", "version": 2}')
    with pytest.raises(FormatError, match="version 2; this release reads 1"):
        opened(tmp_path / "p")


def test_a_zombie_can_neither_put_nor_erase_nor_let_a_copy_count(tmp_path: Path) -> None:
    zombie = opened(tmp_path / "p")
    zombie.put(VALUES)
    taken = subprocess.run(
        [sys.executable, "-c", TAKEOVER, str(tmp_path / "p")],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert taken.stdout == "2\n"
    with pytest.raises(FencedError):
        zombie.erase([ANN], 4)
    with pytest.raises(StoreError):
        zombie.rewrite()
    with pytest.raises(StoreError):
        zombie.put({ANN: {"name": "late"}})
    zombie.close()
    with opened(tmp_path / "p") as people:
        assert people.get([ANN, BOB, EVE]) == {ANN: VALUES[ANN], EVE: {"name": "Eve"}}
