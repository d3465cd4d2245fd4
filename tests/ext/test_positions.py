"""Tests of `ext.positions`: one pass finds what customers asked one by one have."""

from __future__ import annotations

import numpy as np

from core.audience_build import audience_from_python
from core.flow import Flow
from core.options import RunOptions
from differential import Loaded
from ext.live import LiveMachine
from ext.positions import positions
from live_cases import live_options
from live_feeding import live_bound
from random_flows import random_case

NEVER_MS = np.iinfo(np.int64).max
IN_LINE = 10  # of the states that `LiveMachine.places` tells
SEEDS = (48, 52, 53, 60, 62, 74)


def halfway(loaded: Loaded) -> LiveMachine:
    """A machine that has carried out half of a case, with no answer to claims."""
    bound, empty = live_bound(loaded)
    until = (loaded.options.from_ms + loaded.options.horizon_ms) // 2
    machine = LiveMachine(empty, max(1, bound.customers), 64, False)
    inputs = bound.inputs
    owner = np.repeat(np.arange(bound.customers), np.diff(inputs.offsets))
    value = inputs.value if len(inputs.value) else np.zeros(len(inputs.ms), np.int64)
    rows = np.flatnonzero(inputs.ms < until)
    machine.feed(
        owner[rows], inputs.type[rows], inputs.ms[rows], inputs.ms[rows], inputs.hash[rows],
        value[rows], [p.values[rows] for p in bound.columns.property],
    )  # fmt: skip
    machine.work(until)
    machine.tick(until)
    return machine


def gated() -> Loaded:
    """Three people who come twice, to a flow that lets one in a second."""
    flow = {
        "headrace": 1,
        "flow": "gated",
        "settings": {"entry_rate": {"per_second": 1}, "reentry": {"policy": "always"}},
        "nodes": {
            "t": {"type": "on_event", "event": "go", "next": "w"},
            "w": {"type": "wait", "for": "2 days", "next": "x"},
            "x": {"type": "end"},
        },
    }
    people = [f"c{i}" for i in range(3)] * 2
    events = [{"customer": c, "time": 1_000 + i, "event": "go"} for i, c in enumerate(people)]
    audience = audience_from_python([{"id": c} for c in people[:3]], events)
    return Loaded(Flow.model_validate(flow), audience, RunOptions(0, 10**6, 10**6), None)


def test_positions_are_the_places_of_all_customers() -> None:
    standing = several = in_line = never = 0
    for loaded in [*(live_options(random_case(seed)) for seed in SEEDS), gated()]:
        machine = halfway(loaded)
        places = [(c, *p[:3]) for c in range(machine.customers) for p in machine.places(c)]
        customer, node, due_ms = positions(machine)
        assert (customer.dtype, node.dtype, due_ms.dtype) == (np.int32, np.int32, np.int64)
        dues = [None if due == NEVER_MS else due for due in due_ms.tolist()]
        assert list(zip(customer.tolist(), node.tolist(), dues, strict=True)) == [
            (who, at, due) for who, at, _, due in places
        ]
        standing += len(places)
        several += len(places) - len({place[0] for place in places})
        in_line += sum(place[2] == IN_LINE for place in places)
        never += dues.count(None)
    assert min(standing, several, in_line, never) > 0, (standing, several, in_line, never)


def test_nobody_stands_anywhere_before_anything_came() -> None:
    loaded = live_options(random_case(48))
    machine = LiveMachine(live_bound(loaded)[1], 4, 64, False)
    assert [len(column) for column in positions(machine)] == [0, 0, 0]
