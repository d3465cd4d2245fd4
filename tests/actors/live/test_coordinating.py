"""Tests of `actors.live.coordinating`: a rate of entries that all flows of a tenant have.

It holds for each flow; the others wait in line, in order. A dry run on the tenant's own journal
lets the same people in within the same seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from actors.live.engine import Engine
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.live.watermarks import Marks
from command import call

HOSTING = Hosting(
    inline=True,
    shards=2,
    relays=False,
    options=ShardOptions(marks=Marks(disk_full=1.1), driven=True),
)
PEOPLE, RATE, OWN = 60, 10, 25
BEGIN, BEGIN_MS = "2026-01-01", 1_767_225_600_000
SECONDS = 7
# Two have the tenant's rate, each for itself, and one has a greater one of its own.
FLOWS: dict[str, dict[str, Any]] = {
    "f": {},
    "g": {},
    "own": {"entry_rate": {"per_second": OWN}},
}


def document(flow: str) -> str:
    nodes = {
        "start": {"type": "on_event", "event": "go", "next": "work"},
        "work": {"type": "wait", "for": "1 hour", "next": "end"},
        "end": {"type": "end"},
    }
    return json.dumps({"headrace": 1, "flow": flow, "settings": FLOWS[flow], "nodes": nodes})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = start_engine(tmp_path / "d", Making(partitions=4), HOSTING)
    engine.advance(BEGIN_MS - 1_000)
    engine.set_schema({"events": {"go": {}}, "entry_rate": RATE})
    for flow in FLOWS:
        engine.publish(document(flow))
    yield engine
    engine.close()


def settle(engine: Engine, to_ms: int) -> None:
    """Let claims be answered, and the rest of the second pass."""
    engine.advance(to_ms)
    while engine.coordinate():
        continue
    engine.advance(to_ms + 599)


def come(engine: Engine, first: int, last: int) -> None:
    rows = [{"customer": f"c{i}", "event": "go", "message_id": f"{i}"} for i in range(first, last)]
    assert engine.send(rows).accepted == last - first


def inside(engine: Engine, flow: str) -> set[str]:
    """Who is in a flow and stands in line no more."""
    states = [(f"c{i}", engine.state_of(f"c{i}")) for i in range(PEOPLE)]
    return {
        customer
        for customer, state in states
        for place in (state or {}).get("places", [])
        if (place["flow"], place["state"]) == (flow, "waits")
    }


def dry_run(tmp_path: Path, flow: str, *more: str) -> tuple[list[set[str]], dict[str, Any]]:
    """Who is in by the end of each second of a dry run on the journal, and its gate's figures."""
    path, log, report = (tmp_path / name for name in ("flow.json", "log.parquet", "report.json"))
    path.write_text(document(flow))
    window = ("--from", BEGIN, "--until", f"{BEGIN}T00:01", "--horizon", f"{BEGIN}T00:01")
    done = call(
        *("simulate", path, "--tenant-data", tmp_path / "d", *window, "--quiet", *more),
        *("--log", log, "--json", report),
    )
    assert done.code == 0, done.err
    entries = [row for row in pq.read_table(log).to_pylist() if row["node"] == "start"]
    at_ms = {row["customer"]: row["time"].timestamp() * 1_000 - BEGIN_MS for row in entries}
    by_second = [{c for c, ms in at_ms.items() if ms < 1_000 * (k + 1)} for k in range(SECONDS)]
    return by_second, json.loads(report.read_text())["couplings"]["gate"]


def test_A004_the_rate_holds_for_each_flow_and_the_rest_wait_their_turn(  # noqa: N802 - an id
    engine: Engine, tmp_path: Path
) -> None:
    engine.advance(BEGIN_MS)
    come(engine, 0, 40)
    let_in: dict[str, list[set[str]]] = {flow: [] for flow in FLOWS}
    for second in range(SECONDS):
        settle(engine, BEGIN_MS + 1_000 * second + 400)
        came = 40 if second < 2 else PEOPLE
        for flow in FLOWS:
            let_in[flow].append(inside(engine, flow))
            counts = engine.counts(flow)
            assert counts.entered[0] == len(let_in[flow][-1])
            assert counts.in_line[0] == came - len(let_in[flow][-1])
        if second == 1:
            come(engine, 40, PEOPLE)  # behind those who wait
    many = {flow: [len(people) for people in seconds] for flow, seconds in let_in.items()}
    assert many["f"] == many["g"] == [10, 20, 30, 40, 50, 60, 60]
    assert many["own"] == [25, 40, 60, 60, 60, 60, 60]
    late = {f"c{i}" for i in range(40, PEOPLE)}
    assert [not people & late for people in let_in["f"]] == [True] * 4 + [False] * 3
    for flow in FLOWS:
        # Live, everybody is in line until the answer comes.
        assert engine.counts(flow).queued[0] == PEOPLE
    engine.close()
    for flow, waited in (("f", 50), ("g", 50), ("own", 15)):
        dry, gate = dry_run(tmp_path, flow, "--entry-rate", str(RATE))
        assert dry == let_in[flow]
        assert gate["per_second"] == (OWN if flow == "own" else RATE)
        assert gate["queued"]["value"] == waited
        # The tenant's rate is what a dry run on his journal takes.
        assert dry_run(tmp_path, flow) == (dry, gate)


def test_a_coordinator_that_was_away_lets_nobody_in_faster(engine: Engine) -> None:
    engine.advance(BEGIN_MS)
    come(engine, 0, 40)
    engine.advance(BEGIN_MS + 30_000)
    assert engine.counts("f").in_line[0] == 40
    many = []
    for second in range(4):
        settle(engine, BEGIN_MS + 30_000 + 1_000 * second + 400)
        many.append(int(engine.counts("f").entered[0]))
    assert many == [10, 20, 30, 40]
