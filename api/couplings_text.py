"""Say in sentences what customers competed for, and who got it."""

from __future__ import annotations

from collections.abc import Iterator

from core.quantity import THIN, moment, number, percent, plural, span
from core.report import CouplingsReport, EndReport, Figure, GateReport, PoolReport

_RULES = {
    "matured": "the best, when all of them had had their time",
    "at_count": "the best by what was known at once",
    "named": "the branch that the flow names",
}


def couplings_told(couplings: CouplingsReport) -> list[str]:
    """A sentence or two for the line, each pool and each test that ends."""
    gate = [] if couplings.gate is None else list(_gate(couplings.gate))
    return [*gate, *map(_pool, couplings.pools), *map(_end, couplings.ends)]


def _figure(figure: Figure) -> str:
    return (f"≈{THIN}" if figure.assumed else "") + number(figure.value)


def _gate(gate: GateReport) -> Iterator[str]:
    if gate.per_second is not None:
        waited = ""
        if gate.mean_line_ms is not None:
            waited = f", {span(gate.mean_line_ms)} on the average"
        yield (
            f"At most {plural(gate.per_second, 'entry', 'entries')} a second: "
            f"{_figure(gate.queued)} had to wait in line{waited}; "
            f"{_figure(gate.in_line)} still wait at the horizon, and "
            f"{_figure(gate.refused_late)} were let out after the time of entries and refused."
        )
    if gate.people_max is not None:
        yield (
            f"At most {plural(gate.people_max, 'person', 'people')} in all: "
            f"{_figure(gate.refused_cap)} entries of others were refused."
        )


def _pool(pool: PoolReport) -> str:
    if pool.budget:
        return (
            f"A budget of {plural(pool.stock, 'message')}: {_figure(pool.taken)} used, "
            f"{_figure(pool.left)} left; {_figure(pool.refused)} were not sent for want of it."
        )
    return (
        f"Coupons of {pool.pool}: {_figure(pool.taken)} of {number(pool.stock)} taken, "
        f"{_figure(pool.left)} left."
    )


def _end(end: EndReport) -> str:
    told = f"Test {end.node}, after {plural(end.people, 'visit')} for {_RULES[end.rule]}: "
    if end.decided_ms is None:
        return f"{told}not decided by the horizon."
    told += f"decided at {moment(end.decided_ms)} for {end.branch}"
    if end.chance_right is not None:
        told += f", with a chance of {percent(end.chance_right)} that it is the best"
    replicates = sum(end.decided_in.values())
    if replicates > 1:
        counts = ", ".join(f"{port} {count}" for port, count in end.decided_in.items())
        told += f" (in the first replicate; of {replicates} decided: {counts})"
    return f"{told}."
