"""Checks that every rival of the benchmark runs the journey as the engine does, to the last count.

`bench` is no part of what is installed, so it is imported from the checkout.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from actors.dry_run import dry_run
from core.audience import Audience
from core.binding import Bound, bind
from core.compiler import compile_flow
from core.options import RunOptions
from house import CHECKOUT

CUSTOMERS = 4_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture(autouse=True)
def _checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CHECKOUT))


def _awkward() -> Bound:
    """Times on a grid of 12 hours, missing values, entries too late, timers beyond the horizon."""
    growth, journey = import_module("bench.growth_figures"), import_module("bench.journey")
    audience: Audience = growth.with_events(journey.make_audience(CUSTOMERS), 4)
    country, consent = audience.attributes["country"], audience.attributes["consent"]
    audience = replace(
        audience,
        event_ms=audience.event_ms // (12 * HOUR_MS) * (12 * HOUR_MS),
        attributes={
            "country": replace(country, values=np.where(country.values == 4, -1, country.values)),
            "consent": replace(
                consent, values=np.where(country.values == 3, -1, consent.values).astype(np.int8)
            ),
        },
    )
    options = RunOptions(2 * DAY_MS, 17 * DAY_MS - 1, 17 * DAY_MS)
    return bind(compile_flow(journey.FLOW), audience, options)


def _contenders(bound: Bound, pool: ThreadPoolExecutor) -> dict[str, Any]:
    contest = import_module("bench.contest")
    return {
        "ours": contest.ours(bound, 2),
        "ours with log": contest.ours_logged(bound),
        "numba": contest.numba_rival(bound, pool),
        "numba on threads": contest.numba_rival(bound, pool, 2),
        **contest.numpy_rivals(bound),
        **contest.python_rivals(bound),
    }


def test_rivals_count_as_the_engine_does() -> None:
    journey, columns = import_module("bench.journey"), import_module("bench.rivals.columns")
    assert tuple(journey.FLOW.nodes) == columns.NODES
    awkward = _awkward()
    with ThreadPoolExecutor(2) as pool:
        for bound in (journey.bound_journey(CUSTOMERS), awkward):
            expected = dry_run(bound).counters[0].entered
            for name, run in _contenders(bound, pool).items():
                assert run()[0].tolist() == expected.tolist(), name
    counters = dry_run(awkward).counters[0]
    entered = dict(zip(columns.NODES, counters.entered.tolist(), strict=True))
    assert 0 < entered["end"] < entered["start"] < CUSTOMERS
    assert min(entered.values()) > 100
    assert counters.waiting[columns.CLICKED] > 0
    assert counters.waiting[columns.LATER] > 0
    at_timeout = _clicks_after(awkward, columns.CLICK_WAIT_MS)
    assert at_timeout > 50
    assert _clicks_after(awkward, 0) > 50


def _clicks_after(bound: Bound, ms: int) -> int:
    """How many customers have a click so long after their entry."""
    audience = bound.audience
    owner = np.repeat(np.arange(audience.customers), np.diff(audience.event_offsets))
    go = audience.event_type == audience.event_names.index("go")
    entry_ms = audience.event_ms[go]
    return int(np.count_nonzero(audience.event_ms[~go] == entry_ms[owner[~go]] + ms))


def test_rivals_write_the_tag_of_those_who_clicked() -> None:
    contest, columns = import_module("bench.contest"), import_module("bench.rivals.columns")
    inputs = columns.columns_of(_awkward())
    upper = contest.upper_half(inputs)
    tags = {}
    for name, arguments in {
        "numba_journey": (),
        "numpy_journey": (),
        "heap_journey": (upper,),
        "simpy_journey": (upper,),
    }.items():
        tags[name] = inputs.new_tags()
        counts = getattr(import_module(f"bench.rivals.{name}"), name)(
            inputs, *arguments, tags[name]
        )
        assert tags[name].sum() == counts[columns.TAG] > 0, name
    assert len({tag.tobytes() for tag in tags.values()}) == 1


def test_the_log_of_numpy_is_whole_and_ordered() -> None:
    columns = import_module("bench.rivals.columns")
    inputs = columns.columns_of(_awkward())
    counts, log = import_module("bench.rivals.numpy_journey").numpy_journey_logged(
        inputs, inputs.new_tags()
    )
    assert np.bincount(log.node, minlength=12).tolist() == counts.tolist()
    order = np.lexsort((log.node, log.customer, log.time_ms))
    assert np.array_equal(order, np.arange(len(order)))
    began = np.full(inputs.customers, -1)
    began[log.customer[log.node == columns.START]] = log.time_ms[log.node == columns.START]
    for node, ms in ((columns.LATER, DAY_MS), (columns.SMS, 4 * DAY_MS)):
        there = log.node == node
        assert np.array_equal(log.time_ms[there], began[log.customer[there]] + ms)


def test_a_log_too_large_for_its_key_is_refused() -> None:
    columns = import_module("bench.rivals.columns")
    inputs = columns.columns_of(_awkward())
    far = replace(inputs, horizon_ms=1 << 60)
    with pytest.raises(ValueError, match="63 bits"):
        import_module("bench.rivals.numpy_journey").numpy_journey_logged(far, inputs.new_tags())


def test_a_chain_has_as_many_steps_as_nodes() -> None:
    growth = import_module("bench.growth_figures")
    counters = dry_run(growth.bound_chain(9, 100)).counters[0]
    assert counters.entered.tolist() == [100] * 9
    assert counters.steps == 900


def test_the_sweeps_yield_their_points(monkeypatch: pytest.MonkeyPatch) -> None:
    growth = import_module("bench.growth_figures")
    monkeypatch.setattr(growth, "CUSTOMERS_QUICK", (100, 200))
    monkeypatch.setattr(growth, "NODES_QUICK", (5, 10))
    monkeypatch.setattr(growth, "EVENTS_QUICK", (2, 4))
    monkeypatch.setattr(growth, "STEPS_QUICK", 2_000)
    monkeypatch.setattr(growth, "WORKER_CUSTOMERS_QUICK", 300)
    monkeypatch.setattr(growth, "worker_numbers", lambda: [1, 2])
    figures: Iterator[Any] = growth.figures(True, 1)
    found = [(f.name, f.place.sweep, f.place.x, f.rival) for f in figures]
    rival = "hard-coded Numba"
    assert found == [
        ("100 customers", "customers", 100, rival),
        ("200 customers", "customers", 200, rival),
        ("5 nodes", "nodes", 5, None),
        ("10 nodes", "nodes", 10, None),
        ("2 events of a customer", "events of a customer", 2, rival),
        ("4 events of a customer", "events of a customer", 4, rival),
        ("1 worker", "workers", 1, rival),
        ("2 workers", "workers", 2, rival),
    ]
