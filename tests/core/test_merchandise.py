"""Checks which changes of products matter, and whom they concern."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core import merchandise
from core.audience import Audience
from core.audience_build import audience_from_python
from core.merchandise import (
    Change,
    MerchandiseRule,
    MerchandiseRules,
    ProductLog,
    concerned,
    matching,
    steps_of,
)

DAY_MS = 86_400_000
Row = tuple[int, str, str, float | str | None]
VIEWED: dict[str, Any] = {"event": "page_visited"}
WISHED: dict[str, Any] = {"event": "wished", "until": "unwished"}


def log_of(rows: Sequence[Row]) -> ProductLog:
    """A log of (ms, product, attribute, value) rows in order of time."""
    products = sorted({row[1] for row in rows})
    attributes = sorted({row[2] for row in rows})
    texts = sorted({row[3] for row in rows if isinstance(row[3], str)})
    return ProductLog(
        products,
        attributes,
        texts,
        np.array([row[0] for row in rows], np.int64),
        np.array([products.index(row[1]) for row in rows], np.int64),
        np.array([attributes.index(row[2]) for row in rows], np.int64),
        np.array([row[3] if isinstance(row[3], int | float) else np.nan for row in rows], float),
        np.array([texts.index(row[3]) if isinstance(row[3], str) else -1 for row in rows], int),
    )


def prices(*values: float | str | None, attribute: str = "price") -> ProductLog:
    return log_of([(n, "p", attribute, value) for n, value in enumerate(values)])


def fired(change: dict[str, Any], log: ProductLog) -> list[int]:
    """The times of the changes that a rule is about."""
    steps = steps_of(log)
    which = matching(Change.model_validate({"attribute": "price"} | change), log, steps)
    return log.ms[steps.after[which]].tolist()


def audience_of(*events: tuple[str, int, str, str]) -> Audience:
    """An audience of events (customer, ms, event, product)."""
    rows = [
        {"customer": c, "time": ms, "event": event, "properties": {"product": product}}
        for c, ms, event, product in events
    ]
    return audience_from_python([{"id": c} for c in sorted({e[0] for e in events})], rows)


def told(rules: dict[str, Any], log: ProductLog, audience: Audience) -> list[tuple[Any, ...]]:
    """(customer, ms, rule, product) of everybody concerned, in order."""
    made = {name: MerchandiseRule.model_validate(rule) for name, rule in rules.items()}
    found = concerned(made, log, audience)
    return [
        (audience.id_of(c), int(log.ms[a]), list(rules)[r], log.products[log.product[a]])
        for c, r, a in zip(found.customer.tolist(), found.rule, found.after, strict=True)
    ]


def test_a_step_is_from_a_known_value_to_another() -> None:
    steps = steps_of(prices(10, 10, 8, None, 8, 9, "sold", "sold", 9))
    assert steps.after.tolist() == [2, 5, 6, 8]
    assert steps.before.tolist() == [1, 4, 5, 7]
    mixed = log_of(
        [(0, "a", "price", 1), (1, "b", "price", 5), (2, "a", "size", 2), (3, "a", "price", 3)]
    )
    assert (steps_of(mixed).after.tolist(), steps_of(mixed).before.tolist()) == ([3], [0])
    assert steps_of(log_of([])).after.tolist() == []


def test_a_comparison_must_begin_to_hold() -> None:
    log = prices(60, 50, 49, 40, 50, 30)
    assert fired({"below": 50}, log) == [2, 5]
    assert fired({"at_most": 50}, log) == [1]
    assert fired({"at_least": 50}, log) == [4]
    assert fired({"above": 49, "change": "raised"}, log) == [4]
    assert fired({"is": 50}, log) == [1, 4]
    assert fired({"is": 50, "change": "lowered"}, log) == [1]
    # The very first value is no fall.
    assert fired({"below": 50}, prices(40)) == []


def test_a_direction_and_a_share_are_of_the_value_before() -> None:
    log = prices(100, 90, 89, 100, 200, 0, 5)
    assert fired({"change": "lowered"}, log) == [1, 2, 5]
    assert fired({"change": "raised"}, log) == [3, 4, 6]
    assert fired({"by_percent": 10}, log) == [1, 3, 4, 5, 6]
    assert fired({"by_percent": 10, "change": "lowered"}, log) == [1, 5]
    assert fired({"by_percent": 12.5}, log) == [4, 5, 6]
    assert fired({}, log) == [1, 2, 3, 4, 5, 6]


def test_texts_change_too() -> None:
    log = prices("out", "in", "in", "out", attribute="stock")
    assert fired({"attribute": "stock"}, log) == [1, 3]
    assert fired({"attribute": "stock", "is": "in"}, log) == [1]
    assert fired({"attribute": "stock", "is": "gone"}, log) == []
    assert fired({"attribute": "stock", "change": "raised"}, log) == []
    assert fired({"attribute": "colour"}, log) == []


def test_whoever_viewed_the_product_lately_is_concerned() -> None:
    at = 100 * DAY_MS
    log = log_of([(at - 5, "p", "price", 60), (at - 4, "q", "price", 60), (at, "p", "price", 40)])
    audience = audience_of(
        ("early", at - 30 * DAY_MS, "page_visited", "p"),
        ("just", at - 30 * DAY_MS + 1, "page_visited", "p"),
        ("now", at, "page_visited", "p"),
        ("late", at + 1, "page_visited", "p"),
        ("other", at - 1, "page_visited", "q"),
        ("twice", at - 2, "page_visited", "p"),
        ("twice", at - 1, "page_visited", "p"),
        ("buyer", at - 1, "purchase", "p"),
        ("unlisted", at - 1, "page_visited", "r"),
    )
    fall = {"attribute": "price", "below": 50}
    rules = {"fell": {"when": fall, "interested": [VIEWED | {"within": "30 days"}]}}
    assert told(rules, log, audience) == [
        ("just", at, "fell", "p"),
        ("now", at, "fell", "p"),
        ("twice", at, "fell", "p"),
    ]
    rules["fell"]["interested"] = [VIEWED, {"event": "purchase"}]
    assert [row[0] for row in told(rules, log, audience)] == [
        "buyer", "early", "just", "now", "twice"
    ]  # fmt: skip


def test_what_was_taken_from_the_wish_list_is_no_interest() -> None:
    log = log_of([(1, "p", "price", 9), (10, "p", "price", 8), (20, "p", "price", 7)])
    audience = audience_of(
        ("a", 2, "wished", "p"),
        ("b", 2, "wished", "p"),
        ("b", 5, "unwished", "p"),
        ("c", 2, "wished", "p"),
        ("c", 5, "unwished", "p"),
        ("c", 15, "wished", "p"),
        ("d", 5, "unwished", "q"),
        ("d", 2, "wished", "p"),
        ("e", 5, "unwished", "p"),
    )
    rules = {"r": {"when": {"attribute": "price"}, "interested": [WISHED]}}
    assert told(rules, log, audience) == [
        ("a", 10, "r", "p"),
        ("a", 20, "r", "p"),
        ("c", 20, "r", "p"),
        ("d", 10, "r", "p"),
        ("d", 20, "r", "p"),
    ]


def test_whole_numbers_name_products_as_the_log_writes_them() -> None:
    log = log_of([(1, "17", "price", 9), (10, "17", "price", 8)])
    rows = [{"customer": "a", "time": 5, "event": "wished", "properties": {"product": 17}}]
    rules = {"r": {"when": {"attribute": "price"}, "interested": [WISHED]}}
    assert told(rules, log, audience_from_python([], rows)) == [("a", 10, "r", "17")]
    nobody = audience_from_python([{"id": "a"}])
    assert told(rules, log, nobody) == []


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"attribute": "p", "below": 1, "above": 0}, "state one of"),
        ({"attribute": "p", "below": "x"}, "valid"),
        ({"attribute": "p", "is": True}, "valid"),
        ({"attribute": "p", "by_percent": 0}, "greater than 0"),
        ({"attribute": "p", "change": "fell"}, "'lowered'"),
        ({"below": 1}, "required"),
    ],
)
def test_a_change_that_cannot_be_meant_is_refused(when: dict[str, Any], said: str) -> None:
    rules = {"changes": "x.csv", "rules": {"r": {"when": when, "interested": [VIEWED]}}}
    with pytest.raises(ValidationError, match=said):
        MerchandiseRules.model_validate(rules)


PRODUCTS = st.sampled_from("pqr")
LOGS = st.lists(
    st.tuples(st.integers(0, 30), PRODUCTS, st.just("price"), st.integers(0, 4)), max_size=12
).map(lambda rows: sorted(rows, key=lambda row: row[0]))
EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 30),
        st.sampled_from(["wished", "unwished"]),
        PRODUCTS,
    ),
    max_size=15,
)


@given(LOGS, EVENTS, st.sampled_from([None, 5, 12]), st.booleans(), st.integers(1, 50))
def test_it_agrees_with_asking_everybody_at_every_change(
    rows: list[Row],
    events: list[tuple[str, int, str, str]],
    within: int | None,
    ends: bool,
    pairs: int,
) -> None:
    interest: dict[str, Any] = {"event": "wished"}
    if within is not None:
        interest["within"] = f"{within} ms"
    if ends:
        interest["until"] = "unwished"
    expected = []
    held: dict[str, Any] = {}
    for ms, product, _, value in rows:
        before, held[product] = held.get(product), value
        if before is None or not (value < 2 <= before):  # type: ignore[operator]
            continue
        for customer in sorted({e[0] for e in events}):
            mine = sorted((e for e in events if e[0] == customer), key=lambda e: e[1])
            seen = [
                e[2]
                for e in mine
                if e[3] == product and e[1] <= ms and (within is None or e[1] > ms - within)
            ]
            wanted = seen[-1:] == ["wished"] if ends else "wished" in seen
            if wanted:
                expected.append((customer, ms, "r", product))
    rules = {"r": {"when": {"attribute": "price", "below": 2}, "interested": [interest]}}
    found = told(rules, log_of(rows), audience_of(*events))
    assert sorted(found) == sorted(expected)
    assert [row[:2] for row in found] == sorted(row[:2] for row in found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merchandise, "PAIRS", pairs)
        assert told(rules, log_of(rows), audience_of(*events)) == found
