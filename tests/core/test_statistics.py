"""Checks the intervals against statsmodels, and against what they promise."""

import numpy as np
import pytest
from scipy.stats import binom, norm
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from core.statistics import (
    chance_of_best,
    detectable_difference,
    interval_coverage,
    newcombe,
    quantile_interval,
    wilson,
)

COUNTS = [(0, 1), (1, 1), (0, 17), (17, 17), (1, 17), (3, 1000), (500, 1000), (99_999, 1_000_000)]


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize(("successes", "n"), COUNTS)
def test_wilson_is_that_of_statsmodels(successes: int, n: int, confidence: float) -> None:
    expected = proportion_confint(successes, n, alpha=1 - confidence, method="wilson")
    assert wilson(successes, n, confidence) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize("first", COUNTS)
@pytest.mark.parametrize("second", COUNTS)
def test_newcombe_is_that_of_statsmodels(
    first: tuple[int, int], second: tuple[int, int], confidence: float
) -> None:
    expected = confint_proportions_2indep(
        *first, *second, method="newcomb", compare="diff", alpha=1 - confidence
    )
    difference, lo, hi = newcombe(*first, *second, confidence)
    assert difference == pytest.approx(first[0] / first[1] - second[0] / second[1], abs=1e-15)
    assert (lo, hi) == pytest.approx(expected, abs=1e-9)


def test_newcombe_gives_the_example_of_its_paper() -> None:
    """Newcombe 1998, table II, contrast (a): 56/70 against 48/80, method 10."""
    difference, lo, hi = newcombe(56, 70, 48, 80)
    assert (round(difference, 4), round(lo, 4), round(hi, 4)) == (0.2, 0.0524, 0.3339)


def test_wilson_ends_are_exact_where_nobody_or_everybody_succeeded() -> None:
    assert wilson(0, 40)[0] == 0.0
    assert wilson(40, 40)[1] == 1.0


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (0, 0), (-1, 5), (6, 5)])
def test_rates_that_are_none_are_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="0 <= successes <= n"):
        wilson(successes, n)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        wilson(1, 2, confidence)


def test_wilson_covers_the_truth_as_often_as_it_says() -> None:
    """Exact coverage, summed over the binomial law."""
    n = 1000
    intervals = [wilson(k, n) for k in range(n + 1)]
    for p in (0.03, 0.1, 0.5):
        inside = [lo <= p <= hi for lo, hi in intervals]
        covered = float(binom.pmf(np.arange(n + 1), n, p)[inside].sum())
        assert 0.94 <= covered <= 0.96


def test_quantile_interval_holds_a_further_replicate_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    draws = rng.exponential(size=(4000, 20))
    held = np.mean(
        [lo <= row[-1] <= hi for row in draws for lo, hi in [quantile_interval(row[:-1].tolist())]]
    )
    assert abs(held - 0.9) < 0.015


@pytest.mark.parametrize("n", [1, 2, 7, 18, 19, 20, 100])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_quantile_interval_is_numpy_s_weibull_quantiles(n: int, level: float) -> None:
    values = np.random.default_rng(n).normal(size=n)
    expected = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], method="weibull")
    assert quantile_interval(values.tolist(), level) == pytest.approx(expected, abs=1e-12)


def test_quantile_interval_is_the_range_where_there_are_few_replicates() -> None:
    assert quantile_interval([4.0, 1.0, 3.0]) == (1.0, 4.0)
    assert quantile_interval([7.0]) == (7.0, 7.0)
    assert quantile_interval([float(v) for v in range(1, 40)]) == pytest.approx((2.0, 38.0))
    assert interval_coverage(3) == 0.5
    assert interval_coverage(19) == interval_coverage(500) == 0.9
    with pytest.raises(ValueError, match="at least one"):
        quantile_interval([])


def test_detectable_difference_is_found_as_often_as_it_says() -> None:
    rate, n1, n2 = 0.1, 5000, 8000
    found = detectable_difference(rate, n1, n2)
    error = np.sqrt(rate * (1 - rate) * (1 / n1 + 1 / n2))
    assert 1 - norm.cdf(norm.ppf(0.975) - found / error) == pytest.approx(0.8, abs=1e-9)
    with pytest.raises(ValueError, match="sizes above 0"):
        detectable_difference(0.1, 0, 5)


def test_the_chance_of_being_best_is_that_of_the_posterior() -> None:
    # Of Beta(2, 1) and Beta(1, 2) the first is greater with 5/6; of equal ones each with a half.
    assert chance_of_best([1, 0], [1, 1]) == pytest.approx([5 / 6, 1 / 6], abs=1e-6)
    assert chance_of_best([7, 7], [20, 20]) == pytest.approx([0.5, 0.5], abs=1e-9)
    assert chance_of_best([0, 0, 0], [0, 0, 0]) == pytest.approx([1 / 3] * 3, abs=1e-6)
    clear = chance_of_best([900, 100, 120], [1000, 1000, 1000])
    assert clear[0] > 0.999999
    assert sum(chance_of_best([30, 35, 31], [100, 90, 95])) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ValueError, match="within trials"):
        chance_of_best([2], [1])
