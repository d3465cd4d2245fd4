"""Measure the dry run of the reference journey beside its rivals, in rounds.

The heap loop and SimPy run fewer customers than the others, so that a round is short, and are
compared by entries a second; that they slow down with more customers is to their advantage.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from actors.dry_run import dry_run
from actors.log_writer import log_writer
from bench.contest import (
    HEAP,
    NUMBA,
    NUMBA_SUMS,
    NUMPY,
    NUMPY_LOGGED,
    OURS,
    OURS_LOGGED,
    SIMPY,
    Contender,
    hold_equal,
    numba_rival,
    numba_sums_rival,
    numpy_rivals,
    ours,
    ours_logged,
    python_rivals,
)
from bench.figures import Bar, Figure, interleave, spread_of
from bench.journey import bound_journey
from bench.rivals.columns import Counts
from core.audience import Audience
from core.binding import Bound

GROUP = "journey"
RATE = "M entries/s"
CUSTOMERS, CUSTOMERS_QUICK = 1_000_000, 400_000
SLOW_CUSTOMERS = 50_000
ID_CHARS = 9
OURS_PARQUET = "Headrace, decision log as Parquet"
TWO = " × 2"

NUMBA_BAR = Bar("ratio", "at least", 0.3)
LOG_BAR = Bar("ratio", "at least", 0.12)
SIMPY_BAR = Bar("ratio", "at least", 300)
SCALING_BAR = Bar("ratio", "at least", 0.9)
NUMBA_GATE = Bar("ratio", "at least", 300)
NUMPY_GATE = Bar("ratio", "at least", 50)


def figures(quick: bool, runs: int, customers: int | None = None) -> Iterator[Figure]:
    """Yield the journey's figures and the gates of the rivals.

    CountsDifferError where a rival disagrees with the engine at any node.
    """
    many = customers or (CUSTOMERS_QUICK if quick else CUSTOMERS)
    few = min(many, SLOW_CUSTOMERS)
    bound, small = bound_journey(many), bound_journey(few)
    two = (os.cpu_count() or 1) > 1
    with TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        fast: dict[str, Contender] = {
            OURS: ours(bound),
            OURS_LOGGED: ours_logged(bound),
            OURS_PARQUET: _parquet(bound, Path(folder) / "log.parquet"),
            NUMBA: numba_rival(bound, pool),
            NUMBA_SUMS: numba_sums_rival(bound),
            **numpy_rivals(bound),
        }
        if two:
            fast[OURS + TWO] = ours(bound, 2)
            fast[NUMBA + TWO] = numba_rival(bound, pool, 2)
        slow = python_rivals(small)
        counters = dry_run(bound).counters[0]
        hold_equal(fast, counters.entered)
        hold_equal(slow, dry_run(small).counters[0].entered)
        taken = interleave({**fast, **slow}, runs)
    rounds = Rounds(taken, {**dict.fromkeys(fast, many), **dict.fromkeys(slow, few)})
    yield from _against_rivals(rounds, counters.steps)
    if two:
        yield from _scaling(rounds)
    yield from gates(rounds)


class Rounds:
    """The seconds of each run by contender, and how many customers it had."""

    def __init__(self, taken: dict[str, list[float]], customers: dict[str, int]) -> None:
        self.taken = taken
        self.customers = customers

    def rate(self, name: str) -> float:
        """The median throughput, million entries a second."""
        return self.customers[name] / median(self.taken[name]) / 1e6

    def spread(self, name: str) -> float:
        """See `spread_of`."""
        return spread_of(self.taken[name])

    def figure(
        self,
        what: str,
        name: str,
        rival: str | None = None,
        bar: Bar | None = None,
        *,
        gate: bool = False,
        step_ns: float | None = None,
    ) -> Figure:
        """The throughput of one contender beside that of another."""
        return Figure(
            GROUP,
            what,
            RATE,
            self.rate(name),
            self.spread(name),
            rival,
            None if rival is None else self.rate(rival),
            bar,
            their_spread=0.0 if rival is None else self.spread(rival),
            gate=gate,
            step_ns=step_ns,
        )


def gates(rounds: Rounds) -> Iterator[Figure]:
    """Yield what the rivals themselves must reach, lest the engine is compared with bad ones."""
    yield rounds.figure(NUMBA, NUMBA, SIMPY, NUMBA_GATE, gate=True)
    yield rounds.figure(NUMPY, NUMPY, SIMPY, NUMPY_GATE, gate=True)
    yield rounds.figure(NUMPY_LOGGED, NUMPY_LOGGED, SIMPY, NUMPY_GATE, gate=True)


def _against_rivals(rounds: Rounds, steps: int) -> Iterator[Figure]:
    def step_ns(name: str) -> float:
        return median(rounds.taken[name]) / steps * 1e9

    alone = step_ns(OURS)
    yield rounds.figure("counters", OURS, NUMBA, NUMBA_BAR, step_ns=alone)
    yield rounds.figure("counters", OURS, NUMBA_SUMS, step_ns=alone)
    yield rounds.figure("counters", OURS, NUMPY, step_ns=alone)
    yield rounds.figure("counters", OURS, HEAP, step_ns=alone)
    yield rounds.figure("counters", OURS, SIMPY, SIMPY_BAR, step_ns=alone)
    logged = step_ns(OURS_LOGGED)
    yield rounds.figure("log in memory", OURS_LOGGED, NUMBA, LOG_BAR, step_ns=logged)
    yield rounds.figure("log in memory", OURS_LOGGED, NUMPY_LOGGED, step_ns=logged)
    yield rounds.figure("log as Parquet", OURS_PARQUET, step_ns=step_ns(OURS_PARQUET))


def _scaling(rounds: Rounds) -> Iterator[Figure]:
    yield rounds.figure("counters, two workers", OURS + TWO, NUMBA + TWO)
    mine, theirs = (
        [one / two for one, two in zip(rounds.taken[name], rounds.taken[name + TWO], strict=True)]
        for name in (OURS, NUMBA)
    )
    yield Figure(
        GROUP,
        "two workers to one",
        "times",
        median(mine),
        spread_of(mine),
        NUMBA + TWO,
        median(theirs),
        SCALING_BAR,
        their_spread=spread_of(theirs),
    )


def _parquet(bound: Bound, path: Path) -> Contender:
    """The engine with every decision written to a file, of customers that have ids."""
    named = replace(bound, audience=with_ids(bound.audience))

    def run() -> tuple[Counts, object]:
        with log_writer(path, named) as log:
            return dry_run(named, log=log).counters[0].entered, None

    return run


def with_ids(audience: Audience) -> Audience:
    """The audience with ids c00000000, c00000001, ...; their hashes stay as they are."""
    numbers = np.arange(audience.customers)
    ids = np.full((audience.customers, ID_CHARS), ord("c"), np.uint8)
    for place in range(1, ID_CHARS):
        ids[:, -place] = numbers // 10 ** (place - 1) % 10 + ord("0")
    offsets = np.arange(audience.customers + 1, dtype=np.int64) * ID_CHARS
    return replace(audience, id_offsets=offsets, id_data=ids.ravel())
