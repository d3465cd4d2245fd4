"""Paired differences: exact where nothing differs, else as other software computes them."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from core.comparison import Comparison, Key, compare, readings
from core.flow import Flow
from core.report import Draws, Report
from core.report_build import build_report
from core.statistics import mean_interval
from reports import AUDIENCE
from sample_flows import welcome, welcome_responses
from walks import OPTIONS, walk

DRAWS = Draws(seed=0, salt="s", replicate=0, replicates=6, interval=5 / 7)


def runs(flow: Flow, replicates: int = 6, shift: int = 0, people: int = 200) -> list[Report]:
    """Reports of replicates, each by itself."""
    responses = welcome_responses()
    found = []
    for k in range(replicates):
        counters = walk(flow, people=people, responses=responses, replicate=k + shift)
        found.append(build_report(flow, counters, OPTIONS, audience=AUDIENCE, responses=responses))
    return found


def test_what_is_the_same_differs_by_exactly_0() -> None:
    found = compare(runs(welcome()), runs(welcome()), DRAWS)
    assert found.same
    assert len(found.differences) > 80
    for each in found.differences:
        assert (each.first, each.difference, each.lo, each.hi) == (each.second, 0.0, 0.0, 0.0)


def test_figures_are_those_of_a_plain_computation() -> None:
    first, second = runs(welcome()), runs(welcome(), shift=100)
    found = compare(first, second, DRAWS)
    assert not found.same
    varied = 0
    for each in found.differences:
        key = Key(each.part, each.name, each.figure)
        a, b = (
            np.array([dict(readings(r))[key].value for r in run if key in dict(readings(r))])
            for run in (first, second)
        )
        if len(a) < 6 or len(b) < 6 or not (b - a).any():
            continue
        d = b - a
        assert each.difference == pytest.approx(d.mean(), rel=1e-12, abs=1e-15)
        if np.ptp(d) == 0:
            assert each.lo == each.hi == each.difference
            continue
        varied += 1
        lo, hi = sm.stats.DescrStatsW(d).tconfint_mean(alpha=0.05)
        tested = stats.ttest_rel(b, a).confidence_interval(0.95)
        assert (each.lo, each.hi) == pytest.approx((lo, hi), rel=1e-9, abs=1e-12)
        assert (each.lo, each.hi) == pytest.approx((tested.low, tested.high), rel=1e-9, abs=1e-12)
        assert (each.replicates_lo, each.replicates_hi) == (d.min(), d.max())
        ratio = d.var(ddof=1) / (a.var(ddof=1) + b.var(ddof=1))
        assert each.variance_ratio == pytest.approx(ratio, rel=1e-12)
    assert varied > 20


def test_what_one_draft_lacks_is_told_as_that() -> None:
    document = welcome().model_dump(mode="json", by_alias=True, exclude_none=True)
    nodes = document["nodes"]
    nodes["mail-b"]["channel"] = "email"
    nodes["extra"] = {"type": "end"}
    other = Flow.model_validate(document)
    told = {
        (d.part, d.name, d.figure): d
        for d in compare(runs(welcome()), runs(other), DRAWS).differences
    }
    push = told["sends", "push", "sends"]
    assert push.first is not None
    assert push.first > 0
    assert (push.second, push.difference) == (0.0, -push.first)
    extra = told["nodes", "extra", "entered"]
    assert (extra.first, extra.second, extra.difference, extra.lo) == (None, 0.0, None, None)


def test_one_replicate_has_no_interval() -> None:
    found = compare(runs(welcome(), 1), runs(welcome(), 1, shift=5), DRAWS)
    assert {(d.lo, d.hi, d.replicates_lo, d.variance_ratio) for d in found.differences} == {
        (None, None, None, None)
    }
    assert any(d.difference for d in found.differences)


@pytest.mark.parametrize(
    ("replicates", "people", "lineage"), [(5, 200, "welcome"), (6, 100, "welcome"), (6, 200, "x")]
)
def test_what_nothing_pairs_is_refused(replicates: int, people: int, lineage: str) -> None:
    other = welcome().drawing_as(lineage)
    with pytest.raises(ValueError, match="same customers, window and lineage"):
        compare(runs(welcome()), runs(other, replicates, people=people), DRAWS)


def test_a_comparison_reads_what_it_writes() -> None:
    found = compare(runs(welcome(), 2), runs(welcome(), 2, shift=3), DRAWS)
    assert Comparison.model_validate_json(found.model_dump_json()) == found


def test_a_flow_draws_as_another_also_in_its_operations() -> None:
    flow = welcome()
    assert flow.core.draws_as == "welcome"
    other = flow.drawing_as("spring")
    assert (other.draws_as, other.core.draws_as, flow.core.draws_as) == (
        "spring",
        "spring",
        "welcome",
    )
    assert flow.drawing_as("welcome") is flow


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_intervals_of_means_are_those_of_statsmodels(confidence: float) -> None:
    for n in (2, 3, 10, 200):
        values = np.random.default_rng(n).normal(5, 3, n)
        mean, lo, hi = mean_interval(values.tolist(), confidence)
        expected = sm.stats.DescrStatsW(values).tconfint_mean(alpha=1 - confidence)
        assert (lo, hi) == pytest.approx(expected, rel=1e-9)
        assert mean == pytest.approx(values.mean(), rel=1e-12)


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert mean_interval([0.1] * 7) == (0.1, 0.1, 0.1)
    assert mean_interval([4.0]) == (4.0, None, None)
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_interval([1.0, 2.0], 1.0)
