"""Checks the figures by which predictions are judged, against scikit-learn's where it has them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from core.calibration import BINS, assess, bins_of
from core.statistics import wilson

OUTCOMES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]) | st.floats(0, 1), st.booleans()),
    min_size=2,
    max_size=60,
).filter(lambda rows: len({happened for _, happened in rows}) == 2)


@given(OUTCOMES)
def test_the_figures_are_those_of_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    predicted = np.array([p for p, _ in rows])
    happened = np.array([h for _, h in rows])
    found = assess(predicted, happened, 0.5)
    assert found.brier == pytest.approx(brier_score_loss(happened, predicted), abs=1e-12)
    assert found.auc == pytest.approx(roc_auc_score(happened, predicted), abs=1e-12)
    assert found.brier_base == pytest.approx(0.25)
    assert (found.people, found.happened) == (len(rows), int(happened.sum()))
    assert 0 <= found.brier_low <= found.brier <= found.brier_high <= 1


def test_the_interval_of_the_brier_score_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(400):
        chance = rng.random(300)
        found = assess(chance, rng.random(300) < chance, 0.5)
        # Of a calibrated prediction p the error is p (1 - p), whose mean over [0, 1] is 1/6.
        held += found.brier_low <= 1 / 6 <= found.brier_high
    assert 0.92 <= held / 400 <= 0.98


def test_bins_hold_everybody_once_and_keep_equals_together() -> None:
    predicted = np.concatenate([np.full(50, 0.2), np.linspace(0.3, 0.9, 50)])
    happened = np.arange(100) % 2 == 0
    found = bins_of(predicted, happened)
    assert sum(each.people for each in found) == 100
    assert found[0].people == 50
    assert found[0].predicted == pytest.approx(0.2)
    assert found[0].observed == 0.5
    assert (found[0].low, found[0].high) == wilson(25, 50)
    assert len(found) <= BINS
    assert [each.predicted for each in found] == sorted(each.predicted for each in found)
    assert bins_of(np.zeros(0), np.zeros(0, np.bool_)) == []


def test_one_outcome_alone_judges_nothing() -> None:
    with pytest.raises(ValueError, match="happened to 3 of 3"):
        assess(np.array([0.1, 0.2, 0.3]), np.ones(3, np.bool_), 0.5)
