"""Checks the RFM status: codes, the grid, what a schedule sees, against a slow obvious twin."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.audience_build import audience_from_python
from core.rfm import (
    NAMES,
    STATUSES,
    Purchases,
    RfmRules,
    code_by_bounds,
    code_by_fifths,
    purchases_of,
    schedule_ms,
    statuses,
    statuses_over_time,
)
from house import CHECKOUT

DAY_MS = 86_400_000
Bought = list[tuple[int, int, float]]


def rules_of(**fields: Any) -> RfmRules:
    return RfmRules.model_validate(fields)


def purchases(customers: int, bought: Bought) -> Purchases:
    """Purchases as (customer, ms, amount), which need not be in order."""
    rows = sorted(bought, key=lambda row: row[1])
    customer, ms, amount = (
        (list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 3
    )
    return Purchases(
        customers,
        np.array(customer, np.int64),
        np.array(ms, np.int64),
        np.array(amount, np.float64),
    )


def test_the_grid_names_every_cell_once() -> None:
    assert {len(row) for row in STATUSES.values()} == {5}
    assert list(STATUSES) == ["5", "4", "3", "2", "1"]
    assert {"champions", "loyal", "at_risk", "lost", "new"} <= set(NAMES)
    assert len(NAMES) == 11


def test_the_page_has_the_grid() -> None:
    page = (CHECKOUT / "docs/customer-record.md").read_text(encoding="utf-8")
    for recency, row in STATUSES.items():
        assert f"| {recency} | " + " | ".join(f"`{name}`" for name in row) + " |" in page


def test_fifths_give_equal_values_equal_codes() -> None:
    assert code_by_fifths(np.arange(10.0)).tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert code_by_fifths(np.arange(10.0)[::-1]).tolist() == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    assert code_by_fifths(np.array([7.0, 7.0, 7.0, 7.0, 9.0])).tolist() == [1, 1, 1, 1, 5]
    assert code_by_fifths(np.array([3.0])).tolist() == [1]
    assert code_by_fifths(np.zeros(0)).tolist() == []


def test_bounds_are_reached_at_their_own_value() -> None:
    values = np.array([0.0, 1, 2, 3, 5, 8, 100])
    assert code_by_bounds(values, [1, 2, 5, 8]).tolist() == [1, 2, 3, 3, 4, 5, 5]


def test_bounds_of_recency_are_days_at_most() -> None:
    rules = rules_of(recency=[7, 30, 90, 365], frequency=[2, 3, 5, 8], money=[10, 50, 100, 500])
    ages = np.array([0, 7, 7.001, 30, 90, 365, 366])
    last = (-ages * DAY_MS).astype(np.int64)
    ones = np.ones(7, np.int64)
    found = statuses(rules, 0, last, ones, np.zeros(7))
    expected = ["new", "new", "promising", "promising", "about_to_sleep", "hibernating", "lost"]
    assert [NAMES[code] for code in found] == expected
    champion = statuses(rules, 0, last[:1], np.array([9]), np.array([600.0]))
    assert NAMES[champion[0]] == "champions"
    # Frequency 1 and money 4 have the mean 2.5, which counts as 3.
    half = statuses(rules, 0, last[-1:], np.array([1]), np.array([100.0]))
    assert NAMES[half[0]] == "at_risk"


def test_whoever_bought_nothing_has_no_status() -> None:
    found = statuses_over_time(RfmRules(), purchases(3, [(1, 10, 5.0)]), np.array([9, 10, 11]))
    assert found.customer.tolist() == [1]
    assert found.ms.tolist() == [10]
    assert found.now.tolist() == [-1, NAMES.index("lost"), -1]
    log = found.change_log(3)
    assert log.offsets.tolist() == [0, 0, 1, 1]
    assert found.column().value(0) is None
    assert found.column().value(1) == "lost"


def test_a_window_that_ends_takes_the_status_away() -> None:
    rules = rules_of(window="10 days", recency=[1, 2, 3, 4])
    bought = purchases(1, [(0, 5 * DAY_MS, 1.0)])
    at = np.array([4, 5, 14, 15], np.int64) * DAY_MS
    found = statuses_over_time(rules, bought, at)
    assert [(int(ms) // DAY_MS, int(s)) for ms, s in zip(found.ms, found.status, strict=True)] == [
        (5, NAMES.index("new")),
        (14, NAMES.index("lost")),
        (15, -1),
    ]


def test_schedules_are_mondays_unless_stated() -> None:
    monday = 4 * DAY_MS
    found = schedule_ms(RfmRules(), monday - 1, monday + 7 * DAY_MS)
    assert found.tolist() == [monday, monday + 7 * DAY_MS]
    assert schedule_ms(RfmRules(), monday, monday + 7 * DAY_MS).tolist() == [monday + 7 * DAY_MS]
    assert schedule_ms(RfmRules(), monday, monday + 1).tolist() == []
    assert schedule_ms(rules_of(every="1 day"), 0, 2 * DAY_MS).tolist() == [DAY_MS, 2 * DAY_MS]
    with pytest.raises(ValueError, match="at most 10,000"):
        schedule_ms(rules_of(every="1 day"), 0, 10_001 * DAY_MS)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"every": "36 hours"}, "whole days"),
        ({"money": [1, 2, 2, 3]}, "'money' must rise"),
        ({"recency": [1, 2, 3]}, "at least 4"),
        ({"window": "1 month"}, "months have no fixed length"),
        ({"bounds": []}, "not permitted"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        rules_of(**fields)


def test_purchases_come_from_the_audience_in_order_of_time() -> None:
    audience = audience_from_python(
        [{"id": "a"}, {"id": "b"}],
        [
            {"customer": "a", "time": 30, "event": "purchase", "properties": {"amount": 2}},
            {"customer": "b", "time": 10, "event": "purchase", "properties": {}},
            {"customer": "a", "time": 10, "event": "purchase", "properties": {"amount": 5}},
            {"customer": "a", "time": 20, "event": "visit", "properties": {"amount": 9}},
        ],
    )
    found = purchases_of(audience, "purchase", "amount")
    assert found.customer.tolist() == [0, 1, 0]
    assert found.ms.tolist() == [10, 10, 30]
    assert found.amount.tolist() == [5.0, 0.0, 2.0]
    assert len(purchases_of(audience, "sale", "amount").ms) == 0
    assert purchases_of(audience, "purchase", "price").amount.tolist() == [0.0] * 3


# -- the slow, obvious twin


def twin(
    rules: RfmRules, customers: int, bought: Bought, times: list[int]
) -> list[list[str | None]]:
    """The statuses of all customers at each time, customer by customer in plain Python."""
    window = None if rules.window is None else rules.window.days * DAY_MS
    table = []
    for t in times:
        mine: list[list[tuple[int, float]]] = [[] for _ in range(customers)]
        for customer, ms, amount in sorted(bought, key=lambda row: row[1]):
            if ms <= t and (window is None or ms > t - window):
                mine[customer].append((ms, amount))
        buyers = [c for c in range(customers) if mine[c]]
        last = {c: max(ms for ms, _ in mine[c]) for c in buyers}
        often = {c: len(mine[c]) for c in buyers}
        spent = dict.fromkeys(buyers, 0.0)
        for c in buyers:
            for _, amount in mine[c]:
                spent[c] += amount

        def fifth(value: float, values: list[float]) -> int:
            return 1 + 5 * sum(other < value for other in values) // len(values)

        def reached(value: float, bounds: list[Any]) -> int:
            return 1 + sum(value >= bound for bound in bounds)

        row: list[str | None] = [None] * customers
        for c in buyers:
            if rules.recency is None:
                r = fifth(last[c], list(last.values()))
            else:
                r = 1 + sum((t - last[c]) / DAY_MS <= bound for bound in rules.recency)
            if rules.frequency is None:
                f = fifth(often[c], [float(v) for v in often.values()])
            else:
                f = reached(often[c], rules.frequency)
            if rules.money is None:
                m = fifth(spent[c], list(spent.values()))
            else:
                m = reached(spent[c], rules.money)
            row[c] = STATUSES[str(r)][(f + m + 1) // 2 - 1]
        table.append(row)
    return table


BOUGHT = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.integers(0, 40).map(lambda d: d * DAY_MS // 2),
        st.sampled_from([0.0, 0.1, 0.2, 0.3, 5.0, 12.5, -3.0]),
    ),
    max_size=30,
)
RISING = st.sets(st.integers(0, 30), min_size=4, max_size=4).map(sorted)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "window": st.integers(1, 15).map(lambda d: f"{d} days"),
        "recency": RISING,
        "frequency": RISING,
        "money": RISING,
    },
)


@given(BOUGHT, RULES, st.sets(st.integers(0, 45), max_size=6))
def test_it_agrees_with_the_twin(bought: Bought, fields: dict[str, Any], days: set[int]) -> None:
    rules = rules_of(**fields)
    times = [day * DAY_MS // 2 for day in sorted(days)]
    expected = twin(rules, 7, bought, times)
    found = statuses_over_time(rules, purchases(7, bought), np.array(times, np.int64))
    log = found.change_log(7)
    held: list[str | None] = [None] * 7
    for at, row in zip(times, expected, strict=True):
        for c in range(7):
            mine = slice(int(log.offsets[c]), int(log.offsets[c + 1]))
            before = [s for ms, s in zip(log.ms[mine], log.value[mine], strict=True) if ms <= at]
            held[c] = NAMES[before[-1]] if before and before[-1] >= 0 else None
        assert held == row
    assert [None if s < 0 else NAMES[s] for s in found.now] == (expected[-1] if times else held)


@given(BOUGHT, st.integers(0, 20), BOUGHT)
def test_what_comes_later_changes_nothing_before(early: Bought, day: int, late: Bought) -> None:
    at = day * DAY_MS
    after = [(c, at + 1 + ms, amount) for c, ms, amount in late]
    before = [row for row in early if row[1] <= at]
    times = np.array([at // 2, at], np.int64)
    one = statuses_over_time(RfmRules(), purchases(7, before), times)
    other = statuses_over_time(RfmRules(), purchases(7, before + after), times)
    assert one.now.tolist() == other.now.tolist()
    assert one.ms.tolist() == other.ms.tolist()
