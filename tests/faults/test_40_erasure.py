"""Scenario 40: nothing of the erased is left anywhere, by a byte scan, and no backup brings it."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.people.backup import erase_again, restore
from actors.people.people import People
from actors.relay.services import wall_ms
from actors.store.verify import verify
from core.hashing import hash_bytes
from relay_work import Engine, gateway, sends
from scanning import hits
from store_work import environment

COUNT = 60
ERASED = range(0, COUNT, 3)
FIELDS = ("id", "email", "phone", "name", "note")
SETTINGS = "  letters: {kind: file, channels: [email]}\n"


def canary(field: str, number: int) -> str:
    return f"cnry{field}{number:04d}"


def customer_id(number: int) -> bytes:
    return f"{canary('id', number)}@example.com".encode()


def values(number: int) -> dict[str, str]:
    return {
        "email": f"{canary('email', number)}@example.com",
        "phone": f"+49{canary('phone', number)}",
        "name": f"Zoë {canary('name', number)}",
        "note": f"wrote: {canary('note', number)} " * 3,
    }


def canaries(numbers: range) -> list[bytes]:
    return [canary(field, number).encode() for number in numbers for field in FIELDS]


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Everything that anybody logs, however chatty, goes to a file."""
    path.parent.mkdir()
    handler = logging.FileHandler(path)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()


def test_40_nothing_of_the_erased_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("relay_work.customer_id", customer_id)
    data, gone = tmp_path / "data", canaries(ERASED)
    data.mkdir()
    with gateway() as provider, logged(data / "logs" / "debug.log"):
        settings = provider.providers(keyed=True, resend=False)
        (data / "providers.yaml").write_text(settings + SETTINGS)
        engine = Engine(data)
        engine.people.put({customer_id(n): values(n) for n in range(COUNT)})
        engine.commit([*sends(COUNT), *sends(COUNT, node="letter", channel="email")])
        engine.relay.start()
        engine.wait(2 * COUNT)
        # What the scan is to find later is there now: in the values, and in the file of letters.
        before = hits(data, gone)
        assert set(before) == {"people/000/values-1/data.mdb", "outgoing/messages-000.jsonl"}
        assert before["people/000/values-1/data.mdb"] == sorted(gone)
        engine.people.backup(tmp_path / "old")
        engine.partition.backup(tmp_path / "old-partition")
        counted = engine.results()

        # The relay goes on sending to everybody while they are erased.
        stop = threading.Event()
        rounds = 0

        def load() -> None:
            nonlocal rounds
            while not stop.is_set() and rounds < 40:
                rounds += 1
                engine.commit(sends(COUNT, visit=1 + rounds))
                engine.commit(sends(COUNT, visit=1 + rounds, node="letter", channel="email"))
                stop.wait(0.05)

        loader = threading.Thread(target=load)
        loader.start()
        stop.wait(0.15)
        for part in (ERASED[:10], ERASED[10:]):
            engine.forgotten.update(part)
            assert engine.people.erase([customer_id(n) for n in part], wall_ms()).found == len(part)
            engine.relay.forget(part)
            requests = len(provider.bodies)
        stop.wait(0.15)
        stop.set()
        loader.join()
        engine.wait(2 * COUNT * (1 + rounds))
        late = b"".join(provider.bodies[requests:])
        assert not any(text in late for text in gone)
        assert b"cnryphone0001" in late
        results = engine.results()
        assert results["message_sent"] > counted["message_sent"]
        assert results.total() == 2 * COUNT * (1 + rounds)
        parked = engine.relay.ask(lambda relay: relay.parked("gate", limit=10_000))
        assert {each.reason for each in parked} == {"erased"}
        engine.people.backup(data / "backups" / "people")
        engine.partition.backup(data / "backups" / "partition")
        engine.close()

    found = hits(data, gone)
    scanned = [path for path in data.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in scanned)
    assert found == {}
    assert {"erasures", "debug.log", "messages-000.jsonl"} <= {path.name for path in scanned}
    others = hits(data, canaries(range(1, 2)))
    assert set(others) == {
        "people/000/values-3/data.mdb",
        "backups/people/values-1/data.mdb",
        "outgoing/messages-000.jsonl",
    }
    assert verify(data / "people" / "000" / "values-3").first_problem == ""

    # The old backup has them, and neither what is restored from it nor it itself does after that.
    ledger = data / "people" / "000" / "erasures"
    assert hits(tmp_path / "old", gone)["values-1/data.mdb"] == sorted(gone)
    assert hits(tmp_path / "old-partition", gone) == {}
    restore(tmp_path / "old", tmp_path / "restored", [ledger])
    assert hits(tmp_path / "restored", gone) == {}
    erase_again(tmp_path / "old", [ledger])
    assert hits(tmp_path / "old", gone) == {}
    with People.open(tmp_path / "restored") as people:
        assert len(people) == COUNT - len(ERASED)
        assert people.get([customer_id(1)]) == {customer_id(1): values(1)}
    with capsys.disabled():
        print(
            f"\nscenario 40: {len(ERASED)} of {COUNT} erased while {rounds * 2 * COUNT:,} messages "
            f"were sent, {len(gone)} canaries in {len(scanned)} files of {size:,} bytes: 0 hits; "
            f"in the restored backup: 0"
        )


def test_40_who_comes_again_is_somebody_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay_work.customer_id", customer_id)
    with gateway() as provider:
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "providers.yaml").write_text(provider.providers(keyed=True, resend=False))
        engine = Engine(tmp_path / "d")
        engine.people.put({customer_id(0): values(0)})
        (old,) = sends(1)
        engine.people.erase([customer_id(0)], wall_ms())
        assert engine.people.is_erased(hash_bytes(customer_id(0)))
        engine.people.put({customer_id(0): {"phone": "+49 new", "name": "New"}})
        time.sleep(0.002)
        (new,) = sends(1, node="new")
        # What was decided for the old one leaves late, under the same number and the same id.
        engine.commit([old, new])
        engine.relay.start()
        engine.wait(2)
        parked = engine.relay.ask(lambda relay: relay.parked("gate"))
        engine.close()
    assert [(each.key, each.reason) for each in parked] == [(old.key, "erased")]
    assert provider.attempts == {new.key: 1}
    assert b"+49 new" in provider.bodies[0]
    assert hits(tmp_path, [canary(field, 0).encode() for field in FIELDS[1:]]) == {}


KILLED = """
import sys
from actors.people.people import People
with People.open(sys.argv[1], create=True, map_bytes=1 << 20) as people:
    people.put({b"canary-id-%d" % n: {"name": "canary-name-%d." % n} for n in range(30)})
    people.erase([b"canary-id-%d" % n for n in range(10, 20)], 5)
"""


@pytest.mark.parametrize(
    "point",
    ["people_after_ledger", "people_after_delete", "people_before_swap", "people_after_swap"],
)
def test_40_an_erasure_killed_half_way_ends_at_the_next_opening(
    tmp_path: Path, point: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "p")]
    done = subprocess.run(command, env=environment(f"{point}=kill"), check=False)
    assert done.returncode == -signal.SIGKILL
    gone = [b"canary-id-1%d" % n for n in range(10)] + [b"canary-name-1%d." % n for n in range(10)]
    before = hits(tmp_path, gone)
    with People.open(tmp_path / "p") as people:
        assert len(people) == 20
        assert not people.pending
    assert hits(tmp_path, gone) == {}
    with capsys.disabled():
        print(f"\nscenario 40: killed at {point}: {len(before)} files with hits, after opening 0")
