"""Compare two dry runs of the same people with the same draws, figure by figure.

Replicate r of both runs has the same customers, the same history and the same luck: every draw is
keyed by lineage, node, customer and replicate. So what a change does not touch comes out equal in
each replicate, and the difference of a figure varies far less than the figure: common random
numbers. Differences are taken within replicates and summed up over them.

Source: Law, Simulation Modeling and Analysis, 5th edition (2015), section 11.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from core.report import Draws, Figure, FlowFacts, Rate, Report, Successes, Window
from core.statistics import mean_interval, quantile_interval

CONFIDENCE = 0.95
FEW = 10  # replicates below which an interval says little
LIMITS = (
    "The same people and the same luck: what both drafts share differs by exactly 0. An interval "
    "tells what other luck may change, not what other people would.",
    "Of many figures, some differ by chance alone: an interval of 95 % misses one time in twenty.",
    "Who picks the best of several drafts by such figures overstates it: run the one picked again "
    "with another seed.",
)

Part = Literal["totals", "sends", "nodes", "funnel", "tests", "goal"]
PARTS: tuple[Part, ...] = ("totals", "sends", "nodes", "funnel", "tests", "goal")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Key(NamedTuple):
    """Which figure of a report: `name` is a node, channel or layer, "" where there is one alone."""

    part: Part
    name: str
    figure: str


class Reading(NamedTuple):
    """What a figure was in one replicate, and whether it rests on modelled responses."""

    value: float
    assumed: bool


class Difference(_Part):
    """One figure of both runs: means over the replicates, and the second's minus the first's."""

    part: Part
    name: str
    """The node, channel or layer; empty where there is one alone."""
    figure: str
    first: float | None
    """Null where the first draft has no such place, or not in every replicate."""
    second: float | None
    difference: float | None
    """Mean of the differences within replicates; null where either draft has no such figure."""
    lo: float | None = None
    """Lower end of the 95 % interval of that mean (paired t); null with one replicate."""
    hi: float | None = None
    """Upper end of that interval."""
    replicates_lo: float | None = None
    """Lower end of the interval that the difference of a single run falls in; null with one."""
    replicates_hi: float | None = None
    """Upper end of that interval."""
    variance_ratio: float | None = None
    """Variance of the difference over that of two runs with luck of their own; null where neither
    figure varies. 0.1 stands for ten times fewer replicates."""
    exact: bool
    """True where no response model touches the figure in either draft: it has no luck."""


class Comparison(_Part):
    """What changes from the first draft to the second."""

    version: Literal[1] = 1
    first: FlowFacts
    second: FlowFacts
    window: Window
    draws: Draws
    customers: int
    same: bool
    """True where no figure differs in any replicate."""
    differences: list[Difference]
    """Totals, then sends by channel, nodes, funnel, tests and goal."""
    limits: list[str] = Field(default_factory=list)
    """What the figures do not say."""


def compare(first: Sequence[Report], second: Sequence[Report], draws: Draws) -> Comparison:
    """Compare two runs, each as reports of single replicates in the same order.

    `draws` is what keyed them. ValueError unless both have the same window, customers and number of
    replicates, at least one, and the same lineage: else nothing pairs them.
    """
    one, other = _paired(first, second)
    mine, theirs = ([dict(readings(report)) for report in each] for each in (first, second))
    keys = dict.fromkeys(key for each in (*mine, *theirs) for key in each)
    nodes = {name: i for i, name in enumerate(dict.fromkeys(k.name for k in keys))}
    ordered = sorted(keys, key=lambda key: (PARTS.index(key.part), nodes[key.name]))
    found = [_difference(key, mine, theirs) for key in ordered]
    varies = any(_values(key, mine) != _values(key, theirs) for key in keys)
    limits = list(LIMITS)
    if draws.replicates < FEW and not all(each.exact for each in found):
        limits.append(
            f"With {draws.replicates:,} replicates the intervals are wide, if there are any: "
            "20 are a good number."
        )
    return Comparison(
        first=one.flow,
        second=other.flow,
        window=one.window,
        draws=draws,
        customers=one.totals.customers,
        same=not varies,
        differences=found,
        limits=limits,
    )


def readings(report: Report) -> Iterator[tuple[Key, Reading]]:
    """Every figure of a report of one replicate."""
    for name in ("people", "entries", "refused", "steps", "sends", "ended", "fell_out"):
        yield Key("totals", "", name), _read(getattr(report.totals, name))
    for name in ("waiting", "idle", "parked"):
        yield Key("totals", "", name), _read(getattr(report.totals, name))
    for sends in report.sends:
        yield Key("sends", sends.channel, "sends"), _read(sends.series.total)
    for node in report.nodes:
        for name in ("entered", "people", "waiting", "idle"):
            yield Key("nodes", node.id, name), _read(getattr(node, name))
        if node.mean_ms is not None:
            yield Key("nodes", node.id, "mean_ms"), _read(node.mean_ms)
        for port in node.ports:
            yield Key("nodes", node.id, f"port {port.port}"), _read(port.count)
        for told in (*node.outcomes, *node.refusals):
            yield Key("nodes", node.id, told.reason), _read(told.count)
    if report.funnel is not None:
        for layer in report.funnel.layers:
            yield Key("funnel", layer.name, "people"), _read(layer.people)
    for test in report.tests:
        for branch in test.branches:
            yield from _successes("tests", test.node, f"{branch.port} ", branch.successes)
    if report.goal is not None:
        yield from _successes("goal", "", "", report.goal.successes)


def _successes(
    part: Part, name: str, prefix: str, found: Successes
) -> Iterator[tuple[Key, Reading]]:
    for figure in ("watched", "matured", "succeeded"):
        yield Key(part, name, prefix + figure), _read(getattr(found, figure))
    if found.rate is not None:
        yield Key(part, name, f"{prefix}rate"), _read(found.rate)


def _read(figure: Figure | Rate) -> Reading:
    return Reading(figure.value, figure.assumed)


def _paired(first: Sequence[Report], second: Sequence[Report]) -> tuple[Report, Report]:
    """The first report of each. ValueError where they are no pairs."""
    facts = {
        (report.window.model_dump_json(), report.totals.customers, report.flow.lineage)
        for report in (*first, *second)
    }
    if not first or len(first) != len(second) or len(facts) != 1:
        raise ValueError(
            "a comparison needs as many replicates of both drafts, at least one, of the same "
            "customers, window and lineage"
        )
    return first[0], second[0]


def _values(key: Key, runs: Sequence[dict[Key, Reading]]) -> list[float | None]:
    """The figure in each replicate, None where it is not there."""
    return [run[key].value if key in run else _absent(key, run) for run in runs]


def _absent(key: Key, run: dict[Key, Reading]) -> float | None:
    """What a figure that a report does not tell of stands for: 0 for what is only told when it is.

    A draft without a channel sends nothing by it, and reasons are told where somebody met them.
    """
    if key.part == "sends":
        return 0.0
    at_node = Key("nodes", key.name, "entered")
    counted = key.part == "nodes" and key.figure != "mean_ms" and not key.figure.startswith("port ")
    return 0.0 if counted and at_node in run else None


def _difference(
    key: Key, first: Sequence[dict[Key, Reading]], second: Sequence[dict[Key, Reading]]
) -> Difference:
    mine, theirs = _values(key, first), _values(key, second)
    exact = not any(run[key].assumed for run in (*first, *second) if key in run)
    told = Difference(
        **key._asdict(), first=_mean(mine), second=_mean(theirs), difference=None, exact=exact
    )
    if told.first is None or told.second is None:
        return told
    a, b = np.array(mine, np.float64), np.array(theirs, np.float64)
    each = (b - a).tolist()
    difference, lo, hi = mean_interval(each, CONFIDENCE)
    if lo is None:
        return told.model_copy(update={"difference": difference})
    replicates_lo, replicates_hi = quantile_interval(each)
    alone = float(a.var(ddof=1) + b.var(ddof=1))
    update = {
        "difference": difference,
        "lo": lo,
        "hi": hi,
        "replicates_lo": replicates_lo,
        "replicates_hi": replicates_hi,
        "variance_ratio": float((b - a).var(ddof=1)) / alone if alone else None,
    }
    return told.model_copy(update=update)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean_interval(known)[0] if len(known) == len(values) else None
