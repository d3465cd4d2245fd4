"""Scenario 43 at size: random flows for thousands of customers, live beside the dry run."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from actors.live.partition import LivePartition
from differential import Loaded, TooLongError, run_reference
from ext.machine import Machine
from live_cases import Tenant, Way, live_options, run_live
from random_flows import random_case

STEPS = 10_000_000  # of the long form
LOG = np.dtype(
    [
        ("hash", "u8"),
        ("step", "u4"),
        ("time", "i8"),
        ("entry", "u8"),
        ("node", "i4"),
        ("port", "i4"),
    ]
)
WAYS = (Way(), Way(3, 5_000, restart_every=7, snapshots=True))


class ArrayTenant(Tenant):
    """Keeps decisions as arrays, customers by the hashes of their ids."""

    def __init__(self, folder: Path, loaded: Loaded, way: Way) -> None:
        self.logs: list[NDArray[Any]] = []
        super().__init__(folder, loaded, way)

    def collect(self, partition: LivePartition) -> None:
        """Keep the decisions of a partition so far."""
        hashes = partition.id_hashes()
        for each in partition.flows():
            log = partition.take_log(each["flow"], each["version"])
            self.logs.append(as_log(log, hashes))


def as_log(log: NDArray[Any], hashes: NDArray[np.uint64]) -> NDArray[Any]:
    """LOG records by the hashes of customers' ids."""
    found = np.empty(len(log), LOG)
    found["hash"] = hashes[log["customer"]]
    found["step"], found["time"], found["entry"] = log["step"], log["time_ms"], log["entry"]
    found["node"], found["port"] = log["node"], log["port"]
    return found


def multiplied(case: dict[str, Any], times: int) -> dict[str, Any]:
    """The case with so many of each customer, under ids of their own."""

    def copies(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
        return [{**row, key: f"{row[key]}-{i}"} for i in range(times) for row in rows]

    return case | {
        "customers": copies(case["customers"], "id"),
        "events": copies(case.get("events", []), "customer"),
        "changes": copies(case.get("changes", []), "customer"),
    }


def dry(loaded: Loaded) -> NDArray[Any]:
    """The decisions of the dry run."""
    bound = loaded.bound()
    machine = Machine(bound, block_max=max(1, bound.customers), log=True)
    machine.load(0, bound.customers)
    assert machine.apply(bound.options.horizon_ms)
    return as_log(machine.take_log(), bound.audience.id_hash)


def check(seed: int, times: int, way: Way) -> int:
    """Run a case multiplied, both ways; returns its decisions, 0 where it has too many."""
    case = random_case(seed)
    try:
        run_reference(live_options(case))
    except TooLongError:
        return 0
    loaded = live_options(multiplied(case, times))
    expected = np.sort(dry(loaded), order=["hash", "step"])
    with tempfile.TemporaryDirectory() as folder:
        tenant = run_live(Path(folder), loaded, way, seed, kind=ArrayTenant)
        tenant.close()
    assert isinstance(tenant, ArrayTenant)
    found = np.sort(np.concatenate(tenant.logs), order=["hash", "step"])
    assert len(found) == len(expected), f"seed {seed}, {way}"
    different = np.flatnonzero(found != expected)
    assert not len(different), (
        f"seed {seed}, {way}: {expected[different[0]]}, {found[different[0]]}"
    )
    return len(found)


def test_thousands_of_customers_live_decide_as_in_the_dry_run() -> None:
    steps = sum(check(seed, 100, WAYS[seed % len(WAYS)]) for seed in range(6))
    print(f"scenario 43: {steps:,} decisions, 0 differ")
    assert steps > 5_000


@pytest.mark.soak
def test_ten_million_decisions_live_are_those_of_the_dry_run() -> None:
    first = int(os.environ.get("HEADRACE_SEED", "1000"))
    steps = cases = 0
    while steps < STEPS:
        steps += check(first + cases, 500, WAYS[cases % len(WAYS)])
        cases += 1
    print(f"scenario 43: {steps:,} decisions in {cases} cases, 0 differ")
