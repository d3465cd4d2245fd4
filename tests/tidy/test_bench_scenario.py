"""Checks that the scenario is the one that its bars speak of, and that its figures are measured.

`bench` is no part of what is installed, so it is imported from the checkout.
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from actors.dry_run import dry_run
from core.audience import Audience
from core.binding import bind
from core.compiler import compile_flow
from core.flow import Flow
from core.lint import lint
from differential import difference
from house import CHECKOUT
from interpreters import run_machine, run_reference

CUSTOMERS = 20_000


@pytest.fixture(autouse=True)
def _checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CHECKOUT))


@pytest.fixture(name="scenario")
def _scenario() -> Any:
    return import_module("bench.scenario")


@pytest.mark.parametrize("draft", ["first", "changed"])
def test_the_flow_is_as_the_bar_says(scenario: Any, draft: str) -> None:
    flow: Flow = scenario.FLOW if draft == "first" else scenario.changed_flow()
    program = compile_flow(flow)
    assert [v for v in lint(flow) if v.severity != "info"] == []
    assert len(flow.nodes) == 20
    types = [node.type for node in flow.nodes.values()]
    assert types.count("wait_event") == 2
    asked = [node for node in flow.nodes.values() if node.type == "condition"]
    assert sum("did" in node.if_.model_fields_set for node in asked) == 3
    assert program.histories == ["cart", "purchase", "view"]
    assert program.events == sorted(scenario.REFERRED)
    assert len(scenario.EVENT_SHARES) == 12
    assert flow.settings.reentry.policy == "once"


def test_the_audience_is_as_the_bar_says(scenario: Any) -> None:
    audience: Audience = scenario.make_audience(CUSTOMERS)
    assert audience.customers == CUSTOMERS
    assert audience.events == 10 * CUSTOMERS == audience.event_offsets[-1]
    assert tuple(audience.attributes) == scenario.ATTRIBUTES
    assert len(audience.attributes) == 10
    kinds = {column.kind for column in audience.attributes.values()}
    assert kinds == {"string", "bool", "int64", "float64", "date", "datetime"}
    assert audience.id_of(1_234) == "000001234"
    owner = np.repeat(np.arange(CUSTOMERS), np.diff(audience.event_offsets))
    order = np.lexsort((audience.event_ms, owner))
    assert np.array_equal(order, np.arange(audience.events))
    found = np.bincount(audience.event_type, minlength=12) / audience.events
    carts = 0.9 * 0.04 + 0.1
    for share, name in zip(found, audience.event_names, strict=True):
        expected = carts if name == "cart" else 0.9 * scenario.EVENT_SHARES[name]
        assert share == pytest.approx(expected, abs=0.01), name


def test_audiences_of_other_sizes_begin_alike(
    scenario: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenario, "CHUNK", 500)
    small, large = scenario.make_audience(500), scenario.make_audience(1_201)
    assert large.event_offsets[500] == small.events == 5_000
    assert np.array_equal(large.event_ms[:5_000], small.event_ms)
    assert np.array_equal(large.attributes["age"].values[:500], small.attributes["age"].values)
    assert large.events == 12_010
    assert not np.array_equal(large.event_ms[5_000:10_000], small.event_ms)


def test_everybody_enters_once_and_takes_about_8_steps(scenario: Any) -> None:
    audience = scenario.make_audience(CUSTOMERS)
    counters = dry_run(bind(compile_flow(scenario.FLOW), audience, scenario.OPTIONS)).counters[0]
    entered = dict(zip(scenario.FLOW.nodes, counters.entered.tolist(), strict=True))
    assert counters.people == entered["carted"] == entered["done"] == CUSTOMERS
    assert counters.steps / CUSTOMERS == pytest.approx(8, abs=0.1)
    assert min(entered.values()) > 0
    assert not counters.waiting.any()


def test_both_interpreters_decide_the_scenario_alike(scenario: Any) -> None:
    audience = scenario.make_audience(400)
    for flow in (scenario.FLOW, scenario.changed_flow()):
        expected = run_reference(flow, audience, scenario.OPTIONS, None)
        assert len(expected.records) > 2_000
        found = run_machine(flow, audience, scenario.OPTIONS, None)
        assert difference(tuple(expected), tuple(found)) is None


def test_both_interpreters_decide_the_extremes_alike() -> None:
    extremes, runs = import_module("bench.extremes"), import_module("bench.sized_runs")
    journey = extremes.REENTERING
    cases = [
        (journey, extremes.whale_of_entries(100), runs.JOURNEY_OPTIONS),
        (journey, _named(extremes.whale_in_crowd(20, 50, extremes.CLICK)), runs.JOURNEY_OPTIONS),
        (journey, _named(extremes.whale_in_crowd(20, 50, extremes.OTHER)), runs.JOURNEY_OPTIONS),
        (extremes.SURGE_FLOW, _named(extremes.surge(50, even=False)), extremes.SURGE_OPTIONS),
        (extremes.SURGE_FLOW, _named(extremes.surge(50, even=True)), extremes.SURGE_OPTIONS),
    ]
    for flow, audience, options in cases:
        expected = run_reference(flow, audience, options, None)
        assert (
            difference(tuple(expected), tuple(run_machine(flow, audience, options, None))) is None
        )


def _named(audience: Audience) -> Audience:
    """The audience with an id of two digits for each customer, by which logs can be compared."""
    audience.id_offsets = np.arange(audience.customers + 1) * 2
    audience.id_data = np.frombuffer(
        b"".join(b"%02d" % c for c in range(audience.customers)), np.uint8
    )
    return audience


def test_the_whale_and_the_surge_are_what_they_are_called() -> None:
    extremes, runs = import_module("bench.extremes"), import_module("bench.sized_runs")
    whale = dry_run(
        bind(
            compile_flow(extremes.REENTERING),
            extremes.whale_of_entries(1_000),
            runs.JOURNEY_OPTIONS,
        )
    ).counters[0]
    entered = dict(zip(extremes.REENTERING.nodes, whale.entered.tolist(), strict=True))
    assert whale.people == 1
    assert entered["start"] == entered["end"] == 1_000
    assert entered["tag"] == pytest.approx(500, abs=60)
    surge = bind(
        compile_flow(extremes.SURGE_FLOW),
        extremes.surge(1_000, even=False),
        extremes.SURGE_OPTIONS,
    )
    sends = dry_run(surge).counters[0].sends_by_hour[0]
    assert sends.max() == sends.sum() == 1_000
    clicks = extremes.whale_in_crowd(100, 1_000, extremes.CLICK)
    bound = bind(compile_flow(extremes.REENTERING), clicks, runs.JOURNEY_OPTIONS)
    assert np.diff(bound.inputs.offsets)[-1] == 1_001
    others = extremes.whale_in_crowd(100, 1_000, extremes.OTHER)
    bound = bind(compile_flow(extremes.REENTERING), others, runs.JOURNEY_OPTIONS)
    assert np.diff(bound.inputs.offsets)[-1] == 1


def test_a_failing_measurement_tells_why() -> None:
    alone = import_module("bench.alone").alone
    with pytest.raises(
        RuntimeError, match=r"bench\.sized_runs\.scenario_runs failed.*(?s:.)*missing"
    ):
        alone("bench.sized_runs", "scenario_runs", customers=10)


def test_the_figures_are_measured() -> None:
    figures = list(import_module("bench.scenario_figures").figures(True, 1))
    assert len(figures) == 14
    for figure in figures:
        assert math.isfinite(figure.ours), figure
        assert figure.ours > 0, figure
        assert figure.bar is None
        assert figure.theirs is None or figure.theirs > 0
    assert {figure.group for figure in figures} == {"scenario", "extremes", "drafts"}
