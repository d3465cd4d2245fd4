"""Say how far predicted chances can be trusted: calibration, Brier score, discrimination.

Predictions are calibrated if, of all people for whom 30 % was predicted, 30 % do it. Everything
here compares chances with what then happened, on people whom the model has not learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from core.statistics import wilson

BINS = 10
Z_95 = 1.959963984540054

Float64s = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bin:
    """People with similar predictions: how many, their mean prediction, and what share did it.

    `low` and `high` are the 95 % Wilson interval of the share.
    """

    people: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How good predictions were for so many `people`, of whom `happened` did it.

    `brier` is the mean squared error of the chances with its 95 % interval `brier_low` to
    `brier_high`, `brier_base` that of predicting the same base rate for everybody. `auc` is the
    chance that of two people, of whom one did it, that one had the higher prediction.
    """

    people: int
    happened: int
    brier: float
    brier_low: float
    brier_high: float
    brier_base: float
    auc: float
    bins: Sequence[Bin]

    def to_json(self) -> dict[str, Any]:
        """The fields as a mapping that JSON can carry."""
        return asdict(self)


def assess(predicted: Float64s, happened: Flags, base_rate: float) -> Calibration:
    """Compare chances, float64[n], with what happened, bool[n]; both outcomes must be there.

    `base_rate` is what one would say who knows only how often it happened before. Sources: G. W.
    Brier, Monthly Weather Review 78 (1950) 1-3; its interval takes the mean of n independent errors
    as normal (A. A. Bradley et al., Weather and Forecasting 23 (2008) 992-1006); the AUC is the
    Mann-Whitney statistic (J. A. Hanley, B. J. McNeil, Radiology 143 (1982) 29-36). ValueError
    where only one outcome is there.
    """
    n, hits = len(predicted), int(happened.sum())
    if hits in (0, n):
        raise ValueError(f"it happened to {hits} of {n} people, so nothing can be compared")
    errors = (predicted - happened) ** 2
    brier, half = float(errors.mean()), Z_95 * float(errors.std(ddof=1)) / sqrt(n)
    ranks = rankdata(predicted)
    above = ranks[happened].sum() - hits * (hits + 1) / 2
    return Calibration(
        people=n,
        happened=hits,
        brier=brier,
        brier_low=max(0.0, brier - half),
        brier_high=min(1.0, brier + half),
        brier_base=float(((base_rate - happened) ** 2).mean()),
        auc=float(above / (hits * (n - hits))),
        bins=bins_of(predicted, happened),
    )


def bins_of(predicted: Float64s, happened: Flags) -> list[Bin]:
    """Up to `BINS` bins of about equal size, from the lowest up; equal ones stay together."""
    if not len(predicted):
        return []
    edges = np.unique(np.quantile(predicted, np.arange(1, BINS) / BINS))
    place = np.searchsorted(edges, predicted, side="left")
    found = []
    for number in np.unique(place):
        own = place == number
        people, hits = int(own.sum()), int(happened[own].sum())
        low, high = wilson(hits, people)
        found.append(Bin(people, float(predicted[own].mean()), hits / people, low, high))
    return found
