"""Predict who will buy no more and who will buy soon, by a model of the tenant's own history.

Any `Scorer` can take the place of `HistoryScorer`, which is the default: gradient-boosted trees of
scikit-learn on the numbers of `core.behaviour`. It splits the history by time and not by people,
because that is how it is used. With the horizon h, at the instant t it learns from what people had
done by t - 3h and did in the h after it, calibrates on t - 2h, and is judged on t - h, which it has
not seen; so nothing after t is read. The judged model is the one that predicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from threadpoolctl import threadpool_limits

from core.audience import Audience
from core.behaviour import (
    Behaviour,
    behaviour_of,
    bought_after,
    buyers_at,
    features,
    known_at,
)
from core.calibration import Calibration, assess
from core.duration import DAY_MS, fixed_ms
from core.enrichment_rules import PredictionRules
from core.errors import HeadraceError

Question = Literal["churn", "purchase"]
Float64s = NDArray[np.float64]
Flags = NDArray[np.bool_]

OUTCOME_MIN = 30  # people of either outcome, below which nothing is learned or judged
ISOTONIC_MIN = 1_000  # people of either outcome, below which isotonic calibration overfits


class Scorer(Protocol):
    """What can give every customer a score; `method` says how its chances were calibrated."""

    method: str

    def fit(self, audience: Audience, as_of_ms: int) -> Calibration:
        """Learn from what was known at an instant; says how good the scores are."""

    def predict(self, audience: Audience, as_of_ms: int) -> Float64s:
        """The score of each customer at an instant, float64[n] in 0 to 1, NaN for no score."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """Customers at one instant: their features float64[k, f] and outcomes bool[k]."""

    features: Float64s
    outcome: Flags


class HistoryScorer:
    """Scores by a model of the history; the same `seed` and history give the same scores.

    `churn` is the chance of buying nothing within the horizon, for everybody who has bought;
    `purchase` that of buying something, for everybody who is there.
    """

    def __init__(self, question: Question, rules: PredictionRules, *, seed: int = 0) -> None:
        self.question: Question = question
        self.rules = rules
        self.seed = seed
        self.method = ""
        self._model: Any = None

    def fit(self, audience: Audience, as_of_ms: int) -> Calibration:
        """Learn, calibrate and judge on what was known at `as_of_ms`.

        Raises HeadraceError where the history is too short for that, or too few people of one kind
        are in it.
        """
        behaviour = behaviour_of(audience, self.rules.event, self.rules.amount)
        span = fixed_ms(self.rules.horizon)
        self._check_history(behaviour, as_of_ms, span)
        learned = self._sample(behaviour, as_of_ms - 3 * span, span)
        calibrated = self._sample(behaviour, as_of_ms - 2 * span, span)
        judged = self._sample(behaviour, as_of_ms - span, span)
        # All randomness of the model is in this seed; early stopping would draw a sample as well.
        trees = HistGradientBoostingClassifier(
            max_iter=100,
            max_leaf_nodes=15,
            min_samples_leaf=40,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=self.seed,
        )
        # The order in which threads add up would show in the last digits; and where others compute
        # too, threads that wait for each other take ten times as long.
        with threadpool_limits(1):
            trees.fit(learned.features, learned.outcome)
        enough = _rarer(calibrated.outcome) >= ISOTONIC_MIN
        self.method = "isotonic" if enough else "sigmoid"
        self._model = CalibratedClassifierCV(FrozenEstimator(trees), method=self.method)
        with threadpool_limits(1):
            self._model.fit(calibrated.features, calibrated.outcome)
        chances = self._chances(judged.features)
        return assess(chances, judged.outcome, float(calibrated.outcome.mean()))

    def predict(self, audience: Audience, as_of_ms: int) -> Float64s:
        """The chance of each customer from `as_of_ms` on, float64[n], NaN for whom none is told."""
        behaviour = behaviour_of(audience, self.rules.event, self.rules.amount)
        found = np.full(behaviour.customers, np.nan)
        who = self._asked(behaviour, as_of_ms)
        if who.any():
            found[who] = self._chances(features(behaviour, as_of_ms)[who])
        return found

    def _chances(self, rows: Float64s) -> Float64s:
        if self._model is None:
            raise RuntimeError("fit comes before predict")
        with threadpool_limits(1):
            chances: Float64s = self._model.predict_proba(rows)[:, 1]
        return np.clip(chances, 0, 1)

    def _asked(self, behaviour: Behaviour, at_ms: int) -> Flags:
        if self.question == "churn":
            return buyers_at(behaviour, at_ms)
        return known_at(behaviour, at_ms)

    def _sample(self, behaviour: Behaviour, at_ms: int, span_ms: int) -> _Sample:
        who = self._asked(behaviour, at_ms)
        outcome = bought_after(behaviour, at_ms, span_ms)[who]
        if self.question == "churn":
            outcome = ~outcome
        if _rarer(outcome) < OUTCOME_MIN:
            raise HeadraceError(
                f"cannot learn {self.question}: within {self.rules.horizon}, "
                f"{int(outcome.sum()):,} of {len(outcome):,} people had the outcome; at least "
                f"{OUTCOME_MIN} must have it, and as many not",
                advice="State another horizon, or more customers",
            )
        return _Sample(features(behaviour, at_ms)[who], outcome)

    def _check_history(self, behaviour: Behaviour, as_of_ms: int, span_ms: int) -> None:
        bought = behaviour.ms[behaviour.bought & (behaviour.ms <= as_of_ms)]
        if not len(bought):
            raise HeadraceError(
                f"cannot learn {self.question}: there is no event {self.rules.event!r}",
                advice="Name the tenant's purchases in the rules file",
            )
        if bought[0] > as_of_ms - 4 * span_ms:
            days = (as_of_ms - int(bought[0])) // DAY_MS
            raise HeadraceError(
                f"cannot learn {self.question}: purchases go back {days:,} days, and four times "
                f"the horizon of {self.rules.horizon} is needed",
                advice="State a shorter horizon in the rules file",
            )


def _rarer(outcome: Flags) -> int:
    """How many people have the rarer of both outcomes."""
    hits = int(outcome.sum())
    return min(hits, len(outcome) - hits)
