"""Hold what a benchmark measured: figures with rivals, spread, and the bars they must meet."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal

WARM_S = 0.5


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit on a figure: on its `ratio` to the rival, or on `ours` in the figure's unit."""

    of: Literal["ratio", "ours"]
    relation: Literal["at least", "at most"]
    value: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a figure stands in a sweep: a point of a plot, of which `note` says what ran."""

    sweep: str
    x: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure: the median of several runs.

    `spread` is (slowest - fastest) / median of our runs, `their_spread` that of the rival's;
    `rival` names what `theirs` was measured on, and `ratio` is ours / theirs in `unit` (so above 1
    is better where more of the unit is). A `gate` holds a rival against a slower one, so that
    nobody is flattered by a badly written rival: `ours` is then the rival under test. `step_ns` is
    the time for a token-step of ours.
    """

    group: str
    name: str
    unit: str
    ours: float
    spread: float = 0.0
    rival: str | None = None
    theirs: float | None = None
    bar: Bar | None = None
    their_spread: float = 0.0
    gate: bool = False
    place: Place | None = None
    step_ns: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours to theirs, None without a rival."""
        return None if self.theirs is None else self.ours / self.theirs

    @property
    def meets(self) -> bool | None:
        """Whether the bar is met, None where there is none."""
        if self.bar is None:
            return None
        value = self.ours if self.bar.of == "ours" else self.ratio
        if value is None:
            raise ValueError(f"{self.name}: a bar on a ratio needs a rival")
        if self.bar.relation == "at least":
            return value >= self.bar.value
        return value <= self.bar.value


def interleave(contenders: Mapping[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Run all contenders in turn, `runs` rounds, so that a busy machine slows all of them.

    Returns the seconds of each run by contender. Garbage is collected before each run, and what a
    run returns is dropped after it, both outside the measured time. Who took less than `WARM_S` the
    last time runs once more before it is measured: what the contender before him left in caches and
    memory is not his affair.
    """
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, run in contenders.items():
            if taken[name] and taken[name][-1] < WARM_S:
                run()
            gc.collect()
            began = time.perf_counter()
            result = run()
            taken[name].append(time.perf_counter() - began)
            del result
    return taken


def spread_of(seconds: list[float]) -> float:
    """How far the runs lie apart: (slowest - fastest) / median."""
    return (max(seconds) - min(seconds)) / median(seconds)


def shown(value: float | None) -> str:
    """Three digits or all whole ones, empty for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
