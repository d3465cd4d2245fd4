"""Hold what is measured of the live engine, and how large each form of the measurement is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.figures import Bar, Figure

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)
MS = 1e3


@dataclass(frozen=True, slots=True)
class Form:
    """Sizes: of the contest, of latency runs, of what surges, of what is recovered, of memory.

    `full` says that all are those for which the bars were set; memory has a bar only then.
    """

    name: str
    entries: int
    runs: int
    latency_s: float
    surge_tokens: int
    reopened_tokens: int
    reopenings: int
    customers: int
    waiting: int
    customers_of_run: int
    full: bool = False


FORMS = {
    form.name: form
    for form in (
        Form("quick", 200_000, 1, 3, 50_000, 50_000, 1, 100_000, 10_000, 100_000),
        Form("usual", 500_000, 3, 8, 1_000_000, 1_000_000, 3, 1_000_000, 100_000, 1_000_000),
        Form(
            "long",
            500_000,
            5,
            20,
            1_000_000,
            1_000_000,
            5,
            10_000_000,
            1_000_000,
            1_000_000,
            full=True,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Latency:
    """How long acknowledgements took in one run: of `what`, under which `load`.

    `seconds` float64[requests], from when each was due; `offered` entries a second were due.
    `bar_ms` is a limit on the 99th percentile.
    """

    what: str
    load: str
    seconds: NDArray[np.float64]
    offered: float
    bar_ms: float | None = None

    def percentile_ms(self, percent: float) -> float:
        """The smallest time that `percent` of the requests did not exceed, in milliseconds."""
        return float(np.percentile(self.seconds, percent, method="inverted_cdf")) * MS

    @property
    def meets(self) -> bool | None:
        """Whether the bar is met, None where there is none."""
        return None if self.bar_ms is None else self.percentile_ms(99) <= self.bar_ms

    def as_json(self) -> dict[str, Any]:
        """The run as the results have it; percentiles in milliseconds."""
        return {
            "what": self.what,
            "load": self.load,
            "requests": len(self.seconds),
            "offered_entries_per_second": self.offered,
            "percentiles_ms": {f"{p:g}": self.percentile_ms(p) for p in PERCENTILES},
            "bar_p99_ms": self.bar_ms,
            "met": self.meets,
        }


@dataclass(slots=True)
class Measured:
    """What one group measured."""

    figures: list[Figure] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)


def at_most(value: float) -> Bar:
    """A bar on our figure in its unit."""
    return Bar("ours", "at most", value)


def counted(count: int) -> str:
    """A round number as people say it: 50 k, 1 M, 500."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= size:
            return f"{count / size:g} {unit}"
    return str(count)
