"""Compute the intervals of the report: of rates, of their differences, of figures over replicates.

They are written out here, and not taken from a statistics library, because they are short, the
report is where they are used, and a library of that size would be a dependency of every
installation. The tests compare them with statsmodels.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from scipy.special import betainc, betaincinv, ndtri, stdtrit

CHANCE_POINTS = 4096


def wilson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval (lo, hi) of a rate of `successes` in `n` trials.

    Both ends lie in [0, 1], `lo` is exactly 0 where nobody succeeded and `hi` exactly 1 where all
    did. Means over replicates may be given, hence floats. ValueError unless 0 <= successes <= n
    and n > 0. Source: E. B. Wilson, Probable inference, the law of succession, and statistical
    inference, JASA 22 (1927) 209-212; recommended by Brown, Cai and DasGupta, Statistical Science
    16 (2001) 101-133.
    """
    if not (0 <= successes <= n and n > 0):
        raise ValueError(f"a rate needs 0 <= successes <= n and n > 0, not {successes} of {n}")
    z = _z(confidence)
    rate, z2 = successes / n, z * z
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    lo = 0.0 if successes == 0 else max(0.0, centre - half)
    hi = 1.0 if successes == n else min(1.0, centre + half)
    return lo, hi


def newcombe(
    s1: float, n1: float, s2: float, n2: float, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Return (difference, lo, hi) of two independent rates, s1 / n1 - s2 / n2.

    ValueError as for `wilson`. Source: R. G. Newcombe, Interval estimation for the difference
    between independent proportions, Statistics in Medicine 17 (1998) 873-890, method 10 (the
    square-and-add, or hybrid score, method without continuity correction).
    """
    lo1, hi1 = wilson(s1, n1, confidence)
    lo2, hi2 = wilson(s2, n2, confidence)
    p1, p2 = s1 / n1, s2 / n2
    difference = p1 - p2
    lo = difference - sqrt((p1 - lo1) ** 2 + (hi2 - p2) ** 2)
    hi = difference + sqrt((hi1 - p1) ** 2 + (p2 - lo2) ** 2)
    return difference, lo, hi


def detectable_difference(
    rate: float, n1: float, n2: float, power: float = 0.8, confidence: float = 0.95
) -> float:
    """Return the smallest difference of two rates near `rate` that a test of this size would find.

    "Find" is: a two-sided test at 1 - `confidence` sees it with probability `power`. The normal
    approximation with the variance of `rate` in both groups; ValueError unless 0 <= rate <= 1 and
    both sizes are above 0. Source: Fleiss, Levin and Paik, Statistical Methods for Rates and
    Proportions, 3rd edition (2003), section 4.2, solved for the difference.
    """
    if not (0 <= rate <= 1 and n1 > 0 and n2 > 0):
        raise ValueError(f"a rate in [0, 1] and sizes above 0 are needed, not {rate}, {n1}, {n2}")
    return (_z(confidence) + float(ndtri(power))) * sqrt(rate * (1 - rate) * (1 / n1 + 1 / n2))


def chance_of_best(successes: Sequence[int], trials: Sequence[int]) -> list[float]:
    """Return for each branch of a test the chance that its rate is the highest of all.

    It is that of the posterior with a uniform prior, where a branch's rate is Beta(s + 1, n - s +
    1): the mean, over CHANCE_POINTS equally likely rates of the branch, of the chance that all
    others are below. Two equal branches have a half each. ValueError unless 0 <= s <= n throughout.
    Source: W. R. Thompson, On the likelihood that one unknown probability exceeds another in view
    of the evidence of two samples, Biometrika 25 (1933) 285-294.
    """
    if not all(0 <= s <= n for s, n in zip(successes, trials, strict=True)):
        raise ValueError(f"successes must lie within trials, not {successes} of {trials}")
    shapes = [(s + 1, n - s + 1) for s, n in zip(successes, trials, strict=True)]
    places = (np.arange(CHANCE_POINTS) + 0.5) / CHANCE_POINTS
    chances = []
    for mine, (a, b) in enumerate(shapes):
        rates = betaincinv(a, b, places)
        below = np.ones(CHANCE_POINTS)
        for other, (c, d) in enumerate(shapes):
            if other != mine:
                below *= betainc(c, d, rates)
        chances.append(float(below.mean()))
    return chances


def quantile_interval(values: Sequence[float], level: float = 0.9) -> tuple[float, float]:
    """Return (lo, hi) of replicates' `values`: the interval that holds `level` of what may come.

    The quantiles stand at p (n + 1) among the sorted values (definition 6 of Hyndman and Fan,
    Sample quantiles in statistical packages, The American Statistician 50 (1996) 361-365), so
    that a further replicate falls inside with probability `level` whatever the distribution.
    Below 19 replicates, for a level of 0.9, this is the whole range, which holds (n - 1) / (n + 1).
    ValueError where there is no value.
    """
    if len(values) == 0:
        raise ValueError("an interval needs at least one value")
    tail = (1 - level) / 2
    rising = sorted(values)
    return _quantile(rising, tail), _quantile(rising, 1 - tail)


def interval_coverage(n: int, level: float = 0.9) -> float:
    """Return the share of further replicates that `quantile_interval` of `n` values holds."""
    return min(level, (n - 1) / (n + 1))


def mean_interval(
    values: Sequence[float], confidence: float = 0.95
) -> tuple[float, float | None, float | None]:
    """Return (mean, lo, hi): what the mean of ever more such `values` lies in, by Student's t.

    Of differences within pairs it is the interval of the paired t test. Where all values are equal
    it is exactly that value; one value alone has no interval, so `lo` and `hi` are None.
    ValueError where there is no value. Source: Student, The probable error of a mean, Biometrika 6
    (1908) 1-25.
    """
    if len(values) == 0:
        raise ValueError("a mean needs at least one value")
    n, first = len(values), float(values[0])
    if n == 1:
        return first, None, None
    if all(value == first for value in values):
        return first, first, first
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stdtrit(n - 1, _confident(confidence))) * deviation / sqrt(n)
    return mean, mean - half, mean + half


def _quantile(rising: Sequence[float], p: float) -> float:
    """The quantile at place p (n + 1) among sorted values, counted from 1; clamped to the range."""
    place = min(max(p * (len(rising) + 1) - 1, 0.0), len(rising) - 1.0)
    below = int(place)
    above = min(below + 1, len(rising) - 1)
    return float(rising[below] + (rising[above] - rising[below]) * (place - below))


def _z(confidence: float) -> float:
    return float(ndtri(_confident(confidence)))


def _confident(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not {confidence}")
    return 0.5 + confidence / 2
