"""Feeds the rows of a case to a live machine a batch at a time, restarting it in between."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

from compiled import records_of
from core.audience import Column
from core.binding import Bound
from core.counters import Counters
from core.reference import Record
from differential import Loaded, load
from ext.live import LiveMachine
from ext.stored import SNAPSHOT_BLOCK

MISSING = {"float64": np.nan, "bool": -1, "string": -1}


@dataclass(frozen=True)
class Feeding:
    """How rows are fed: `batches` cut at random times, slices of a tick, restarts in between."""

    batches: int
    slices: int = 1
    restarts: int = 0
    lanes: int = 64


FEEDINGS = (Feeding(1), Feeding(7), Feeding(40, slices=3), Feeding(15, restarts=4, lanes=2))


def live_case(case: dict[str, Any]) -> dict[str, Any]:
    """The case without what a live run does not have: responses, and later values."""
    audience = {k: v for k, v in case.get("audience", {}).items() if k != "as_of"}
    return {k: v for k, v in case.items() if k != "responses"} | {"audience": audience}


def live_bound(loaded: Loaded) -> tuple[Bound, Bound]:
    """The case bound for a dry run, and the same tables without a row."""
    bound = loaded.bound()
    empty = replace(
        bound.inputs,
        offsets=np.zeros(bound.customers + 1, np.int64),
        type=bound.inputs.type[:0],
        ms=bound.inputs.ms[:0],
        hash=bound.inputs.hash[:0],
        previous=bound.inputs.previous[:0],
        value=bound.inputs.value[:0],
    )
    properties = [Column(p.kind, p.values[:0], p.dictionary) for p in bound.columns.property]
    columns = replace(bound.columns, property=properties)
    return bound, replace(bound, inputs=empty, columns=columns)


def feed_all(
    bound: Bound, empty: Bound, feeding: Feeding, seed: int, *, log: bool = True
) -> tuple[list[Record], Counters]:
    """Run the case live; its log sorted as the dry run's, and its counters."""
    dice = Random(seed)
    machine = LiveMachine(empty, max(1, bound.customers), feeding.lanes, log)
    inputs = bound.inputs
    owner = np.repeat(np.arange(bound.customers), np.diff(inputs.offsets))
    value = inputs.value if len(inputs.value) else np.zeros(len(inputs.ms), np.int64)
    options = bound.options
    first = min(int(inputs.ms.min(initial=options.from_ms)), options.from_ms)
    stops = [dice.randint(first, options.horizon_ms) for _ in range(feeding.batches - 1)]
    restarts = set(dice.sample(range(feeding.batches), min(feeding.restarts, feeding.batches)))
    records: list[Record] = []
    effects = 0
    before = first
    for number, until in enumerate([*sorted(stops), options.horizon_ms]):
        rows = np.flatnonzero((inputs.ms >= before) & (inputs.ms < until))
        before = until
        machine.feed(
            owner[rows],
            inputs.type[rows],
            inputs.ms[rows],
            inputs.ms[rows],
            inputs.hash[rows],
            value[rows],
            [p.values[rows] for p in bound.columns.property],
        )
        machine.work(until)
        edges = np.linspace(0, bound.customers, feeding.slices + 1).astype(int)
        for low, high in itertools.pairwise(edges):
            machine.tick(until, low, high)
        assert machine.due(until, 1) == 0
        due = machine.next_due_ms()
        assert due is None or due >= until
        effects += len(machine.take_effects())
        if number in restarts:
            records += records_of(bound, machine)
            if dice.random() < 0.5:
                machine.forget(np.full(len(bound.events), -(2**62)))
            machine = restarted(machine, empty, feeding.lanes, log)
    records += records_of(bound, machine)
    counted = machine.count()
    sends = int(counted.sends_by_hour.sum())
    assert effects == sends
    row = {bound.audience.id_of(c): c for c in range(bound.customers)}
    return sorted(records, key=lambda r: (row[r.customer], r.step)), counted


def restarted(machine: LiveMachine, empty: Bound, lanes: int, log: bool) -> LiveMachine:
    """Another machine that remembers what this one does."""
    machine.mark_all()
    changed = machine.begin_snapshot()
    arrays, numbers = machine.rest()
    blocks = [machine.take_block(b).tobytes() for b in changed]
    assert len(blocks) == -(-machine.customers // SNAPSHOT_BLOCK)
    other = LiveMachine(empty_of_customers(empty), 1, lanes, log)
    stored = {name: array.tobytes() for name, array in arrays.items()}
    other.load_state(blocks, stored, numbers)
    return other


def empty_of_customers(empty: Bound) -> Bound:
    """The same tables, and nobody."""
    audience = replace(
        empty.audience,
        id_hash=empty.audience.id_hash[:0],
        created_ms=empty.audience.created_ms[:0],
        zone_code=empty.audience.zone_code[:0],
    )
    zones = replace(empty.zones, of_customer=empty.zones.of_customer[:0])
    customer = [Column(c.kind, c.values[:0], c.dictionary) for c in empty.columns.customer]
    columns = replace(empty.columns, customer=customer, changed=[None] * len(customer))
    inputs = replace(empty.inputs, offsets=empty.inputs.offsets[:1])
    return replace(empty, audience=audience, zones=zones, columns=columns, inputs=inputs)


def loaded_live(case: dict[str, Any]) -> Loaded:
    """Load the case as a live run has it."""
    return load(live_case(case))
