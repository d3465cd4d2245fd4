"""Tests of `actors.live.following` and `shared_store`: a process that reads beside an engine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from actors.live.engine import Engine
from actors.live.errors import DownError, RefusedError
from actors.live.following import Following
from actors.live.shared_store import SharedStore
from actors.live.starting import Hosting, Making, start_engine
from actors.store.errors import FormatError
from actors.store.partition import Partition
from followed import SCHEMA, document
from waiting import until

HOSTING = Hosting(inline=True, shards=1, relays=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("following") / "data"


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    with start_engine(folder, Making(partitions=2), HOSTING) as found:
        found.set_schema(SCHEMA)
        found.publish(document())
        yield found


@pytest.fixture(scope="module")
def following(engine: Engine, folder: Path) -> Iterator[Following]:
    found = Following(folder)
    yield found
    found.rest()


def happened(engine: Engine, event: str, *customers: str) -> None:
    engine.send([{"customer": customer, "event": event} for customer in customers])


def counted(following: Following) -> tuple[int, int, int]:
    """Entries and ended of version 1, and the records that lack."""
    found = following.ask("report", flow="f", edges_ms=[])
    version = found["versions"][0]
    return version["entries"], version["ended"], found["behind"]


def process_of(following: Following) -> int:
    assert following._process is not None
    return following._process.pid


def test_what_was_acknowledged_is_told(engine: Engine, following: Following) -> None:
    entries, ended, _ = counted(following)
    for number in range(1, 21):
        happened(engine, "go", f"a{number}")
        assert counted(following) == (entries + number, ended, 0)
    happened(engine, "click", *(f"a{number}" for number in range(1, 6)))
    assert counted(following) == (entries + 20, ended + 5, 0)
    counts = engine.counts("f")
    told = following.ask("nodes", flow="f", version=1)
    assert told["port"] == counts.port.tolist()
    assert told["unique"] == counts.unique.tolist()
    assert told["waiting"] == counts.waiting.tolist()
    assert os.getpriority(os.PRIO_PROCESS, process_of(following)) >= 10


def test_pages_go_through_all_partitions(engine: Engine, following: Following) -> None:
    engine.publish(document(flow="paged"))
    customers = [f"p{number}" for number in range(20)]
    happened(engine, "go", *customers)
    seen: list[str] = []
    after = ""
    while True:
        said: dict[str, Any] = {"flow": "paged", "version": 1, "node": None, "port": None}
        found = following.ask("people", **said, after=after, limit=7)
        assert (found["total"], found["erased"]) == (20, 0)
        if not found["items"]:
            break
        seen += [item["customer"] for item in found["items"]]
        after = found["items"][-1]["key"]
    assert sorted(seen) == sorted(customers)
    assert len({engine.partition_of(customer) for customer in seen}) == 2


def test_the_engine_goes_on_while_a_question_is_answered(
    engine: Engine, following: Following
) -> None:
    entries, ended, _ = counted(following)
    stopped = process_of(following)
    os.kill(stopped, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(counted, following)
            until(following._asking.locked)
            for number in range(50):
                happened(engine, "go", f"meanwhile{number}")
            assert engine.counts("f").entered[0] == entries + 50
            assert not answer.done()
            os.kill(stopped, signal.SIGCONT)
            assert answer.result() == (entries + 50, ended, 0)
    finally:
        os.kill(stopped, signal.SIGCONT)


def test_it_lives_on_and_comes_again(engine: Engine, following: Following) -> None:
    first = process_of(following)
    before = counted(following)
    assert process_of(following) == first
    following.rest()
    following.rest()
    assert counted(following) == before
    second = process_of(following)
    assert second != first
    os.kill(second, 9)
    assert counted(following) == before
    assert process_of(following) not in (first, second)
    happened(engine, "go", "z")
    assert counted(following) == (before[0] + 1, before[1], 0)


def test_a_map_that_grows_is_followed(engine: Engine, following: Following, folder: Path) -> None:
    """The engine makes its map larger once a gigabyte is not enough; here it is told to."""
    before = counted(following)
    for shard in engine._handles:
        for seat in shard.shard._seats.values():  # type: ignore[attr-defined]
            environment = seat.opened().partition.store.environment
            environment._grow(environment.map_bytes)
    happened(engine, "go", "y")
    assert counted(following) == (before[0] + 1, *before[1:])


def test_what_is_not_there_is_refused(following: Following) -> None:
    for question, said in (
        ("report", {"flow": "g", "edges_ms": []}),
        ("nodes", {"flow": "f", "version": 9}),
        ("catch_up", {}),
    ):
        with pytest.raises(RefusedError):
            following.ask(question, **said)
    assert counted(following)[2] == 0


def test_a_directory_that_is_none_does_not_answer(tmp_path: Path) -> None:
    found = Following(tmp_path / "none")
    with pytest.raises(DownError, match="do not answer"):
        found.ask("report", flow="f", edges_ms=[])
    found.rest()
    with pytest.raises(FormatError):
        SharedStore.open(tmp_path)


def test_a_store_is_read_and_nothing_is_written(tmp_path: Path) -> None:
    with Partition.open(tmp_path / "p", create=True) as store:
        store.commit([b"one", b"two"])
    data = (tmp_path / "p/data.mdb").read_bytes()
    shared = SharedStore.open(tmp_path / "p")
    assert list(shared.journal()) == [(1, b"one"), (2, b"two")]
    assert list(shared.journal(1)) == [(2, b"two")]
    assert list(shared.journal(2)) == []
    assert (shared.head.journal_last, shared.load_snapshot(), shared.cursors) == (2, None, {})
    shared.close()
    shared.close()
    assert (tmp_path / "p/data.mdb").read_bytes() == data


def test_what_was_granted_to_those_who_compete_is_followed(
    engine: Engine, following: Following
) -> None:
    engine.publish(document(flow="capped", entry_cap=2))
    customers = [f"k{number}" for number in range(5)]
    happened(engine, "go", *customers)
    until(lambda: engine.counts("capped").refused_cap.sum() >= 3)
    (version,) = following.ask("report", flow="capped", edges_ms=[])["versions"]
    assert (version["entries"], version["people"], version["inside"]) == (2, 2, 2)
    refused = 0
    for customer in customers:
        said = {"flow": "capped", "customer": customer}
        (way,) = following.ask("why", **said, ends=[], now_ms=engine.now_ms())["versions"]
        if way["steps"][0]["entry"] < 0:
            (step,) = way["steps"]
            assert (step["port"], way["places"]) == ("refused_cap", [])
            assert step["reason"] == "as many people as may had entered"
            refused += 1
        else:
            assert [step["node"] for step in way["steps"]] == ["start", "mail"]
    assert refused == 3
    engine.stop("capped", in_flight="drop")  # answers to its claims would come at any time
