"""Tests of `actors.live.identities`: two ids that turn out to be one customer."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.dry_run import dry_run
from actors.intake.rows import decode_rows
from actors.live.control import TenantSettings
from actors.live.data_dir import DataDir, partition_path, read_manifest
from actors.live.engine import Engine
from actors.live.errors import DownError, MovedError
from actors.live.export import export_journals
from actors.live.reading import reading
from actors.live.repartition import repartition
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.live.verify import verify
from actors.live.watermarks import Marks
from core.audience import Audience
from core.binding import bind
from core.compiler import compile_flow
from core.document import read_flow
from core.options import RunOptions
from core.outcomes import Outcome
from core.reference import run as run_reference
from importing import events_of, ids_of, load_whole

SCHEMA = {
    "attributes": {
        "plan": {"type": "string"},
        "age": {"type": "int64"},
        "email": {"type": "string", "personal": True},
    },
    "events": {"view": {"properties": {"n": "int64"}}, "go": {}, "seen": {}, "ask": {}},
}
GREETING = {
    "headrace": 1,
    "flow": "greeting",
    "settings": {"reentry": {"policy": "once"}},
    "nodes": {
        "t": {"type": "on_event", "event": "go", "next": ["w", "l"]},
        "w": {"type": "wait", "for": "1 day", "next": "x"},
        "l": {
            "type": "wait_event",
            "event": "seen",
            "timeout": "5 days",
            "next": {"event": "x", "timeout": "x"},
        },
        "x": {"type": "end"},
    },
}
EAGER = {
    "headrace": 1,
    "flow": "eager",
    "settings": {"reentry": {"policy": "always"}},
    "nodes": {
        "t": {
            "type": "on_segment",
            "if": {"did": "view", "at_least": 3, "within": "30 days"},
            "next": "w",
        },
        "w": {"type": "wait", "for": "3 days", "next": "x"},
        "x": {"type": "end"},
    },
}
ASKING = {
    "headrace": 1,
    "flow": "asking",
    "settings": {"reentry": {"policy": "always"}},
    "nodes": {
        "t": {"type": "on_event", "event": "ask", "next": "c"},
        "c": {
            "type": "condition",
            "if": {"did": "view", "at_least": 2, "within": "30 days"},
            "next": {"yes": "y", "no": "x"},
        },
        "y": {"type": "end"},
        "x": {"type": "end"},
    },
}
PARTITIONS = 4


@contextmanager
def running(folder: Path) -> Iterator[Engine]:
    """An engine, its data directory made where there is none."""
    options = ShardOptions(marks=Marks(disk_full=1.1), driven=True)
    making = Making() if folder.exists() else Making(partitions=PARTITIONS)
    hosting = Hosting(inline=True, shards=2, relays=False, options=options)
    engine = start_engine(folder, making, hosting)
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with running(tmp_path / "d") as engine:
        engine.set_schema(SCHEMA)
        for flow in (GREETING, EAGER, ASKING):
            engine.publish(json.dumps(flow))
        yield engine


def ids(engine: Engine, together: bool) -> tuple[str, str]:
    """Two ids, of one partition or of two."""
    home = engine.partition_of("anon")
    return "anon", next(
        f"k{i}" for i in range(100) if (engine.partition_of(f"k{i}") == home) is together
    )


def views(customer: str, count: int, key: str) -> list[dict[str, Any]]:
    return [
        {"customer": customer, "event": "view", "properties": {"n": i}, "message_id": f"{key}{i}"}
        for i in range(count)
    ]


def count(engine: Engine, flow: str, outcome: Outcome) -> int:
    return int(engine.counts(flow).outcome[:, outcome.column].sum())


@pytest.mark.parametrize("together", [True, False])
def test_a_merge_moves_all_that_was(engine: Engine, together: bool) -> None:
    anon, known = ids(engine, together)
    engine.send([{"customer": known, "set": {"age": 30, "score": 2, "consent:email": True}}])
    engine.send(
        [
            {"customer": anon, "set": {"plan": "pro", "age": 20, "score": 5, "email": "a@b.c"}},
            {"customer": anon, "set": {"consent:email": False}, "tags": {"add": ["vip"]}},
            {"customer": anon, "event": "go", "message_id": "go"},
            *views(anon, 2, "v"),
        ]
    )
    found = engine.merge([(anon, known)])
    assert found.done is not None
    assert (found.known, found.refused, found.waiting) == ([], [], 0)
    assert count(engine, "greeting", Outcome.MERGED) == 2
    assert [f.people for f in [engine.counts("greeting")]] == [1]
    state = engine.state_of(known)
    assert state is not None
    assert state == engine.state_of(anon)
    assert {k: v for k, v in state["attributes"].items() if v is not None} == {
        "age": 30,
        "plan": "pro",
    }
    assert (state["tags"], state["places"]) == (["vip"], [])
    assert state["personal"] == {"email": "a@b.c"}
    engine.send([{"customer": anon, "event": "ask"}, {"customer": known, "event": "ask"}])
    asked = engine.counts("asking")
    assert int(asked.entered[0]) == 2
    assert int(asked.outcome[2, Outcome.END.column]) == 2
    # Re-entry knows that he had entered before; the same events again count once.
    engine.send([{"customer": known, "event": "go"}, *views(anon, 2, "v")])
    assert count(engine, "greeting", Outcome.REFUSED_ONCE) == 1
    assert engine.counts("eager").entered.sum() == 0
    engine.send(views(known, 1, "third"))
    assert int(engine.counts("eager").entered[0]) == 1


def test_chains_lead_to_the_last_and_circles_are_refused(engine: Engine) -> None:
    engine.send(views("a", 1, "a"))
    assert engine.merge([("a", "b")]).done is not None
    assert engine.merge([("b", "c")]).done is not None
    aliases = engine.identities.aliases
    assert (aliases.customer("a"), aliases.of_customer("c")) == ("c", ["a", "b"])
    assert engine.identities.all_of(["a", "z"]) == ["c", "a", "b", "z"]
    told = engine.merge([("c", "a"), ("a", "a"), ("q", "q"), ("a", "z"), ("a", "b"), ("x", "a")])
    themselves, another = (
        "a customer cannot be merged into themselves",
        "the id was merged into another customer already",
    )
    assert told.refused == [(0, themselves), (1, themselves), (2, themselves), (3, another)]
    assert told.known == [4]
    assert aliases.customer("x") == "c"
    # Within one request too, and an id needs to be one.
    told = engine.merge([("m", "n"), ("n", "m"), ("n", "o"), ("", "o"), ("p", "x" * 600)])
    assert [number for number, _ in told.refused] == [1, 3, 4]
    assert aliases.customer("m") == "o"
    engine.send([{"customer": "a", "event": "ask"}, *views("b", 1, "b"), *views("x", 1, "x")])
    engine.send([{"customer": "a", "event": "ask"}])
    state = engine.state_of("c")
    assert state is not None
    assert engine.state_of("a") == engine.state_of("x") == state
    outcome = engine.counts("asking").outcome[:, Outcome.END.column]
    assert outcome.tolist() == [0, 0, 1, 1]


def test_unknown_ids_are_remembered(engine: Engine) -> None:
    found = engine.merge([("nobody", "somebody")])
    assert found.done is not None
    assert found.waiting == 0
    assert engine.state_of("nobody") is None
    engine.send([{"customer": "nobody", "set": {"age": 5, "email": "n@b.example"}}])
    state = engine.state_of("somebody")
    assert state is not None
    assert (state["attributes"]["age"], state["personal"]) == (5, {"email": "n@b.example"})
    assert engine.merge([("nobody", "somebody")]).known == [0]


def test_what_was_true_of_either_lets_in_once(engine: Engine) -> None:
    anon, known = ids(engine, together=False)
    engine.send(views(anon, 3, "v"))
    assert int(engine.counts("eager").entered[0]) == 1
    engine.merge([(anon, known)])
    assert count(engine, "eager", Outcome.MERGED) == 1
    engine.send(views(known, 1, "later"))
    assert int(engine.counts("eager").entered[0]) == 1
    # Two of one and one of the other are three of the customer: he comes to match.
    engine.send(views("x", 2, "x") + views("y", 1, "y"))
    engine.merge([("x", "y")])
    assert int(engine.counts("eager").entered[0]) == 2
    [place] = engine.state_of("y")["places"]  # type: ignore[index]
    assert (place["flow"], place["node"]) == ("eager", "w")


def test_an_alias_stays_one_behind_snapshots_and_restarts(tmp_path: Path) -> None:
    with running(tmp_path / "d") as engine:
        engine.set_schema(SCHEMA)
        engine.publish(json.dumps(ASKING))
        anon, known = ids(engine, together=False)
        engine.send([{"customer": anon, "set": {"plan": "pro"}}, *views(anon, 2, "v")])
        engine.merge([(anon, known)])
        state = engine.state_of(known)
    for _ in range(2):  # The first opening has a snapshot, as the engine was stopped.
        with running(tmp_path / "d") as engine:
            assert engine.state_of(known) == engine.state_of(anon) == state
            assert engine.send(views(anon, 2, "v")).duplicates == 2
    with running(tmp_path / "d") as engine:
        engine.publish(json.dumps({**ASKING, "flow": "later"}))
        engine.send([{"customer": anon, "event": "ask"}])
        for flow in ("asking", "later"):
            ends = engine.counts(flow).outcome[:, Outcome.END.column]
            assert ends.tolist() == [0, 0, 1, 0]
    report = verify(tmp_path / "d")
    assert report.sound, [c for c in report.checks if c.verdict == "damaged"]


def test_erasing_a_customer_erases_the_aliases(engine: Engine) -> None:
    anon, known = ids(engine, together=False)
    engine.send([{"customer": anon, "set": {"plan": "pro", "email": "a@b.example"}}])
    engine.merge([(anon, known)])
    engine.erase([anon])
    for each in (anon, known):
        state = engine.state_of(each)
        assert state is None or (state["erased"], state.get("personal", {})) == (True, {})
    assert engine.identities.aliases.customer(anon) == anon
    # Who comes again by the id is somebody new, and may be merged anew.
    engine.send([{"customer": anon, "set": {"age": 7}}])
    assert engine.state_of(anon)["attributes"]["age"] == 7  # type: ignore[index]
    assert engine.state_of(known)["erased"]  # type: ignore[index]
    engine.merge([(anon, known)])
    assert engine.state_of(known)["attributes"]["age"] == 7  # type: ignore[index]


def test_a_merge_waits_for_a_partition_that_is_down(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    anon, known = ids(engine, together=False)
    engine.send([{"customer": anon, "set": {"plan": "pro"}}])

    def down(*arguments: object) -> Any:
        raise DownError("it is down")

    with monkeypatch.context() as patch:
        patch.setattr(engine.identities, "_hand_over", down)
        found = engine.merge([(anon, known)])
        assert found.done is not None
        assert found.waiting == 1
        with engine._commanding:
            assert engine.identities.settle() == 1
        assert engine.state_of(known) is None
    until = time.monotonic() + 20
    while (state := engine.state_of(known)) is None or state["attributes"].get("plan") != "pro":
        assert time.monotonic() < until, "nobody went on with the merge"
        time.sleep(0.1)


def test_rows_that_come_too_late_for_the_alias_are_refused(engine: Engine) -> None:
    anon, known = ids(engine, together=True)
    decoded = decode_rows(views(anon, 1, "late"), engine.schema, batch=b"b" * 16)
    engine.merge([(anon, known)])
    handle = engine._of[engine.partition_of(anon)]
    frame = decoded.frame
    with pytest.raises(MovedError):
        handle.submit(engine.partition_of(anon), frame, engine.control.last).result(10)
    for future in engine.submit(frame):
        assert future.result(10).accepted == 1


def exported(folder: Path, to: Path) -> Audience:
    """The journals of a data directory that is closed, as an audience."""
    manifest = read_manifest(folder)
    with ExitStack() as stack:
        folders = [partition_path(folder, n) for n in range(manifest.partitions)]
        stores = [stack.enter_context(reading(each)) for each in folders]
        export_journals(stores, TenantSettings.of(manifest), to)
    return load_whole(to)


@pytest.mark.parametrize("partitions", [PARTITIONS, 2, 7])
def test_a_dry_run_decides_as_live_from_the_merge_on(tmp_path: Path, partitions: int) -> None:
    folder = tmp_path / "d"
    with running(folder) as engine:
        engine.set_schema(SCHEMA)
        engine.publish(json.dumps(GREETING))
        anon, known = ids(engine, together=False)
        engine.send(
            [*views(anon, 2, "v"), *views(known, 1, "w"), {"customer": anon, "event": "go"}]
        )
        engine.advance(engine.now_ms() + 1_000)
        engine.merge([(anon, known)])
        engine.advance(engine.now_ms() + 1_000)
        from_ms = engine.now_ms()
        engine.publish(json.dumps(ASKING))
        engine.send([{"customer": each, "event": "ask"} for each in (anon, "z", known)])
        engine.advance(engine.now_ms() + 1_000)
        live = engine.counts("asking")
        digest = sum(engine.ask_all("digest")) % 2**64
    if partitions != PARTITIONS:
        with DataDir.open(folder) as data:
            made = repartition(data, partitions, tmp_path / "other")
        assert made.digest == digest
        folder = tmp_path / "other"
        with running(folder) as engine:
            assert engine.identities.aliases.customer(anon) == known
            assert engine.state_of(anon) == engine.state_of(known)
            assert engine.counts("asking").outcome.tolist() == live.outcome.tolist()
    audience = exported(folder, tmp_path / "audience")
    assert sorted(ids_of(audience)) == sorted([known, "z"])
    names = [(who, name) for who, _, name, _ in events_of(audience) if name != "message_sent"]
    assert Counter(names) == {
        (known, "view"): 3,
        (known, "go"): 1,
        (known, "ask"): 2,
        ("z", "ask"): 1,
    }
    flow, _ = read_flow(json.dumps(ASKING), name="asking")
    assert flow is not None
    options = RunOptions(from_ms=from_ms, until_ms=from_ms + 5_000, horizon_ms=from_ms + 5_000)
    told = run_reference(flow, audience, options)
    assert told.counters.outcome.tolist() == live.outcome.tolist()
    assert told.counters.port.tolist() == live.port.tolist()
    bound = bind(compile_flow(flow.core), audience, options)
    assert dry_run(bound).counters[0].outcome.tolist() == live.outcome.tolist()
