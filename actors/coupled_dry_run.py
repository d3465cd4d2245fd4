"""Run a flow in which customers depend on each other: find the grants, then run as always.

The grants are found by `actors.coupled_run` on machines that run customers as far as their claims
are answered. With the grants bound, customers are independent again, and the dry run is that of any
other flow: neither the number of workers nor the size of blocks changes any figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from actors.coupled_run import Coupled, coupled_run
from actors.dry_run import (
    AbortedError,
    Cancel,
    DryRunResult,
    LogSink,
    Progress,
    block_customers,
    dry_run,
)
from core.binding import Bound
from core.couplings import CLAIM, Claims, Grants, Spec, TrialSpec
from core.report_couplings import Ending
from ext.machine import LANES
from ext.search import SearchMachine

ABORTED = "aborted; nothing was written"


@dataclass(slots=True)
class CoupledDryRun:
    """What a dry run counted, and what was granted in each of its replicates."""

    result: DryRunResult
    granted: list[Coupled]

    def endings(self, specs: Sequence[Spec]) -> list[list[Ending]]:
        """How the tests among `specs` ended in each replicate."""
        return [_endings(found, specs) for found in self.granted]


@dataclass
class MachineRunner:
    """Machines as the runner of `coupled_run`: `workers` threads, blocks of `size` customers.

    AbortedError where `cancel` is asked for or forced.
    """

    bound: Bound
    workers: int = 1
    size: int = 4096
    lanes: int = LANES
    cancel: Cancel = field(default_factory=Cancel)
    machines: list[SearchMachine] = field(default_factory=list)

    @property
    def customers(self) -> int:
        """How many customers there are."""
        return self.bound.customers

    def run(self, customers: NDArray[np.int64], grants: Grants) -> Claims:
        """Run customers from the beginning, as far as `grants` go."""
        while len(self.machines) < self.workers:
            machine = SearchMachine(self.bound, block_max=self.size, lanes=self.lanes)
            self.machines.append(machine)
            self.cancel.machines.add(machine)
        blocks = list(_neighbours(customers, self.size))
        with ThreadPoolExecutor(self.workers, thread_name_prefix="search") as pool:
            working = [
                pool.submit(self._work, machine, blocks[number :: self.workers], grants)
                for number, machine in enumerate(self.machines)
            ]
            return np.concatenate([np.zeros(0, CLAIM), *(each.result() for each in working)])

    def close(self) -> None:
        """Let the machines go."""
        self.cancel.machines.difference_update(self.machines)
        self.machines.clear()

    def _work(
        self, machine: SearchMachine, blocks: list[NDArray[np.int64]], grants: Grants
    ) -> Claims:
        machine.answer(grants)
        for block in blocks:
            if self.cancel.asked.is_set() or not machine.search(block):
                raise AbortedError(ABORTED)
        return machine.take_claims()


def coupled_dry_run(
    bound: Bound,
    *,
    workers: int = 1,
    replicates: int = 1,
    block: int | None = None,
    lanes: int = LANES,
    log: LogSink | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> CoupledDryRun:
    """Do what `dry_run` does, also for a flow in which customers depend on each other.

    Where they do not there is nothing to grant, and `granted` is empty.
    Where the run is cancelled while the first replicate's grants are being found it has no result:
    AbortedError.
    """
    cancel = cancel or Cancel()
    if not bound.couplings.specs:
        alone = dry_run(
            bound,
            workers=workers,
            replicates=replicates,
            block=block,
            lanes=lanes,
            log=log,
            progress=progress,
            cancel=cancel,
        )
        return CoupledDryRun(alone, [])
    size = block or block_customers(len(bound.program.node_ids), bound.customers, workers)
    total = bound.customers * replicates
    result = DryRunResult([], partial=True, customers_done=0)
    granted: list[Coupled] = []
    for number in range(replicates):
        drawn = bound.replicate(bound.options.replicate + number) if number else bound
        runner = MachineRunner(drawn, workers, size, lanes, cancel)
        try:
            found = coupled_run(runner, bound.couplings.specs)
        except AbortedError:
            if cancel.forced.is_set() or not number:
                raise
            return CoupledDryRun(result, granted)
        finally:
            runner.close()
        before = result.customers_done
        one = dry_run(
            drawn.granted(found.grants),
            workers=workers,
            block=block,
            lanes=lanes,
            log=None if number else log,
            progress=_shifted(progress, before, total),
            cancel=cancel,
        )
        result.customers_done += one.customers_done
        if number and one.partial:
            return CoupledDryRun(result, granted)
        result.counters += one.counters
        granted.append(found)
        if one.partial:
            return CoupledDryRun(result, granted)
    result.partial = False
    return CoupledDryRun(result, granted)


def _neighbours(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """Ascending rows in runs that no block of `size` is too small for."""
    first = 0
    while first < len(rows):
        end = int(np.searchsorted(rows, rows[first] + size))
        yield rows[first:end]
        first = end


def _endings(found: Coupled, specs: Sequence[Spec]) -> list[Ending]:
    decided = {int(d["resource"]): d for d in found.grants.decisions}
    endings = []
    for number, (trials, successes) in found.standings.items():
        spec, decision = specs[number], decided.get(number)
        assert isinstance(spec, TrialSpec)
        at_ms = None if decision is None else int(decision["time_ms"])
        branch = None if decision is None else int(decision["branch"])
        endings.append(Ending(spec.node, at_ms, branch, trials, successes))
    return endings


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)
