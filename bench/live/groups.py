"""Run the groups of figures that are taken of the live engine beside its contest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.live import (
    figures_failpoints,
    figures_http,
    figures_latency,
    figures_memory,
    figures_recovery,
    figures_runs,
)
from bench.live.contest import OURS, RIVALS, Standing, run_once
from bench.live.figures import Form, Measured
from bench.live.load import make_load

CONTEST = "contest"
LATENCY = "latency"
GROUPS = (
    CONTEST,
    LATENCY,
    "recovery",
    "memory",
    "failpoints",
    figures_http.GROUP,
    figures_runs.GROUP,
)


def measure(
    groups: Sequence[str],
    form: Form,
    standings: Sequence[Standing],
    batch: int,
    tell: Callable[[str], None],
) -> Measured:
    """The figures of all groups but the contest; latency is at shares of the capacity that
    the contest found, or that one run finds where Headrace was not in it.
    """
    taken: dict[str, Callable[[], Measured]] = {
        LATENCY: lambda: figures_latency.measure(form, capacity(standings, form, batch), batch),
        "recovery": lambda: figures_recovery.measure(form),
        "memory": lambda: figures_memory.measure(form),
        "failpoints": figures_failpoints.measure,
        figures_http.GROUP: lambda: figures_http.measure(form),
        figures_runs.GROUP: lambda: figures_runs.measure(form),
    }
    whole = Measured()
    for name, take in taken.items():
        if name in groups:
            tell(f"measuring {name}")
            found = take()
            whole.figures += found.figures
            whole.latencies += found.latencies
    return whole


def capacity(standings: Sequence[Standing], form: Form, batch: int) -> float:
    """Entries a second that Headrace takes on Ray, from the contest or a run of its own."""
    for standing in standings:
        if standing.entrant.name == OURS and standing.outcomes:
            return standing.rate
    (entrant,) = (entrant for entrant in RIVALS if entrant.name == OURS)
    outcome = run_once(entrant.load(), make_load(form.entries, batch))
    return form.entries / outcome.seconds
