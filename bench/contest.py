"""Set up the reference journey for ours and for the rivals, and hold their counts against ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.dry_run import dry_run
from bench.rivals.columns import NODES, Columns, Counts, columns_of
from bench.rivals.heap_journey import heap_journey
from bench.rivals.numba_journey import numba_journey, numba_journey_threaded, numba_sums
from bench.rivals.numpy_journey import numpy_journey, numpy_journey_logged
from bench.rivals.simpy_journey import simpy_journey
from core.binding import Bound
from core.philox import draw_array
from core.program import LOG

Contender = Callable[[], tuple[Counts, object]]
"""Runs once; the arrivals at each node, int64[nodes], and what else must outlive the clock."""

OURS, OURS_LOGGED = "Headrace", "Headrace, decision log"
NUMBA, NUMBA_SUMS = "hard-coded Numba", "Numba, counters as sums"
NUMPY, NUMPY_LOGGED = "NumPy by node", "NumPy, log by time"
HEAP, SIMPY = "heap in Python", "SimPy"


class CountsDifferError(Exception):
    """A rival counted otherwise than the engine, so that their speeds say nothing."""


class _Keep:
    """Takes the decision log and holds it in memory that it has held one in before.

    Memory that the operating system has yet to give costs up to 30 times as much as what is written
    to it, here and for everybody; so a run that is not measured pays for it.
    """

    def __init__(self) -> None:
        self.arena = np.empty(0, LOG)
        self.records: list[NDArray[Any]] = []
        self.used = 0
        self._lock = Lock()

    def begin(self) -> None:
        """Hold nothing; there is room for as much as before."""
        if self.used > len(self.arena):
            self.arena = np.empty(self.used, LOG)
            self.arena.view(np.uint8).fill(0)
        self.records, self.used = [], 0

    def room(self, records: int) -> NDArray[Any] | None:
        """The next part of the arena, None where it is full."""
        with self._lock:
            first = self.used
            self.used += records
        return self.arena[first : first + records] if self.used <= len(self.arena) else None

    def write(self, records: NDArray[Any]) -> None:
        """Hold one block's decisions."""
        self.records.append(records)


def ours(bound: Bound, workers: int = 1) -> Contender:
    """The engine with its counters."""

    def run() -> tuple[Counts, object]:
        return dry_run(bound, workers=workers).counters[0].entered, None

    return run


def ours_logged(bound: Bound, workers: int = 1) -> Contender:
    """The engine with every decision held in memory."""

    log = _Keep()
    dry_run(bound, workers=workers, log=log)

    def run() -> tuple[Counts, object]:
        log.begin()
        return dry_run(bound, workers=workers, log=log).counters[0].entered, log

    return run


def numba_rival(bound: Bound, pool: ThreadPoolExecutor, threads: int = 1) -> Contender:
    """The hard-coded journey, on threads of `pool` where there are several."""
    columns = columns_of(bound)
    tag = columns.new_tags()
    if threads == 1:
        return lambda: (numba_journey(columns, tag), None)
    return lambda: (numba_journey_threaded(columns, tag, pool, threads), None)


def numba_sums_rival(bound: Bound) -> Contender:
    """The hard-coded journey that derives most of its counters."""
    columns = columns_of(bound)
    tag = columns.new_tags()
    return lambda: (numba_sums(columns, tag), None)


def numpy_rivals(bound: Bound) -> dict[str, Contender]:
    """The sets by node, without a log and with one."""
    columns = columns_of(bound)
    tag = columns.new_tags()
    return {
        NUMPY: lambda: (numpy_journey(columns, tag), None),
        NUMPY_LOGGED: partial(numpy_journey_logged, columns, tag),
    }


def python_rivals(bound: Bound) -> dict[str, Contender]:
    """The heap loop and SimPy; their draws are made here, outside the measured time."""
    columns = columns_of(bound)
    tag, upper = columns.new_tags(), upper_half(columns)
    return {
        HEAP: lambda: (heap_journey(columns, upper, tag), None),
        SIMPY: lambda: (simpy_journey(columns, upper, tag), None),
    }


def upper_half(columns: Columns) -> list[bool]:
    """Whether each customer's draw at the split falls to branch B, which has the upper half."""
    drawn = draw_array(columns.key, columns.id_hash, np.zeros(columns.customers, np.uint64))
    upper: list[bool] = (drawn >= np.uint64(1 << 63)).tolist()
    return upper


def hold_equal(contenders: Mapping[str, Contender], expected: Counts) -> None:
    """Run each once, outside any measurement, and compare its counts.

    CountsDifferError names the contender and the nodes. This is also where Numba compiles.
    """
    for name, run in contenders.items():
        counts, _ = run()
        if not np.array_equal(counts, expected):
            nodes = [
                f"{node} {theirs:,} instead of {mine:,}"
                for node, theirs, mine in zip(NODES, counts, expected, strict=True)
                if theirs != mine
            ]
            raise CountsDifferError(f"{name} counts otherwise than Headrace: {', '.join(nodes)}")
