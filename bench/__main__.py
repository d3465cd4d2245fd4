"""Measure the dry run of the reference journey and print what it did in a second.

    python -m bench [customers] [runs]

Runs of the settings alternate, so that a busy machine slows all of them; medians and the spread
from the fastest to the slowest run are printed. Absolute figures are for orientation on this
machine only.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from statistics import median
from typing import Any

from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from actors.dry_run import dry_run
from bench.journey import bound_journey
from core.binding import Bound

CUSTOMERS = 1_000_000
RUNS = 5


class _Discard:
    """Takes the log and forgets it: making the log is measured, writing it is not."""

    def write(self, records: NDArray[Any]) -> None:
        """Forget one block's decisions."""


def measure(bound: Bound, workers: int, *, log: bool) -> tuple[float, int]:
    """Run once; the seconds that it took, and the token-steps."""
    began = time.perf_counter()
    result = dry_run(bound, workers=workers, log=_Discard() if log else None)
    return time.perf_counter() - began, result.counters[0].steps


def main(customers: int = CUSTOMERS, runs: int = RUNS) -> None:
    """Measure and print the table."""
    bound = bound_journey(customers)
    cores = os.cpu_count() or 1
    settings = [(workers, log) for log in (False, True) for workers in sorted({1, cores})]
    taken: dict[tuple[int, bool], list[float]] = {setting: [] for setting in settings}
    steps = 0
    for _ in range(runs):
        for workers, log in settings:
            seconds, steps = measure(bound, workers, log=log)
            taken[workers, log].append(seconds)
    table = Table(
        title=f"reference journey: {customers:,} customers, {steps / customers:.2f} steps each",
        caption=f"{runs} runs; {platform.machine()}, {cores} cores, {platform.system()}, "
        f"Python {platform.python_version()}",
    )
    for heading in ("workers", "log", "million entries/s", "ns a step", "spread"):
        table.add_column(heading, justify="right")
    for (workers, log), times in taken.items():
        middle = median(times)
        table.add_row(
            str(workers),
            "yes" if log else "no",
            f"{customers / middle / 1e6:.2f}",
            f"{middle / steps * 1e9:.1f}",
            f"{(max(times) - min(times)) / middle:.0%}",
        )
    Console().print(table)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
