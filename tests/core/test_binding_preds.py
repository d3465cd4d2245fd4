"""Tests bound predicates through the compiled interpreter: one customer for each value of a column.

Numbers are expected by exact fractions, so that nothing rounds on either side.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.audience import Kind
from core.audience_build import audience_from_python
from core.binding import bind
from core.compiler import compile_flow
from core.errors import HeadraceError
from core.flow import Flow
from core.options import RunOptions
from core.reference import run
from differential import CUTS, run_cut

NOW_MS = 1_774_699_200_000  # 2026-03-28T12:00Z, a day before clocks change in Berlin
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
INT_MAX = 2**63 - 1
COMPARE = {
    "is": operator.eq,
    "is_not": operator.ne,
    "above": operator.gt,
    "at_least": operator.ge,
    "below": operator.lt,
    "at_most": operator.le,
}
INTS = (-INT_MAX, -(2**53) - 1, -2, -1, 0, 1, 2, 3, 2**53, 2**53 + 1, INT_MAX - 1, INT_MAX)
FLOATS = (
    -1.7e308, -9.3e18, -(2.0**63), -(2.0**53), -2.5, -0.0, 0.0, 5e-324, 0.1, 1.0, 2.5, 3.0,
    2.0**53, 2.0**53 + 2, 2.0**63, 9.3e18, 1.7e308,
)  # fmt: skip


def passing(
    kind: Kind, values: Sequence[Any], test: dict[str, Any], zone: str = "UTC"
) -> list[bool]:
    """Whether each value of an attribute of this kind passes the test; both interpreters agree."""
    nodes = {
        "in": {"type": "on_event", "event": "go", "next": "ask"},
        "ask": {"type": "condition", "if": {"attribute": "x", **test}},
        "end": {"type": "end"},
    }
    document = {"headrace": 1, "flow": "f", "settings": {"zone": zone}, "nodes": nodes}
    flow = Flow.model_validate(document)
    names = [f"c{i}" for i in range(len(values))]
    audience = audience_from_python(
        [{"id": n, "attributes": {"x": v}} for n, v in zip(names, values, strict=True)],
        [{"customer": n, "time": NOW_MS, "event": "go"} for n in names],
        attribute_types={"x": kind},
    )
    options = RunOptions(from_ms=NOW_MS, until_ms=NOW_MS + 1, horizon_ms=NOW_MS + 1)
    records, _ = run_cut(bind(compile_flow(flow), audience, options), CUTS[0])
    assert records == run(flow, audience, options).records
    answers = {r.customer: r.port == "yes" for r in records if r.node == "ask"}
    return [answers[name] for name in names]


@pytest.mark.parametrize("name", COMPARE)
@pytest.mark.parametrize("bound", [*INTS, *FLOATS])
def test_numbers_compare_exactly(name: str, bound: float) -> None:
    exact = Fraction(bound)
    values: tuple[Any, ...]
    for kind, values in (("int64", INTS), ("float64", FLOATS)):
        expected = [COMPARE[name](Fraction(value), exact) for value in values]
        assert passing(kind, values, {name: bound}) == expected  # type: ignore[arg-type]


@given(
    st.lists(st.integers(-INT_MAX, INT_MAX), min_size=1, max_size=20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(sorted(COMPARE)),
)
def test_whole_numbers_compare_exactly_with_any_fraction(
    values: list[int], bound: float, name: str
) -> None:
    # Numbers next to the bound are the ones that rounding would move over it.
    near = [int(bound) + step for step in (-1, 0, 1) if abs(bound) < 2**62]
    expected = [COMPARE[name](Fraction(value), Fraction(bound)) for value in values + near]
    assert passing("int64", values + near, {name: bound}) == expected


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    st.integers(-INT_MAX, INT_MAX),
    st.sampled_from(sorted(COMPARE)),
)
def test_fractions_compare_exactly_with_any_whole_number(
    values: list[float], bound: int, name: str
) -> None:
    values = [*values, float(bound)]
    expected = [COMPARE[name](Fraction(value), Fraction(bound)) for value in values]
    assert passing("float64", values, {name: bound}) == expected


@pytest.mark.parametrize(
    ("low", "high"), [(0, 2.5), (-0.0, 0.0), (2**53, 2**53 + 1), (-1e300, 1e300), (0.1, 0.2)]
)
def test_between_includes_both_ends(low: float, high: float) -> None:
    values: tuple[Any, ...]
    for kind, values in (("int64", INTS), ("float64", FLOATS)):
        expected = [Fraction(low) <= Fraction(value) <= Fraction(high) for value in values]
        found = passing(kind, values, {"between": [low, high]})  # type: ignore[arg-type]
        assert found == expected


def test_lists_of_numbers() -> None:
    listed = [2.5, 2**53 + 1, -0.0, 1e300, 3]
    for word, wanted in (("one_of", True), ("none_of", False)):
        assert passing("int64", INTS, {word: listed}) == [
            (value in (0, 2**53 + 1, 3)) is wanted for value in INTS
        ]
        assert passing("float64", FLOATS, {word: listed}) == [
            (value in (2.5, 0.0, 3.0)) is wanted for value in FLOATS
        ]
    assert passing("int64", [1, 2], {"one_of": [0.5]}) == [False, False]
    assert passing("float64", [1.0, 2.0], {"none_of": [2**53 + 1]}) == [True, True]


@pytest.mark.parametrize(
    ("kind", "tests"),
    [
        ("int64", [{"is": 0}, {"is_not": 0}, {"none_of": [1]}, {"below": 5}, {"between": [-9, 9]}]),
        ("float64", [{"is": 0}, {"is_not": 0}, {"above": -1e300}, {"at_most": 1e300}]),
        ("string", [{"is": ""}, {"is_not": "a"}, {"contains": "a"}, {"matches": "^"}]),
        ("bool", [{"is": False}, {"is_not": True}, {"none_of": [True]}]),
        ("date", [{"before": "2099-01-01"}, {"older_than": "1 ms"}, {"is_not": "2026-01-01"}]),
        (
            "datetime",
            [{"after": "1970-01-01"}, {"within_last": "1 ms"}, {"at_least": "1960-01-01"}],
        ),
    ],
)
def test_a_missing_value_passes_nothing_but_is_set(kind: Kind, tests: list[dict[str, Any]]) -> None:
    for test in tests:
        assert passing(kind, [None, None], test) == [False, False], test
    assert passing(kind, [None], {"is_set": False}) == [True]
    assert passing(kind, [None], {"is_set": True}) == [False]


def test_text_is_compared_as_it_stands() -> None:
    texts = ["DE", "de", "", "DEU", "xDE", "ä", "\N{LATIN SMALL LETTER A}\N{COMBINING DIAERESIS}"]
    tests: dict[str, tuple[Any, list[bool]]] = {
        "is": ("DE", [True, False, False, False, False, False, False]),
        "is_not": ("DE", [False, True, True, True, True, True, True]),
        "contains": ("DE", [True, False, False, True, True, False, False]),
        "starts_with": ("DE", [True, False, False, True, False, False, False]),
        "ends_with": ("DE", [True, False, False, False, True, False, False]),
        "matches": ("(?i)^de$|^.$", [True, True, False, False, False, True, False]),
        "one_of": (["", "ä", "no"], [False, False, True, False, False, True, False]),
        "none_of": (["", "ä", "no"], [True, True, False, True, True, False, True]),
    }
    for word, (operand, expected) in tests.items():
        assert passing("string", texts, {word: operand}) == expected, word


def test_truth_is_no_number() -> None:
    assert passing("bool", [True, False], {"is": True}) == [True, False]
    assert passing("bool", [True, False], {"is_not": True}) == [False, True]
    assert passing("bool", [True, False], {"one_of": [False]}) == [False, True]
    for kind, test in (("bool", {"is": 1}), ("int64", {"is": True}), ("string", {"is": 1})):
        with pytest.raises(HeadraceError, match="'x' is of type"):
            passing(kind, [None], test)  # type: ignore[arg-type]


def test_windows_of_a_time_are_half_open() -> None:
    ages = (-HOUR_MS - 1, -HOUR_MS, -1, 0, 1, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1)
    values = [NOW_MS - age for age in ages]
    assert passing("datetime", values, {"within_last": "1 hour"}) == [
        0 <= age < HOUR_MS for age in ages
    ]
    assert passing("datetime", values, {"within_next": "1 hour"}) == [
        -HOUR_MS <= age < 0 for age in ages
    ]
    assert passing("datetime", values, {"older_than": "1 hour"}) == [age >= HOUR_MS for age in ages]


def test_a_date_counts_as_local_midnight() -> None:
    today = NOW_MS // DAY_MS
    days = [today - 1, today, today + 1, today + 2]
    # At 13:00 in Berlin: its days begin 37, 13 and -11 hours ago, then after a day of 23 hours.
    for word, span, expected in (
        ("within_last", "13 hours", [False, False, False, False]),
        ("within_last", "13 hours 1 ms", [False, True, False, False]),
        ("within_next", "11 hours", [False, False, True, False]),
        ("within_next", "34 hours", [False, False, True, True]),
        ("older_than", "37 hours", [True, False, False, False]),
        ("older_than", "37 hours 1 ms", [False, False, False, False]),
    ):
        assert passing("date", days, {word: span}, "Europe/Berlin") == expected, (word, span)


def test_instants_are_stated_in_the_zone_of_the_flow() -> None:
    values = [NOW_MS - 1, NOW_MS, NOW_MS + 1]
    for text in ("2026-03-28T13:00", "2026-03-28T12:00Z", "2026-03-28T06:30-05:30"):
        assert passing("datetime", values, {"is": text}, "Europe/Berlin") == [False, True, False]
        assert passing("datetime", values, {"after": text}, "Europe/Berlin") == [False, False, True]
        bounds = {"between": [text, text]}
        assert passing("datetime", values, bounds, "Europe/Berlin") == [False, True, False]


def test_of_a_time_that_is_compared_with_a_date_its_date_as_written_counts() -> None:
    days = [NOW_MS // DAY_MS - 1, NOW_MS // DAY_MS, NOW_MS // DAY_MS + 1]
    for text in (
        "2026-03-28",
        "2026-03-28T23:59",
        "2026-03-28T23:00-05:30",
        "2026-03-28T00:30+02:00",
    ):
        assert passing("date", days, {"is": text}, "Pacific/Apia") == [False, True, False]
        assert passing("date", days, {"above": text}) == [False, False, True]
        assert passing("date", days, {"one_of": [text]}) == [False, True, False]


def test_what_can_not_be_ordered_is_refused() -> None:
    for kind, test in (
        ("string", {"above": 3}),
        ("bool", {"below": 1}),
        ("int64", {"after": "2026-01-01"}),
    ):
        with pytest.raises(HeadraceError, match="attribute 'x' is of type"):
            passing(kind, [None], test)  # type: ignore[arg-type]
    with pytest.raises(HeadraceError, match="needs text"):
        passing("int64", [None], {"contains": "a"})
