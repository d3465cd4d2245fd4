"""Report what customers competed for: the line and the cap, coupons left, how tests ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.control_lowering import BUDGET
from core.counters import Counters
from core.couplings import GateSpec, PoolSpec, TrialSpec, resources_of
from core.nodes import TakeCoupon
from core.options import RunOptions
from core.outcomes import Outcome
from core.report import CouplingsReport, EndReport, Figure, GateReport, PoolReport
from core.report_figures import Figures
from core.statistics import chance_of_best


@dataclass(frozen=True, slots=True)
class Ending:
    """How a test with `until` stood when it was decided, or in the end.

    `decided_ms` and `branch` are None where it never was. `trials` and `successes` int64[b],
    by branch, are what the decision was to rest on.
    """

    node: str
    decided_ms: int | None
    branch: int | None
    trials: NDArray[np.int64]
    successes: NDArray[np.int64]


def couplings_report(
    figures: Figures, options: RunOptions, endings: Sequence[Sequence[Ending]]
) -> CouplingsReport | None:
    """What customers competed for; None where they did not.

    `endings` are those of the tests, for each replicate.
    """
    specs = resources_of(figures.flow, options)
    if not specs:
        return None
    gates = [spec for spec in specs if isinstance(spec, GateSpec)]
    return CouplingsReport(
        gate=_gate(figures, gates[0]) if gates else None,
        pools=[_pool(figures, spec) for spec in specs if isinstance(spec, PoolSpec)],
        ends=[
            _end(figures, spec, endings, options.horizon_ms)
            for spec in specs
            if isinstance(spec, TrialSpec)
        ],
    )


def _gate(figures: Figures, spec: GateSpec) -> GateReport:
    def total(name: str) -> Figure:
        return figures.figure(
            lambda c: int(getattr(c, name).sum()), figures.assumed.entries, f"all {name}"
        )

    queued, waited = total("queued"), total("line_sum_ms")
    return GateReport(
        per_second=spec.per_second,
        people_max=spec.people,
        queued=queued,
        mean_line_ms=waited.value / queued.value if queued.value else None,
        in_line=total("in_line"),
        refused_cap=total("refused_cap"),
        refused_late=total("refused_late"),
    )


def _pool(figures: Figures, spec: PoolSpec) -> PoolReport:
    nodes = {
        node_id: figures.index[node_id]
        for node_id, node in figures.flow.nodes.items()
        if isinstance(node, TakeCoupon) and node.pool == spec.name
    }
    rows = list(nodes.values())

    def asked(counters: Counters) -> int:
        """Each visit makes a claim; who is parked on arrival makes none (D44)."""
        parked = counters.outcome[rows, Outcome.PARKED_BUDGET.column].sum()
        return int(counters.entered[rows].sum() - parked)

    def taken(counters: Counters) -> int:
        """Each claim takes one while there are any."""
        return min(spec.stock, asked(counters))

    assumed = not figures.assumed.entered.isdisjoint(nodes)
    return PoolReport(
        pool=spec.name,
        budget=spec.name.startswith(BUDGET),
        stock=spec.stock,
        taken=figures.figure(taken, assumed, f"coupons of {spec.name!r}"),
        left=figures.figure(lambda c: spec.stock - taken(c), assumed, f"left of {spec.name!r}"),
        refused=figures.figure(
            lambda c: asked(c) - taken(c), assumed, f"refused coupons of {spec.name!r}"
        ),
    )


def _end(
    figures: Figures, spec: TrialSpec, endings: Sequence[Sequence[Ending]], horizon_ms: int
) -> EndReport:
    test = figures.flow.tests[spec.node]
    assert test.until is not None
    mine = [each for found in endings for each in found if each.node == spec.node]
    decided = [e for e in mine if e.decided_ms is not None and e.decided_ms < horizon_ms]
    first = decided[0] if decided else None
    chance = None
    if spec.then < 0 and first is not None and first.branch is not None:
        chance = chance_of_best(first.successes.tolist(), first.trials.tolist())[first.branch]
    return EndReport(
        node=spec.node,
        people=spec.people,
        rule=test.until.decide if spec.then < 0 else "named",
        decided_ms=None if first is None else first.decided_ms,
        branch=None if first is None or first.branch is None else test.ports[first.branch],
        chance_right=chance,
        decided_in={
            port: sum(each.branch == place for each in decided)
            for place, port in enumerate(test.ports)
        },
    )
