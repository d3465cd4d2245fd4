"""Measure how cost grows: with the audience, with a whale or a surge in it, with drafts and luck.

Each figure is taken in a process of its own. The bars hold for the full sizes; the quick form runs
all of it on small audiences, where a start-up cost would blur every ratio, and sets none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.alone import alone
from bench.figures import Bar, Figure, spread_of

RUNS = "bench.sized_runs"
USER = "bench.user_runs"
EVEN = "the even case"
NS = 1e9


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large each measurement is."""

    scenario: tuple[int, ...]  # customers; bars hold for `middle` and the last
    middle: int
    whale: int  # customers of the even case, and events of the whale
    surge: int
    drafts: int
    sample: int  # customers of the sample shop
    replicates: int
    large_runs: int  # the most runs where one takes many seconds


FULL = Sizes(
    scenario=(100_000, 300_000, 1_000_000, 3_000_000, 10_000_000),
    middle=1_000_000,
    whale=1_000_000,
    surge=10_000_000,
    drafts=1_000_000,
    sample=200_000,
    replicates=100,
    large_runs=5,
)
QUICK = Sizes(
    scenario=(500, 1_000),
    middle=500,
    whale=1_000,
    surge=2_000,
    drafts=1_000,
    sample=500,
    replicates=10,
    large_runs=1,
)
LARGE = 3_000_000  # customers from which on `large_runs` holds


def figures(quick: bool, runs: int) -> Iterator[Figure]:
    """All figures of the scenario, the extremes, drafts and replicates, as they are measured.

    Each is the median of `runs` runs, fewer where one takes many seconds; the contenders of a
    ratio take turns in one process.
    """
    sizes = QUICK if quick else FULL
    yield from _growth(sizes, runs, quick)
    yield from _whales(sizes, runs, quick)
    yield from _surges(sizes, runs, quick)
    yield from _drafts(sizes, runs, quick)


def _growth(sizes: Sizes, runs: int, quick: bool) -> Iterator[Figure]:
    """Seconds, ns a customer and memory of the scenario by size."""
    least = sizes.scenario[0]
    for customers in sizes.scenario:
        rounds = min(runs, sizes.large_runs) if customers >= LARGE else runs
        ran = alone(RUNS, "scenario_runs", customers=customers, least=least, runs=rounds)
        ours, theirs = ran.result["run"], ran.result["least"]
        middle, spread = median(ours["seconds"]), spread_of(ours["seconds"])
        name = f"{_size(customers)} customers, {_size(10 * customers)} events"
        is_middle, is_last = customers == sizes.middle, customers == sizes.scenario[-1]
        yield Figure(
            "scenario",
            f"{name}: bind and run, two cores",
            "s",
            middle,
            spread,
            bar=None if quick or not is_middle else Bar("ours", "at most", 3.0),
            step_ns=_each(ours),
        )
        yield Figure(
            "scenario",
            f"{name}: time a customer",
            "ns",
            middle / customers * NS,
            spread,
            f"{_size(least)} customers",
            median(theirs["seconds"]) / least * NS,
            None if quick or not is_last else Bar("ratio", "at most", 1.5),
            spread_of(theirs["seconds"]),
        )
        limit = 2.0 if is_middle else 16.0 if is_last else None
        yield Figure(
            "scenario",
            f"{name}: peak memory, audience included",
            "GiB",
            ran.peak_gib,
            bar=None if quick or limit is None else Bar("ours", "at most", limit),
        )


def _whales(sizes: Sizes, runs: int, quick: bool) -> Iterator[Figure]:
    """Cost of a step where one customer has most of the events, on one core."""
    events = sizes.whale
    ran = alone(RUNS, "whale_runs", customers=events, events=events, runs=runs).result
    even = ran["even"]
    size = _size(events)
    entries = f"whale alone, {size} entries"
    clicks = f"whale among {size}, {size} waited-for events"
    others = f"whale among {size}, {size} events not referred to"
    # Without a bar: what one customer's tokens do, they do one after another, whatever the engine.
    yield _step(entries, ran["entries"], EVEN, even, quick=True)
    yield _step(clicks, ran["clicks"], EVEN, even, quick, by_event=True)
    yield _step(others, ran["others"], EVEN, even, quick)


def _surges(sizes: Sizes, runs: int, quick: bool) -> Iterator[Figure]:
    """Cost of a step where all tokens are due at one millisecond, on two cores."""
    rounds = min(runs, sizes.large_runs)
    ran = alone(RUNS, "surge_runs", customers=sizes.surge, runs=rounds).result
    name = f"surge of {_size(sizes.surge)} tokens"
    yield _step(name, ran["surge"], "spread over 20 days", ran["even"], quick)


def _step(
    name: str,
    ours: dict[str, Any],
    rival: str,
    theirs: dict[str, Any],
    quick: bool,
    *,
    by_event: bool = False,
) -> Figure:
    """The cost of a step against that of the even case."""
    return Figure(
        "extremes",
        name,
        "ns a step or event" if by_event else "ns a step",
        _each(ours, by_event=by_event),
        spread_of(ours["seconds"]),
        rival,
        _each(theirs, by_event=by_event),
        None if quick else Bar("ratio", "at most", 2.0),
        spread_of(theirs["seconds"]),
        step_ns=_each(ours),
    )


def _drafts(sizes: Sizes, runs: int, quick: bool) -> Iterator[Figure]:
    """Two drafts and many replicates against one run: as a user meets them, and the engine alone.

    The bars hold for the user's view; the engine shares nothing between two runs but the audience.
    """
    count, customers = sizes.replicates, _size(sizes.sample)
    shop = alone(
        USER,
        "shop_runs",
        customers=sizes.sample,
        replicates=count,
        runs=runs,
        large_runs=min(runs, sizes.large_runs),
    ).result
    ran = alone(RUNS, "draft_runs", customers=sizes.drafts, runs=runs).result
    loaded = {which: measured["seconds"] for which, measured in ran.items()}
    twice, many = (None if quick else Bar("ratio", "at most", most) for most in (2.0, 60.0))
    yield _many(f"two drafts, {customers} customers: load, bind and run", shop["drafts"], twice)
    yield _many(f"two drafts, {_size(sizes.drafts)} customers: bind and run", loaded)
    name = f"{count} replicates, {customers} customers"
    yield _many(f"{name}: headrace simulate", shop["command"], many)
    yield _many(f"{name}: dry run alone", shop["engine"])


def _many(name: str, seconds: dict[str, list[float]], bar: Bar | None = None) -> Figure:
    one, many = seconds["one"], seconds["many"]
    spread, their_spread = spread_of(many), spread_of(one)
    return Figure(
        "drafts", name, "s", median(many), spread, "one run", median(one), bar, their_spread
    )


def _each(measured: dict[str, Any], *, by_event: bool = False) -> float:
    """Nanoseconds a token-step, or with `by_event` a step or an event that the flow refers to."""
    work: int = measured["steps"] + (measured["events"] if by_event else 0)
    seconds: float = median(measured["seconds"])
    return seconds / work * NS


def _size(count: int) -> str:
    """A round number as people say it: 0.1 M, 3 M, 500."""
    return f"{count / 1e6:g} M" if count >= 100_000 else f"{count:,}"
