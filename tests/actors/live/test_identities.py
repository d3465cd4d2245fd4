"""Tests of `actors.live.identities`: two ids that turn out to be one customer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.live.engine import Engine
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.live.watermarks import Marks
from core.outcomes import Outcome

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
    options = ShardOptions(marks=Marks(disk_full=1.1), driven=True)
    hosting = Hosting(inline=True, shards=2, relays=False, options=options)
    engine = start_engine(folder, Making(partitions=PARTITIONS), hosting)
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
