"""Checks which comparison stands for each operator of PostHog's property filters."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from core.convert.draft import Draft
from core.convert.fields import Fields
from core.convert.notes import ConvertError
from core.convert.posthog_filters import Filters


def asked_by(*properties: dict[str, Any]) -> Any:
    """What is asked of the event and of the person, and what was noted."""
    draft = Draft("PostHog", "j")
    fields = Fields({"properties": list(properties)}, ("f",), draft.notes)
    found = Filters(draft).properties(fields, "properties", "property")
    return found, [(n.pointer, n.what) for n in draft.notes]


@pytest.mark.parametrize(
    ("operator", "value", "made"),
    [
        ("exact", "a", {"is": "a"}),
        ("exact", ["a"], {"is": "a"}),
        ("exact", ["a", "b"], {"one_of": ["a", "b"]}),
        ("in", ["a", "b"], {"one_of": ["a", "b"]}),
        ("is_set", None, {"is_set": True}),
        ("is_not_set", "is_not_set", {"is_set": False}),
        ("gt", "10", {"above": 10}),
        ("gte", 1.5, {"at_least": 1.5}),
        ("lt", "2.5", {"below": 2.5}),
        ("lte", 2, {"at_most": 2}),
        ("between", [1, "3"], {"between": [1, 3]}),
        ("icontains", "a.b", {"matches": r"(?i)a\.b"}),
        ("regex", "^a|b$", {"matches": "^a|b$"}),
        ("is_date_exact", "2026-01-31", {"is": "2026-01-31"}),
        ("is_date_before", "2026-01-31 10:00:00", {"before": "2026-01-31T10:00:00"}),
        ("is_date_after", "2026-01-31", {"after": "2026-01-31"}),
        ("is_date_before", "-7d", {"older_than": "168 hours"}),
    ],
)
def test_N20_operators(operator: str, value: Any, made: dict[str, Any]) -> None:
    row = {"type": "person", "key": "p", "operator": operator, "value": value}
    assert asked_by(row) == (([], [{"attribute": "p", **made}]), [])
    (event, people), _ = asked_by(row | {"type": "event"})
    assert (event, people) == ([{"property": "p", **made}], [])


@pytest.mark.parametrize(
    ("operator", "made"),
    [
        ("is_not", {"is": "a"}),
        ("not_in", {"is": "a"}),
        ("not_icontains", {"matches": "(?i)a"}),
        ("not_regex", {"matches": "a"}),
    ],
)
def test_N20_negations_hold_where_there_is_nothing(operator: str, made: dict[str, Any]) -> None:
    row = {"key": "p", "operator": operator, "value": "a"}
    assert asked_by(row) == (([{"not": {"property": "p", **made}}], []), [])


def test_N20_relative_dates_cohorts_and_what_is_unknown_are_told() -> None:
    recent = {"type": "person", "key": "p", "operator": "is_date_after", "value": "-2w"}
    cohort = {"type": "cohort", "key": "id", "operator": "not_in", "value": 7}
    code = {"type": "hogql", "key": "1 = 1"}
    (event, people), notes = asked_by(recent, cohort, code)
    assert event == []
    assert people == [
        {"attribute": "p", "within_last": "336 hours"},
        {"not": {"group": "cohort 7"}},
        {"group": "PostHog: hogql 1 = 1"},
    ]
    assert notes == [
        ("/f/properties/0/value", "is_date_after -2w"),
        ("/f/properties/1/value", "cohort 7"),
        ("/f/properties/2", "hogql 1 = 1"),
    ]


@pytest.mark.parametrize(
    ("row", "place", "said"),
    [
        ({"operator": "exact", "value": "a"}, "key", "no name"),
        ({"key": "p", "operator": "near", "value": "a"}, "operator", "unknown operator 'near'"),
        ({"key": "p", "operator": "exact"}, "value", "value to compare with is missing"),
        ({"key": "p", "operator": "gt", "value": "x"}, "value", "expected a number, found 'x'"),
        ({"key": "p", "operator": "gt", "value": True}, "value", "found true or false"),
        ({"key": "p", "operator": "between", "value": [1]}, "value", "expected two values"),
        ({"key": "p", "operator": "icontains", "value": ""}, "value", "text to look for"),
        ({"key": "p", "operator": "regex", "value": "a" * 600}, "value", "longer than 512"),
    ],
)
def test_N20_bad_filters_are_errors(row: dict[str, Any], place: str, said: str) -> None:
    with pytest.raises(ConvertError, match=said) as caught:
        asked_by(row)
    assert caught.value.pointer == f"/f/properties/0/{place}"
