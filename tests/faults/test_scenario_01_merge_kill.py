"""Scenario 1 for merged customers: an engine killed at any commit of a merge across partitions.

Whenever it dies, what the alias had is the customer's afterwards: none of it lacks, none is double.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors import failpoints
from actors.live.engine import Engine
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.live.verify import verify
from actors.live.watermarks import Marks
from core.outcomes import Outcome
from live_work import fork
from store_work import in_memory

PARTITIONS = 2
FLOW = {
    "headrace": 1,
    "flow": "f",
    "nodes": {
        "t": {"type": "on_event", "event": "go", "next": "w"},
        "w": {"type": "wait", "for": "90 days", "next": "x"},
        "x": {"type": "end"},
    },
}
SCHEMA = {
    "attributes": {"email": {"type": "string", "personal": True}, "score": {"type": "int64"}},
    "events": {"go": {}, "view": {"properties": {"n": "int64"}}},
}


@contextmanager
def started(folder: Path) -> Any:
    """The engine, which has lived on for a minute: what dies young again and again stays shut."""
    options = ShardOptions(marks=Marks(disk_full=1.1), driven=True)
    making = Making() if folder.exists() else Making(partitions=PARTITIONS)
    engine = start_engine(folder, making, Hosting(inline=True, relays=False, options=options))
    for number in range(PARTITIONS):
        engine._of[number].call("read", number, "tend")
    engine.control.tend()
    try:
        yield engine
    finally:
        engine.close()


def pair(engine: Engine, number: int) -> tuple[str, str]:
    """An alias and a customer of different partitions."""
    alias = f"a{number}"
    names = (f"k{number}-{i}" for i in range(50))
    return alias, next(k for k in names if engine.partition_of(k) != engine.partition_of(alias))


def begin(engine: Engine, number: int) -> None:
    """Let both of a pair be there."""
    alias, known = pair(engine, number)
    engine.send(
        [
            {"customer": known, "set": {"score": 2}, "message_id": f"s{number}"},
            {
                "customer": known,
                "event": "view",
                "properties": {"n": 9},
                "message_id": f"w{number}",
            },
            {"customer": alias, "set": {"score": 5, "email": "a@b.example"}},
            {"customer": alias, "event": "go", "message_id": f"g{number}"},
            *(
                {
                    "customer": alias,
                    "event": "view",
                    "properties": {"n": n},
                    "message_id": f"v{number}-{n}",
                }
                for n in range(3)
            ),
        ]
    )


def check(engine: Engine, number: int) -> bool:
    """Whether a pair is merged, and all as it must be; or both as they were."""
    alias, known = pair(engine, number)
    until = time.monotonic() + 20
    while engine.identities._unsettled:
        assert time.monotonic() < until, "the merge was not gone on with"
        time.sleep(0.05)
    state, other = engine.state_of(known), engine.state_of(alias)
    assert state is not None
    found = engine.job(engine.partition_of(known), "known_of", known)
    seen = sorted(e["properties"].get("n", -1) for e in found["events"])
    merged = engine.identities.aliases.customer(alias) == known
    if merged:
        assert other == state
        assert seen == [-1, 0, 1, 2, 9]
        assert state["personal"] == {"email": "a@b.example"}
        assert [c["set"] for c in found["changes"]] == [{"score": 2}, {}]
    else:
        assert other is not None
        assert len(other["places"]) == 1
        assert seen == [9]
    assert state["attributes"]["score"] == (7 if merged else 2)
    return merged


@pytest.mark.parametrize("point", ["in_transaction", "after_transaction"])
def test_an_engine_killed_in_a_merge_loses_and_doubles_nothing(
    tmp_path: Path, point: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with in_memory(tmp_path) as place:
        folder, kills, merges = place / "d", 0, 0
        with started(folder) as engine:
            engine.set_schema(SCHEMA)
            engine.publish(json.dumps(FLOW))
        for hit in range(1, 40):

            def work(tell: Callable[[object], None], hit: int = hit) -> None:
                failpoints.disarm()
                with started(folder) as engine:
                    begin(engine, hit)
                    failpoints.arm(point, "kill", hit)
                    engine.merge([pair(engine, hit)])
                    tell("merged")
                    failpoints.disarm()

            told, code = fork(work).wait()
            assert code in (0, -signal.SIGKILL), told
            kills += code != 0
            with started(folder) as engine:
                if not check(engine, hit):
                    assert code != 0
                    engine.merge([pair(engine, hit)])
                    assert check(engine, hit)
                merges += 1
                counts = engine.counts("f")
                assert counts.outcome[:, Outcome.MERGED.column].sum() == merges
                assert counts.waiting.sum() == 0
            if code == 0:
                break
        assert kills == hit - 1 >= 6
        report = verify(folder)
        assert report.sound, [c for c in report.checks if c.verdict == "damaged"]
    with capsys.disabled():
        print(f"\nscenario 1: {kills} kills {point} of {merges} merges, nothing lost or double")
