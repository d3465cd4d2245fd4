"""Checks dry runs of flows in which customers depend on each other, and how they are stopped."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from actors.coupled_dry_run import MachineRunner, coupled_dry_run
from actors.coupled_run import coupled_run
from actors.dry_run import AbortedError, Cancel
from core.counters import Counters
from core.couplings import Grants
from core.reference import run
from coupled_cases import crowded_case
from differential import load


class Records:
    """Keeps the decisions of a dry run."""

    def __init__(self) -> None:
        self.blocks: list[NDArray[Any]] = []

    def room(self, records: int) -> None:
        """A fresh array."""

    def write(self, records: NDArray[Any]) -> None:
        """Keep a block."""
        self.blocks.append(records)


def equal(one: Counters, other: Counters) -> bool:
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(Counters)
    )


@pytest.mark.parametrize("seed", range(12))
def test_figures_are_those_of_the_reference_by_any_blocks_and_workers(seed: int) -> None:
    loaded = load(crowded_case(seed))
    expected = run(loaded.flow, loaded.audience, loaded.options, loaded.responses)
    for block, workers in ((None, 1), (1, 2), (5, 2)):
        log = Records()
        told: list[tuple[int, int]] = []
        ran = coupled_dry_run(
            loaded.bound(),
            block=block,
            workers=workers,
            log=log,
            progress=lambda done, total, told=told: told.append((done, total)),
        )
        (counters,) = ran.result.counters
        assert equal(counters, expected.counters)
        assert sum(map(len, log.blocks)) == len(expected.records)
        assert told[-1] == (loaded.audience.customers,) * 2
        assert not ran.result.partial
        assert len(ran.granted) == bool(loaded.bound().couplings.specs)


def coupled_bound() -> Any:
    bounds = (load(crowded_case(seed)).bound() for seed in range(50))
    return next(b for b in bounds if b.couplings.specs and b.customers > 5)


def test_a_run_that_is_stopped_while_grants_are_found_has_no_result() -> None:
    cancel = Cancel()
    cancel.ask()
    with pytest.raises(AbortedError, match="nothing was written"):
        coupled_dry_run(coupled_bound(), cancel=cancel)
    assert cancel.machines == set()


def test_replicates_that_are_complete_are_kept_when_it_is_stopped() -> None:
    cancel = Cancel()
    bound = coupled_bound()
    seen = 0

    def stop_after_the_first(done: int, total: int) -> None:
        nonlocal seen
        seen += 1
        assert total == 3 * bound.customers
        if done == bound.customers:
            cancel.ask()

    ran = coupled_dry_run(bound, replicates=3, progress=stop_after_the_first, cancel=cancel)
    assert seen > 1
    assert ran.result.partial
    assert (len(ran.result.counters), len(ran.granted)) == (1, 1)
    assert ran.result.customers_done == bound.customers


def test_a_forced_stop_ends_the_search() -> None:
    cancel = Cancel()
    runner = MachineRunner(coupled_bound(), cancel=cancel)
    cancel.force()
    with pytest.raises(AbortedError):
        runner.run(np.arange(3), Grants.none(runner.customers))


def test_what_is_granted_does_not_depend_on_blocks_workers_and_lanes() -> None:
    bound = coupled_bound()
    found = []
    for workers, size, lanes in ((1, 4096, 512), (2, 1, 1), (2, 3, 2)):
        runner = MachineRunner(bound, workers, size, lanes)
        found.append(coupled_run(runner, bound.couplings.specs).grants)
        runner.close()
    for grants in found[1:]:
        assert np.array_equal(grants.offsets, found[0].offsets)
        assert np.array_equal(grants.answers, found[0].answers)
        assert np.array_equal(grants.decisions, found[0].decisions)
