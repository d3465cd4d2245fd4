"""Checks the numbers that describe customers, and that nothing of the future is in them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.audience import INT64_MIN
from core.audience_build import audience_from_python
from core.behaviour import (
    FEATURES,
    Behaviour,
    behaviour_of,
    bought_after,
    buyers_at,
    features,
    known_at,
)

DAY_MS = 86_400_000
Row = tuple[int, int, bool, float]
ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 800).map(lambda d: d * DAY_MS // 2),
        st.booleans(),
        st.sampled_from([0.0, 1.5, 20.0]),
    ),
    max_size=25,
)
CREATED = (INT64_MIN, 0, 10 * DAY_MS, 300 * DAY_MS)


def behaviour(rows: list[Row]) -> Behaviour:
    held = sorted(rows, key=lambda row: row[1])
    return Behaviour(
        np.array(CREATED, np.int64),
        np.array([r[0] for r in held], np.int64),
        np.array([r[1] for r in held], np.int64),
        np.array([r[2] for r in held], np.bool_),
        np.array([r[3] if r[2] else 0 for r in held], np.float64),
    )


def twin(rows: list[Row], customer: int, at: int) -> list[float]:
    """The features of one customer, each straight from its name."""
    mine = sorted(
        (ms, bought, amount) for c, ms, bought, amount in rows if c == customer and ms <= at
    )
    bought = [(ms, amount) for ms, is_bought, amount in mine if is_bought]
    nan = float("nan")

    def since(ms: float) -> float:
        return (at - ms) / DAY_MS

    def lately(days: int) -> list[float]:
        return [amount for ms, amount in bought if ms > at - days * DAY_MS]

    begun = CREATED[customer]
    known = since(begun) if begun != INT64_MIN else since(mine[0][0]) if mine else nan
    gap = (bought[-1][0] - bought[0][0]) / DAY_MS / (len(bought) - 1) if len(bought) > 1 else nan
    total = sum(amount for _, amount in bought)
    return [
        since(bought[-1][0]) if bought else nan,
        since(bought[0][0]) if bought else nan,
        known,
        len(bought),
        *(len(lately(days)) for days in (30, 90, 365)),
        total,
        *(sum(lately(days)) for days in (30, 90, 365)),
        total / len(bought) if bought else nan,
        gap,
        since(bought[-1][0]) / gap if gap > 0 else nan,
        since(mine[-1][0]) if mine else nan,
        len(mine),
        *(sum(ms > at - days * DAY_MS for ms, *_ in mine) for days in (30, 90, 365)),
    ]


@given(ROWS, st.integers(0, 400))
def test_features_agree_with_their_names(rows: list[Row], day: int) -> None:
    at = day * DAY_MS
    found = features(behaviour(rows), at)
    assert found.shape == (4, len(FEATURES))
    expected = np.array([twin(rows, c, at) for c in range(4)])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@given(ROWS, ROWS, st.integers(0, 400))
def test_what_comes_later_changes_no_feature(early: list[Row], late: list[Row], day: int) -> None:
    at = day * DAY_MS
    rows = [row for row in early if row[1] <= at]
    more = [(c, at + 1 + ms, bought, amount) for c, ms, bought, amount in late]
    one, other = behaviour(rows), behaviour(rows + more)
    np.testing.assert_array_equal(features(one, at), features(other, at))
    np.testing.assert_array_equal(buyers_at(one, at), buyers_at(other, at))


@given(ROWS, st.integers(0, 400), st.integers(1, 200))
def test_an_outcome_is_a_purchase_within_the_span(rows: list[Row], day: int, days: int) -> None:
    at, span = day * DAY_MS, days * DAY_MS
    expected = [
        any(c == n and bought and at < ms <= at + span for c, ms, bought, _ in rows)
        for n in range(4)
    ]
    assert bought_after(behaviour(rows), at, span).tolist() == expected
    before = [any(c == n and bought and ms <= at for c, ms, bought, _ in rows) for n in range(4)]
    assert buyers_at(behaviour(rows), at).tolist() == before


def test_whose_creation_is_unknown_was_always_there() -> None:
    none = behaviour([])
    assert known_at(none, -1).tolist() == [True, False, False, False]
    assert known_at(none, 10 * DAY_MS).tolist() == [True, True, True, False]


def test_an_audience_becomes_rows_in_order_of_time() -> None:
    audience = audience_from_python(
        [{"id": "a", "created_at": 5}, {"id": "b"}],
        [
            {"customer": "a", "time": 9, "event": "purchase", "properties": {"amount": 2}},
            {"customer": "a", "time": 7, "event": "visit", "properties": {"amount": 3}},
            {"customer": "b", "time": 8, "event": "purchase", "properties": {}},
        ],
    )
    found = behaviour_of(audience, "purchase", "amount")
    assert found.customer.tolist() == [0, 1, 0]
    assert found.ms.tolist() == [7, 8, 9]
    assert found.bought.tolist() == [False, True, True]
    assert found.amount.tolist() == [0.0, 0.0, 2.0]
    assert found.created_ms.tolist() == [5, INT64_MIN]
    assert not behaviour_of(audience, "sale", "amount").bought.any()
    assert found.customers == 2
