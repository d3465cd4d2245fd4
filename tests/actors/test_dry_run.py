"""Checks the driver of dry runs: any workers and blocks alike, replicates, cancelling, errors."""

from __future__ import annotations

import threading
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import actors.dry_run
from actors.dry_run import AbortedError, Cancel, DryRunResult, block_customers, dry_run
from cases import Case, on, send, sure, wait, wait_event
from core.binding import Bound, bind
from core.compiler import compile_flow
from core.counters import Counters
from core.reference import run as run_reference
from ext.machine import BLOCK

PEOPLE = 50


def case(**more: Any) -> Case:
    """Fifty people who are sent something, may answer by chance, and are split."""
    nodes = {
        "t": on("go", "m"),
        "m": send("email", "hi", "w"),
        "w": wait_event("click", timeout="2 days", yes="half", no="rest"),
        "half": {
            "type": "split",
            "branches": {"a": "50%", "b": "50%"},
            "next": {"a": "rest", "b": "x"},
        },
        "rest": wait("1 day", "x"),
    }
    return Case(
        nodes,
        [(f"05-{1 + k % 20:02d} 10:00", "go", {}, f"c{k}") for k in range(PEOPLE)],
        customers=[{"id": f"c{k}"} for k in range(PEOPLE)],
        responses=[
            {"for": {"channel": "email"}, "outcomes": [sure("click") | {"probability": 0.5}]}
        ],
        **more,
    )


def bound_of(given: Case) -> Bound:
    return bind(compile_flow(given.flow(), given.model()), given.people(), given.run_options())


def same(one: Counters, other: Counters) -> bool:
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(Counters)
    )


class Kept:
    """Keeps the log that it is given."""

    def __init__(self) -> None:
        self.parts: list[NDArray[Any]] = []

    def room(self, records: int) -> None:
        """Ask for fresh arrays."""

    def write(self, records: NDArray[Any]) -> None:
        self.parts.append(records)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = np.concatenate(self.parts).tolist()
        return rows


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("block", [1, 7, 50, None])
def test_workers_and_blocks_change_nothing(workers: int, block: int | None) -> None:
    given = case()
    expected = run_reference(given.flow(), given.people(), given.run_options(), given.model())
    log = Kept()
    result = dry_run(bound_of(given), workers=workers, block=block, lanes=3, log=log)
    assert (result.partial, result.customers_done) == (False, PEOPLE)
    assert len(result.counters) == 1
    assert same(result.counters[0], expected.counters)
    assert [(f"c{row[0]}", *row[1:4]) for row in log.rows] == [
        (r.customer, r.step, r.time_ms, r.entry) for r in expected.records
    ]


@pytest.mark.parametrize(("workers", "block"), [(1, 50), (2, 9), (3, 1)])
def test_a_replicate_is_a_run_of_its_own(workers: int, block: int) -> None:
    given = case()
    log = Kept()
    result = dry_run(bound_of(given), workers=workers, block=block, replicates=4, log=log)
    assert result.customers_done == 4 * PEOPLE
    for number, found in enumerate(result.counters):
        alone = dry_run(bound_of(replace(given, options={"replicate": number})))
        assert same(found, alone.counters[0])
    clicks = [int(c.modelled[0]) for c in result.counters]
    assert len(set(clicks)) > 1, "replicates differ in luck"
    entries = [c.entered[0] for c in result.counters]
    assert entries == [PEOPLE] * 4, "and in nothing else"
    only = Kept()
    dry_run(bound_of(given), log=only)
    assert log.rows == only.rows, "the log is that of the first replicate"


def test_replicates_are_numbered_from_that_of_the_options() -> None:
    result = dry_run(bound_of(replace(case(), options={"replicate": 2})), replicates=2)
    numbered = dry_run(bound_of(case()), replicates=4)
    assert [same(a, b) for a, b in zip(result.counters, numbered.counters[2:], strict=True)] == [
        True,
        True,
    ]


def test_blocks_of_large_flows_are_small() -> None:
    many = 10**6
    assert block_customers(1, many, 2) == block_customers(12, many, 2) == BLOCK
    assert block_customers(10_000, many, 2) == 419
    assert block_customers(20_000, many, 2) == 209
    assert block_customers(1_000_000, many, 2) == 64


def test_blocks_of_small_audiences_give_all_workers_work() -> None:
    assert block_customers(12, 2000, 1) == 500
    assert block_customers(12, 2000, 4) == 125
    assert block_customers(12, 2000, 100) == 64
    assert block_customers(12, 0, 1) == 64


@pytest.mark.parametrize("workers", [1, 4])
def test_progress_rises_to_the_end(workers: int) -> None:
    told: list[tuple[int, int]] = []
    dry_run(
        bound_of(case()),
        workers=workers,
        block=7,
        replicates=2,
        progress=lambda done, total: told.append((done, total)),
    )
    each = [7, 14, 21, 28, 35, 42, 49, 50]
    assert told == [(done, 100) for done in [0, *each, *(50 + done for done in each)]]


