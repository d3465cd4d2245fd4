"""Time what stands around the token-steps: folders, binding, blocks, counters and the log."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from actors.audience import load_audience
from actors.sample import make_sample
from api.documents import open_flow
from bench.alone import CHECKOUT
from bench.micro.crowd import OPTIONS, make_crowd
from bench.micro.flows import LINKS, chain
from bench.micro.stopwatch import Runs, Stopwatch
from core.binding import Bound, bind
from core.binding_check import check_bound
from core.compiler import compile_flow, needs_of
from core.flow import Flow
from ext.machine import BLOCK, Machine

FLOW: Flow = chain(lambda i: {"type": "add_tag", "tag": "keen"})
CLICKS = 9
SAMPLE_CUSTOMERS = 10_000


def _bound(stopwatch: Stopwatch, blocks: int) -> Bound:
    people = make_crowd(stopwatch.size(blocks * BLOCK), clicks=CLICKS)
    return bind(compile_flow(FLOW), people, OPTIONS)


def test_audience_from_parquet(stopwatch: Stopwatch, tmp_path: Path) -> None:
    """Time loading a sample audience from its folder, as an example flow needs it."""
    folder = tmp_path / "sample"
    make_sample(folder, customers=stopwatch.size(SAMPLE_CUSTOMERS))
    flow = open_flow(CHECKOUT / "examples" / "welcome.yaml", None).flow
    needs = needs_of(compile_flow(flow))
    events = load_audience(folder, needs).counts.events_read
    stopwatch.time(partial(load_audience, folder, needs), steps=events, unit="event read")


def test_compile(stopwatch: Stopwatch) -> None:
    """Time compiling a flow."""
    stopwatch.time(partial(compile_flow, FLOW), steps=LINKS + 2, unit="node")


def test_bind(stopwatch: Stopwatch) -> None:
    """Time binding a program to an audience."""
    people = make_crowd(stopwatch.size(16 * BLOCK), clicks=CLICKS)
    program = compile_flow(FLOW)
    stopwatch.time(partial(bind, program, people, OPTIONS), steps=people.customers, unit="customer")


def test_check_bound(stopwatch: Stopwatch) -> None:
    """Time the check that no index of a bound program leads astray."""
    bound = _bound(stopwatch, 16)
    stopwatch.time(partial(check_bound, bound), steps=bound.customers, unit="customer")


def test_machine(stopwatch: Stopwatch) -> None:
    """Time making a machine, for a whole block."""
    bound = _bound(stopwatch, 1)
    stopwatch.time(partial(Machine, bound), steps=1, unit="machine")


def test_load(stopwatch: Stopwatch) -> None:
    """Time loading blocks into a machine, one after the other."""
    bound = _bound(stopwatch, 16)
    machine = Machine(bound, block_max=min(BLOCK, bound.customers))

    def load() -> None:
        for first in range(0, bound.customers, BLOCK):
            machine.load(first, min(first + BLOCK, bound.customers))

    stopwatch.time(load, steps=bound.customers, unit="customer")


def test_take_counters(stopwatch: Stopwatch) -> None:
    """Time taking the counters of runs."""
    runs = Runs(_bound(stopwatch, 1))
    runs.run()
    stopwatch.time(runs.machine.take_counters, steps=1, unit="call", before=runs.run)


def test_take_log(stopwatch: Stopwatch) -> None:
    """Time taking the decision log of blocks."""
    runs = Runs(_bound(stopwatch, 8), log=True)
    runs.run()
    records = len(runs.machine.take_log())
    assert records == runs.counted_steps()
    stopwatch.time(runs.machine.take_log, steps=records, unit="record", before=runs.run)


@pytest.mark.parametrize("log", [False, True], ids=["counters", "log"])
def test_run(log: bool, stopwatch: Stopwatch) -> None:
    """Time a run that keeps a log, and takes it, beside one that only counts."""
    runs = Runs(_bound(stopwatch, 4), log=log)

    def run() -> None:
        runs.run()
        if log:
            runs.machine.take_log()

    run()
    stopwatch.time(run, steps=runs.counted_steps(), unit="token-step")
