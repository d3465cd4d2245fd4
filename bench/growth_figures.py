"""Measure how throughput changes with customers, nodes, events for each customer, and workers.

Each point is a figure with its place in a sweep; `bench.plots` draws one picture for each sweep.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

from actors.dry_run import dry_run
from bench.contest import NUMBA, OURS, Contender, hold_equal, numba_rival, ours
from bench.figures import Figure, Place, interleave, spread_of
from bench.journey import DAY_MS, ENTRY_DAYS, FLOW, HORIZON_DAYS, make_audience
from core.audience import Audience
from core.binding import Bound, bind
from core.compiler import compile_flow
from core.flow import Flow
from core.options import RunOptions

GROUP = "growth"
RATE = "M entries/s"
OPTIONS = RunOptions(0, ENTRY_DAYS * DAY_MS, HORIZON_DAYS * DAY_MS)

BY_CUSTOMERS, BY_NODES, BY_WORKERS = "customers", "nodes", "workers"
BY_EVENTS = "events of a customer"
CUSTOMERS, CUSTOMERS_QUICK = (10_000, 100_000, 1_000_000, 4_000_000), (10_000, 100_000)
NODES, NODES_QUICK = (5, 10, 30, 100, 300, 1_000), (5, 50, 500)
EVENTS, EVENTS_QUICK = (2, 5, 10, 30, 100), (2, 10, 100)
ONE = {BY_WORKERS: "worker"}
NOTES = {
    BY_CUSTOMERS: "the reference journey, one worker",
    BY_NODES: "a chain of conditions and tags that every entry passes at once, one worker",
    BY_EVENTS: "the reference journey, one worker; one event enters, the others are clicks",
    BY_WORKERS: "the reference journey; the rival has as many threads",
}
STEPS, STEPS_QUICK = 8_000_000, 400_000  # token-steps, or events, at each point
WORKER_CUSTOMERS, WORKER_CUSTOMERS_QUICK = 2_000_000, 400_000


@dataclass(frozen=True, slots=True)
class _Point:
    """One point: what runs there, with so many workers, and whether a rival runs beside it."""

    x: int
    bound: Bound
    workers: int = 1
    has_rival: bool = True


def figures(quick: bool, runs: int) -> Iterator[Figure]:
    """Yield the points of the four sweeps, CountsDifferError where a rival counts otherwise."""
    journey = compile_flow(FLOW)

    def of(audience: Audience) -> Bound:
        return bind(journey, audience, OPTIONS)

    sizes = CUSTOMERS_QUICK if quick else CUSTOMERS
    yield from _sweep(BY_CUSTOMERS, [_Point(n, of(make_audience(n))) for n in sizes], runs)
    steps = STEPS_QUICK if quick else STEPS
    lengths = NODES_QUICK if quick else NODES
    yield from _sweep(
        BY_NODES, [_Point(n, bound_chain(n, steps // n), has_rival=False) for n in lengths], runs
    )
    numbers = EVENTS_QUICK if quick else EVENTS
    yield from _sweep(
        BY_EVENTS, [_Point(n, of(with_events(make_audience(steps // n // 4), n))) for n in numbers],
        runs,
    )  # fmt: skip
    bound = of(make_audience(WORKER_CUSTOMERS_QUICK if quick else WORKER_CUSTOMERS))
    yield from _sweep(BY_WORKERS, [_Point(w, bound, w) for w in worker_numbers()], runs)


def worker_numbers() -> list[int]:
    """1, 2, 4, ... and the number of cores."""
    cores = os.cpu_count() or 1
    return sorted({1 << i for i in range(cores.bit_length()) if 1 << i <= cores} | {cores})


def chain(nodes: int) -> Flow:
    """A flow of so many nodes, at least 3, that every entry passes at once.

    After the trigger come, by turns, a condition whose ports both go on and a tag, then the end.
    """
    ids = ["start", *(f"n{i}" for i in range(nodes - 2)), "end"]
    document: dict[str, Any] = {
        "start": {"type": "on_event", "event": "go", "next": ids[1]},
        "end": {"type": "end"},
    }
    for i, (this, following) in enumerate(pairwise(ids[1:])):
        if i % 2:
            document[this] = {"type": "add_tag", "tag": "keen", "next": following}
        else:
            document[this] = {
                "type": "condition",
                "if": {"attribute": "consent", "is": True},
                "next": {"yes": following, "no": following},
            }
    return Flow.model_validate(
        {"headrace": 1, "flow": "chain", "settings": {"zone": "UTC"}, "nodes": document}
    )


def bound_chain(nodes: int, customers: int) -> Bound:
    """The chain, bound to the journey's audience."""
    return bind(compile_flow(chain(nodes)), make_audience(customers), OPTIONS)


def with_events(audience: Audience, each: int, *, seed: int = 2) -> Audience:
    """The journey's audience with `each` >= 1 events of a customer: one entry, the others clicks.

    The clicks are uniform from the first entry's day to the horizon, so most are seen by no wait.
    """
    rng = np.random.default_rng(seed)
    n = audience.customers
    go = audience.event_names.index("go")
    entered = audience.event_ms[audience.event_type == go]
    clicked = rng.integers(0, HORIZON_DAYS * DAY_MS, (n, each - 1))
    ms = np.concatenate([entered[:, None], clicked], axis=1)
    order = np.argsort(ms, axis=1, kind="stable")
    kinds = np.full(ms.shape, audience.event_names.index("click"), np.int32)
    kinds[:, 0] = go
    return replace(
        audience,
        event_offsets=np.arange(n + 1, dtype=np.int64) * each,
        event_type=np.take_along_axis(kinds, order, axis=1).ravel(),
        event_ms=np.take_along_axis(ms, order, axis=1).ravel(),
        event_hash=rng.integers(0, 2**64, ms.size, dtype=np.uint64),
    )


def _sweep(sweep: str, points: list[_Point], runs: int) -> Iterator[Figure]:
    """Yield a figure for each point; all points run in the same rounds."""
    with ThreadPoolExecutor(max(point.workers for point in points)) as pool:
        contenders: dict[str, Contender] = {}
        steps = {}
        for point in points:
            counters = dry_run(point.bound).counters[0]
            steps[point.x] = counters.steps
            here = {_key(OURS, point): ours(point.bound, point.workers)}
            if point.has_rival:
                here[_key(NUMBA, point)] = numba_rival(point.bound, pool, point.workers)
            hold_equal(here, counters.entered)
            contenders |= here
        taken = interleave(contenders, runs)
    for point in points:
        yield _figure(sweep, point, steps[point.x], taken)


def _figure(sweep: str, point: _Point, steps: int, taken: dict[str, list[float]]) -> Figure:
    mine, theirs = taken[_key(OURS, point)], taken.get(_key(NUMBA, point))
    customers = point.bound.customers
    return Figure(
        GROUP,
        f"{point.x:,} {ONE.get(sweep, sweep) if point.x == 1 else sweep}",
        RATE,
        customers / median(mine) / 1e6,
        spread_of(mine),
        None if theirs is None else NUMBA,
        None if theirs is None else customers / median(theirs) / 1e6,
        their_spread=0.0 if theirs is None else spread_of(theirs),
        place=Place(sweep, point.x, NOTES[sweep]),
        step_ns=median(mine) / steps * 1e9,
    )


def _key(name: str, point: _Point) -> str:
    return f"{name}, {point.x}"
