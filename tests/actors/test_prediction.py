"""Checks predictions: that they learn, are calibrated, repeat, and know nothing of the future."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from actors.prediction import HistoryScorer, Scorer
from core.audience import Audience
from core.audience_build import audience_from_python, make_column
from core.duration import DAY_MS
from core.enrichment_rules import PredictionRules
from core.errors import HeadraceError

AS_OF_MS = 400 * DAY_MS
RULES = PredictionRules.model_validate({"horizon": "60 days"})


def shop(people: int, *, seed: int = 1, days: int = 500) -> Audience:
    """Customers who buy at random, each at a rate of his own, from the first day on.

    The last tenth never buys. Rates span two orders, so the past tells much about the future.
    """
    rng = np.random.default_rng(seed)
    rate = np.exp(rng.uniform(np.log(1 / 300), np.log(1 / 5), people))
    rate[-(people // 10) :] = 0
    counts = rng.poisson(rate * days)
    owner = np.repeat(np.arange(people), counts)
    ms = (rng.random(len(owner)) * days * DAY_MS).astype(np.int64)
    order = np.lexsort((ms, owner))
    return _with_events(people, owner[order], ms[order], rng.random(len(owner)) * 50)


def _with_events(
    people: int, owner: np.ndarray[Any, Any], ms: np.ndarray[Any, Any], amount: Sequence[float]
) -> Audience:
    empty = audience_from_python([{"id": f"c{n}"} for n in range(people)])
    column = make_column([0.5])
    return replace(
        empty,
        event_names=["purchase"],
        event_offsets=np.searchsorted(owner, np.arange(people + 1)).astype(np.int64),
        event_type=np.zeros(len(owner), np.int32),
        event_ms=ms,
        event_hash=np.arange(len(owner), dtype=np.uint64),
        properties={"amount": replace(column, values=np.asarray(amount, np.float64))},
    )


def rewritten_after(audience: Audience, at_ms: int, seed: int) -> Audience:
    """The same audience with another future: events after an instant dropped, moved and made up."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(audience.customers), np.diff(audience.event_offsets))
    past = audience.event_ms <= at_ms
    more = rng.integers(0, audience.customers, 3_000)
    owner = np.concatenate([owner[past], more])
    ms = np.concatenate([audience.event_ms[past], at_ms + 1 + rng.integers(0, 10**10, 3_000)])
    amount = np.concatenate([audience.properties["amount"].values[past], np.full(3_000, 9e9)])
    order = np.lexsort((ms, owner))
    return _with_events(audience.customers, owner[order], ms[order], amount[order])


@pytest.fixture(scope="module")
def audience() -> Audience:
    return shop(3_000)


@pytest.mark.parametrize("question", ["churn", "purchase"])
def test_it_learns_and_its_chances_are_what_happens(question: Any, audience: Audience) -> None:
    scorer: Scorer = HistoryScorer(question, RULES, seed=1)
    found = scorer.fit(audience, AS_OF_MS)
    assert found.auc > 0.8
    assert found.brier_high < found.brier_base
    assert len(found.bins) >= 5
    for each in found.bins:
        # The model of another time, so a little more than chance is allowed for.
        assert each.low - 0.06 <= each.predicted <= each.high + 0.06, each
    scores = scorer.predict(audience, AS_OF_MS)
    assert scores.dtype == np.float64
    assert scores.shape == (3_000,)
    known = scores[~np.isnan(scores)]
    assert known.min() >= 0
    assert known.max() <= 1
    # Nobody who never bought can buy no more; but they may buy yet.
    assert np.isnan(scores[-300:]).all() == (question == "churn")


def test_the_chances_agree_with_what_happens_next(audience: Audience) -> None:
    scorer = HistoryScorer("purchase", RULES, seed=1)
    scorer.fit(audience, AS_OF_MS)
    chances = scorer.predict(audience, AS_OF_MS)
    owner = np.repeat(np.arange(audience.customers), np.diff(audience.event_offsets))
    next_ = (audience.event_ms > AS_OF_MS) & (audience.event_ms <= AS_OF_MS + 60 * DAY_MS)
    bought = np.bincount(owner[next_], minlength=3_000) > 0
    assert chances.sum() == pytest.approx(bought.sum(), rel=0.08)
    assert bought[chances > 0.8].mean() > 0.75
    assert bought[chances < 0.2].mean() < 0.25


@pytest.mark.parametrize("question", ["churn", "purchase"])
def test_nothing_after_the_instant_leaks_in(question: Any, audience: Audience) -> None:
    one, other = (HistoryScorer(question, RULES, seed=1) for _ in range(2))
    changed = rewritten_after(audience, AS_OF_MS, seed=5)
    assert one.fit(audience, AS_OF_MS) == other.fit(changed, AS_OF_MS)
    np.testing.assert_array_equal(one.predict(audience, AS_OF_MS), other.predict(changed, AS_OF_MS))
    # The test can fail: what is behind the instant does count later.
    later = AS_OF_MS + 30 * DAY_MS
    assert not np.array_equal(
        one.predict(audience, later), one.predict(changed, later), equal_nan=True
    )


def test_the_same_seed_gives_the_same_scores(audience: Audience) -> None:
    found = []
    for _ in range(2):
        scorer = HistoryScorer("churn", RULES, seed=3)
        scorer.fit(audience, AS_OF_MS)
        found.append(scorer.predict(audience, AS_OF_MS))
    np.testing.assert_array_equal(found[0], found[1])


def test_a_small_shop_is_calibrated_by_a_sigmoid_and_a_large_one_by_steps() -> None:
    for people, method in ((1_000, "sigmoid"), (4_000, "isotonic")):
        scorer = HistoryScorer("purchase", RULES)
        scorer.fit(shop(people), AS_OF_MS)
        assert scorer.method == method


def test_what_cannot_be_learned_is_said(audience: Audience) -> None:
    def refused(question: Any, as_of_ms: int, whose: Audience, **fields: Any) -> str:
        rules = PredictionRules.model_validate({"horizon": "60 days"} | fields)
        with pytest.raises(HeadraceError) as error:
            HistoryScorer(question, rules).fit(whose, as_of_ms)
        return str(error.value)

    said = refused("churn", 240 * DAY_MS, audience)
    assert "purchases go back 239 days, and four times the horizon of 60 days is needed" in said
    assert "no event 'sale'" in refused("churn", AS_OF_MS, audience, event="sale")
    said = refused("purchase", AS_OF_MS, shop(40))
    assert "at least 30 must have it, and as many not" in said
    with pytest.raises(RuntimeError, match="fit comes before"):
        HistoryScorer("churn", RULES).predict(audience, AS_OF_MS)
