"""Scenario 15: what poison costs a shard, measured against the rows that it works meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.live.engine import Engine
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.live.watermarks import Marks
from core.outcomes import Outcome

SCHEMA: dict[str, Any] = {
    "attributes": {"born": {"type": "date"}} | {f"n{i}": {"type": "string"} for i in range(20)},
    "events": {"go": {}, "ring": {}},
}
FLOWS: dict[str, dict[str, Any]] = {
    "welcome": {
        "t": {"type": "on_event", "event": "go", "next": "m"},
        "m": {"type": "send", "channel": "email", "template": "m", "next": "w"},
        "w": {"type": "wait", "for": "3 days", "next": "x"},
        "x": {"type": "end"},
    },
    # A token goes round for ever, until its budget of steps is spent.
    "ring": {
        "t": {"type": "on_event", "event": "ring", "next": "a"},
        "a": {"type": "wait_date", "attribute": "born", "next": "b"},
        "b": {
            "type": "condition",
            "if": {"attribute": "n0", "is": "out"},
            "next": {"yes": "x", "no": "a"},
        },
        "x": {"type": "end"},
    },
}
HOSTING = Hosting(
    inline=True, shards=1, relays=False, options=ShardOptions(marks=Marks(disk_full=1.1))
)
BATCH = 1_000
ONE_IN = 100_000
"""So rare is poison: a shard that meets it all the time has a client to be spoken to."""
POISON: dict[str, Callable[[int], dict[str, Any]]] = {
    "10 MB attribute": lambda n: {"customer": f"p{n}", "set": {"n0": "x" * 10_000_000}},
    "row of 1.2 MB": lambda n: {
        "customer": f"p{n}", "set": {f"n{i}": "x" * 60_000 for i in range(20)}
    },
    "invalid UTF-8": lambda n: {"customer": f"p{n}", "set": {"n0": "\ud800"}},
    "unknown field": lambda n: {"customer": f"p{n}", "event": "go", "shoes": 44},
    "endless cycle": lambda n: {"customer": f"p{n}", "event": "ring"},
}  # fmt: skip


def good(number: int) -> list[dict[str, Any]]:
    first = number * BATCH
    return [
        {"customer": f"c{i}", "event": "go", "message_id": f"{i}"}
        for i in range(first, first + BATCH)
    ]


def started(folder: Path) -> Engine:
    engine = start_engine(folder, Making(partitions=1), HOSTING)
    engine.set_schema(SCHEMA)
    for flow, nodes in FLOWS.items():
        engine.publish(json.dumps({"headrace": 1, "flow": flow, "nodes": nodes}))
    return engine


def spent_s(engine: Engine, rows: list[dict[str, Any]]) -> tuple[float, int]:
    """Time that a batch took of all threads, and how many of its rows were refused."""
    began = time.process_time()
    refused = len(engine.send(rows).rejects)
    return time.process_time() - began, refused


@pytest.mark.parametrize("rounds", [6, pytest.param(100, marks=pytest.mark.soak)])
def test_poison_costs_less_than_a_hundredth_of_the_throughput(
    tmp_path: Path, rounds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    number = 0
    plain: list[float] = []
    poisoned: dict[str, list[float]] = {name: [] for name in POISON}
    refused = 0
    with started(tmp_path / "d") as engine:
        circling = [f"p{n}" for n in range(rounds)]
        engine.send([{"customer": name, "set": {"born": "1990-01-01"}} for name in circling])
        for round_ in range(rounds):
            plain.append(spent_s(engine, good(number))[0])
            number += 1
            for name, make in POISON.items():
                rows = good(number)
                rows.insert(BATCH // 2, make(round_))
                took, rejects = spent_s(engine, rows)
                poisoned[name].append(took)
                refused += rejects
                number += 1
        counts = engine.counts("ring")
        assert counts.outcome[:, Outcome.PARKED_BUDGET.column].sum() == rounds
        # Everybody else got through, beside poison or not.
        assert engine.counts("welcome").entered[0] == number * BATCH
    assert refused == 4 * rounds
    alone = min(plain)
    cost = {name: max(0.0, min(took) - alone) / (alone / BATCH) for name, took in poisoned.items()}
    drop = max(cost.values()) / ONE_IN
    with capsys.disabled():
        told = ", ".join(f"{name} {rows:.0f}" for name, rows in cost.items())
        print(
            f"\nscenario 15: a row takes {alone / BATCH * 1e6:.1f} us; poison costs as many: "
            f"{told}; one in {ONE_IN:,} costs {drop:.2%} of the throughput at most"
        )
    assert drop < 0.01
