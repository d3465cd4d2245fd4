"""Successes of a live version: rates of the matured alone, and against whom each is held."""

from __future__ import annotations

import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from actors.service.successes import Success, successes_of
from core.flow import Flow

NODES = {
    "start": {"type": "on_event", "event": "go", "next": "test"},
    "test": {
        "type": "ab_test",
        "branches": {"a": "20%", "b": "40%", "c": "40%"},
        "target": {"event": "click", "within": "7 days"},
        "next": {"a": "end", "b": "end", "c": "end"},
    },
    "end": {"type": "end"},
}
GOAL = {"event": "click", "within": "1 day"}


def judged(matured: list[int], succeeded: list[int], **settings: object) -> list[Success]:
    flow = Flow.model_validate({"headrace": 1, "flow": "f", "settings": settings, "nodes": NODES})
    assert flow.watches == len(matured)
    found = {
        "watched": [n + 5 for n in matured],
        "succeeded": [s + 1 for s in succeeded],
        "matured": matured,
        "matured_succeeded": succeeded,
    }
    return successes_of(flow, found)


def test_rates_are_of_the_matured_with_intervals() -> None:
    found = judged([100, 80, 0, 300, 50], [10, 20, 0, 60, 2], goal=GOAL, holdout={"share": "20%"})
    assert [(s.node, s.branch) for s in found] == [
        ("test", "a"), ("test", "b"), ("test", "c"), (None, "entered"), (None, "held_out"),
    ]  # fmt: skip
    assert [(s.watched, s.succeeded) for s in found[:2]] == [(105, 11), (85, 21)]
    rate = found[1].rate
    assert rate is not None
    assert rate.value == 0.25
    assert (rate.lo, rate.hi) == pytest.approx(proportion_confint(20, 80, method="wilson"))
    assert found[2].rate is None, "nobody's time is over"
    assert [s.difference is not None for s in found] == [False, True, False, True, False]
    for place, against in ((1, 0), (3, 4)):
        difference = found[place].difference
        assert difference is not None
        one, other = found[place], found[against]
        expected = confint_proportions_2indep(
            one.matured_succeeded, one.matured, other.matured_succeeded, other.matured,
            method="newcomb",
        )  # fmt: skip
        assert (difference.lo, difference.hi) == pytest.approx(expected)
        assert difference.value == pytest.approx(
            one.matured_succeeded / one.matured - other.matured_succeeded / other.matured
        )


def test_a_goal_without_a_holdout_is_compared_with_nothing() -> None:
    *_, goal = judged([10, 10, 10, 30], [1, 2, 3, 6], goal=GOAL)
    assert (goal.branch, goal.matured_succeeded, goal.difference) == ("entered", 6, None)
    assert goal.rate is not None
