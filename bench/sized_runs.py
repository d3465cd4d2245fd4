"""Time runs on audiences in memory: what one process does for one figure, through `bench.alone`.

A run is all that follows loading: compiling and binding the flow, the dry run and its counters.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, TypedDict

from actors.dry_run import dry_run
from bench import extremes, scenario
from bench.figures import interleave
from bench.journey import DAY_MS, ENTRY_DAYS, HORIZON_DAYS, make_audience
from core.audience import Audience
from core.binding import bind
from core.compiler import compile_flow
from core.flow import Flow
from core.options import RunOptions
from core.outcomes import PARKS

STEP_BUDGET = 1_000_000  # one click of the whale takes 50,000 tokens four nodes further
JOURNEY_OPTIONS = RunOptions(0, ENTRY_DAYS * DAY_MS, HORIZON_DAYS * DAY_MS, step_budget=STEP_BUDGET)


class Measured(TypedDict):
    """Seconds of each run, the token-steps of one, and the events that its flow refers to."""

    seconds: list[float]
    steps: int
    events: int


class _Case(NamedTuple):
    flow: Flow
    audience: Audience
    options: RunOptions
    workers: int

    def run(self) -> tuple[int, int]:
        """Run once; the token-steps, and the events that the flow refers to.

        RuntimeError where tokens were parked: then less was done than the figure speaks of.
        """
        bound = bind(compile_flow(self.flow), self.audience, self.options)
        counters = dry_run(bound, workers=self.workers).counters[0]
        parked = int(counters.outcome[:, [outcome.column for outcome in PARKS]].sum())
        if parked:
            raise RuntimeError(f"{parked:,} tokens of {self.flow.flow!r} were parked")
        return counters.steps, len(bound.inputs.type)


def scenario_runs(customers: int, least: int, runs: int) -> dict[str, Measured]:
    """The scenario on so many customers, `run`, and on the `least` number, on two cores."""
    sizes = {"least": least, "run": customers}
    cases = {
        name: _Case(scenario.FLOW, scenario.make_audience(size), scenario.OPTIONS, 2)
        for name, size in sizes.items()
    }
    return _timed(cases, runs)


def whale_runs(customers: int, events: int, runs: int) -> dict[str, Measured]:
    """The re-entering journey, on one core, since all that a whale does is done by one.

    `even`: so many customers with one entry each. `entries`: only a whale, who enters so many
    times. `clicks`: the even audience and a whale who enters once and clicks that often. `others`:
    the even audience and a whale who enters once, with so many events that nothing refers to.
    """
    audiences = {
        "even": make_audience(customers),
        "entries": extremes.whale_of_entries(events),
        "clicks": extremes.whale_in_crowd(customers, events, extremes.CLICK),
        "others": extremes.whale_in_crowd(customers, events, extremes.OTHER),
    }
    cases = {
        name: _Case(extremes.REENTERING, audience, JOURNEY_OPTIONS, 1)
        for name, audience in audiences.items()
    }
    return _timed(cases, runs)


def surge_runs(customers: int, runs: int) -> dict[str, Measured]:
    """All wait until one millisecond, `surge`, or until times spread over 20 days, `even`.

    On two cores.
    """
    cases = {
        name: _Case(
            extremes.SURGE_FLOW,
            extremes.surge(customers, even=name == "even"),
            extremes.SURGE_OPTIONS,
            2,
        )
        for name in ("even", "surge")
    }
    return _timed(cases, runs)


def draft_runs(customers: int, runs: int) -> dict[str, Measured]:
    """The scenario's flow, `one`, and with a changed draft after it, `many`, on two cores."""
    audience = scenario.make_audience(customers)
    one = _Case(scenario.FLOW, audience, scenario.OPTIONS, 2)
    other = one._replace(flow=scenario.changed_flow())
    steps, events = one.run()

    def both() -> None:
        one.run()
        other.run()

    taken = interleave({"one": one.run, "many": both}, runs)
    return {
        name: {"seconds": seconds, "steps": steps, "events": events}
        for name, seconds in taken.items()
    }


def _timed(cases: Mapping[str, _Case], runs: int) -> dict[str, Measured]:
    counted: dict[str, tuple[int, int]] = {}

    def run(name: str) -> None:
        counted[name] = cases[name].run()

    taken = interleave({name: partial(run, name) for name in cases}, runs)
    return {
        name: {"seconds": taken[name], "steps": counted[name][0], "events": counted[name][1]}
        for name in cases
    }