def test_nobody_is_carried_out_at_once() -> None:
    result = dry_run(bound_of(Case({"t": on("go", "x")}, customers=())), workers=2)
    assert (result.partial, result.customers_done) == (False, 0)
    assert [c.customers for c in result.counters] == [0]


# -- stopping


def stopped(after: int, *, replicates: int = 1, log: Kept | None = None) -> DryRunResult:
    """A run in blocks of 5 that is asked to stop when so many customers are done."""
    cancel = Cancel()

    def progress(done: int, total: int) -> None:
        if done >= after:
            cancel.ask()

    return dry_run(
        bound_of(case()),
        block=5,
        workers=2,
        replicates=replicates,
        log=log,
        progress=progress,
        cancel=cancel,
    )


def test_a_run_that_is_asked_to_stop_keeps_whole_blocks_from_the_first() -> None:
    log, whole = Kept(), Kept()
    result = stopped(10, log=log)
    done = result.customers_done
    assert result.partial
    assert 10 <= done < PEOPLE, "no block is begun after it was asked to stop"
    assert done % 5 == 0
    assert [c.customers for c in result.counters] == [done]
    assert result.counters[0].entered[0] == done
    dry_run(bound_of(case()), log=whole)
    assert log.rows == [row for row in whole.rows if row[0] < done]


def test_only_complete_replicates_are_kept() -> None:
    result = stopped(2 * PEOPLE + 5, replicates=100)
    assert result.partial
    assert len(result.counters) >= 2
    assert [c.customers for c in result.counters] == [PEOPLE] * (result.customers_done // PEOPLE)
    assert same(result.counters[0], dry_run(bound_of(case())).counters[0])


def test_stopping_after_the_last_block_changes_nothing() -> None:
    result = stopped(PEOPLE)
    assert (result.partial, result.customers_done) == (False, PEOPLE)


def test_a_run_that_is_stopped_before_it_began_is_partial() -> None:
    cancel = Cancel()
    cancel.ask()
    result = dry_run(bound_of(case()), cancel=cancel)
    assert (result.partial, result.customers_done) == (True, 0)
    assert [c.customers for c in result.counters] == [0]


def endless() -> Bound:
    """One person who goes round a circle every millisecond for a month: minutes of work."""
    nodes = {"t": on("go", "w"), "w": wait("1 ms", "again"), "again": wait("1 ms", "w")}
    return bound_of(Case(nodes, [("05-01", "go")]))


def test_force_stops_a_block_that_runs() -> None:
    cancel = Cancel()
    timer = threading.Timer(0.2, cancel.force)
    timer.start()
    with pytest.raises(AbortedError) as caught:
        dry_run(endless(), cancel=cancel)
    timer.join()
    assert caught.value.exit_code == 130
    assert all(not thread.name.startswith("dry-run") for thread in threading.enumerate())


# -- errors


def test_what_a_worker_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(actors.dry_run.Machine):
        def load(self, first: int, last: int) -> None:
            if first == 20:
                raise RuntimeError("block 20")
            super().load(first, last)

    monkeypatch.setattr(actors.dry_run, "Machine", Broken)
    with pytest.raises(RuntimeError, match="block 20"):
        dry_run(bound_of(case()), block=5, workers=2)
    assert all(not thread.name.startswith("dry-run") for thread in threading.enumerate())


def test_what_the_log_raises_ends_the_run_at_once() -> None:
    class Full(Kept):
        def room(self, records: int) -> None:
            """Ask for fresh arrays."""

        def write(self, records: NDArray[Any]) -> None:
            super().write(records)
            if len(self.parts) == 3:
                raise OSError("full")

    log = Full()
    with pytest.raises(OSError, match="full"):
        dry_run(bound_of(case()), block=1, workers=2, log=log)
    assert len(log.parts) == 3


def test_a_machine_without_memory_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Small(actors.dry_run.Machine):
        def apply(self, until_ms: int) -> bool:
            raise MemoryError("the machine's state can't grow")

    monkeypatch.setattr(actors.dry_run, "Machine", Small)
    with pytest.raises(MemoryError, match="can't grow"):
        dry_run(bound_of(case()), workers=2, block=5)


def test_machines_are_let_go_with_their_replicate() -> None:
    cancel = Cancel()
    held: list[int] = []
    dry_run(
        bound_of(case()),
        block=50,
        replicates=60,
        cancel=cancel,
        progress=lambda done, total: held.append(len(cancel.machines)),
    )
    assert max(held) <= actors.dry_run.QUEUED_BLOCKS + 1
    assert not cancel.machines
