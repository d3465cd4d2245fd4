"""Check how the reference interpreter answers conditions: details D16 to D21 beyond the vectors."""
# ruff: noqa: N802 - D is how details are numbered

from __future__ import annotations

from typing import Any

import pytest

from cases import Case, ask, on, send, sure, wait
from core.errors import HeadraceError

ALWAYS = {"reentry": {"policy": "always"}}
GO = ("05-04 10:00", "go")


def answer(condition: dict[str, Any], case: dict[str, Any] | None = None) -> str:
    """The port of a condition node that an entry of 05-04 10:00 meets."""
    fields: dict[str, Any] = {"events": [GO], **(case or {})}
    log = Case({"t": on("go", "q"), "q": ask(condition)}, **fields).log()
    return log[1].split()[-1]


def test_D16_a_change_can_take_a_value_away() -> None:
    case = {"changes": [("05-01 10:00", "plan", "gold"), ("05-04 10:00", "plan", None)]}
    case |= {"customers": [{"id": "c", "attributes": {"plan": "gold"}}]}
    assert answer({"attribute": "plan", "is_set": True}, case) == "no"


@pytest.mark.parametrize(
    ("attributes", "condition"),
    [
        ({"a": 1}, {"attribute": "a", "is": True}),
        ({"a": True}, {"attribute": "a", "is": 1}),
        ({"a": "1"}, {"attribute": "a", "is": 1}),
        ({"a": 1}, {"attribute": "a", "one_of": ["1"]}),
        ({"a": "x"}, {"attribute": "a", "above": "w"}),
        ({"a": 1}, {"attribute": "a", "contains": "1"}),
        ({"a": "2026-01-01"}, {"attribute": "a", "within_last": "1 day"}),
        ({"a": "x"}, {"attribute": "a", "matches": "("}),
    ],
)
def test_D17_what_cannot_be_compared_is_an_error(
    attributes: dict[str, Any], condition: dict[str, Any]
) -> None:
    with pytest.raises(HeadraceError):
        answer(condition, {"customers": [{"id": "c", "attributes": attributes}]})


def test_D17_a_date_is_compared_with_dates_only() -> None:
    case = {"customers": [{"id": "c", "attributes": {"d": "2026-01-31"}}]}
    case |= {"audience": {"attribute_types": {"d": "date"}}}
    assert answer({"attribute": "d", "before": "2026-02-01"}, case) == "yes"
    # Of a time only the date counts, which lint warns of.
    assert answer({"attribute": "d", "before": "2026-02-01T00:00"}, case) == "yes"
    assert answer({"attribute": "d", "before": "2026-01-31T23:59"}, case) == "no"


def test_D18_between_dates() -> None:
    case = {"customers": [{"id": "c", "attributes": {"d": "2026-01-31"}}]}
    case |= {"audience": {"attribute_types": {"d": "date"}}}
    assert answer({"attribute": "d", "between": ["2026-01-01", "2026-01-31"]}, case) == "yes"
    assert answer({"attribute": "d", "between": ["2026-02-01", "2026-02-28"]}, case) == "no"


def test_D19_windows_are_24_hours_a_day_where_clocks_change() -> None:
    case: dict[str, Any] = {
        "customers": [
            {"id": "c", "zone": "Europe/Berlin", "attributes": {"d": "2026-03-29"}},
        ],
        "audience": {"attribute_types": {"d": "date"}},
        "events": [("03-29 22:59:59.999", "go")],
        "window": ("03-01", "06-01", "06-01"),
    }
    # Midnight of the 29th was 23:00 UTC of the 28th; local midnight of the 30th is 22:00 UTC.
    assert answer({"attribute": "d", "within_last": "1 day"}, case) == "yes"
    assert (
        answer(
            {"attribute": "d", "older_than": "1 day"}, {**case, "events": [("03-29 23:00", "go")]}
        )
        == "yes"
    )


def test_D20_modelled_events_count_as_done() -> None:
    nodes = {
        "t": on("go", "m"),
        "m": send("email", "hi", "w"),
        "w": wait("2 hours", "q"),
        "q": ask({"did": "opened", "where": {"property": "template", "is": "hi"}, "exactly": 1}),
    }
    case = Case(nodes, [GO], responses=[{"outcomes": [sure("opened")]}])
    assert case.log()[-2:] == ["05-04 12:00 q yes", "05-04 12:00 x end"]


def test_D21_entry_of_a_modelled_event() -> None:
    nodes = {
        "t": on("go", "m"),
        "m": send("email", "hi", "x"),
        "o": on("opened", "q", where={"entry": "template", "is": "hi"}),
        "q": ask({"all": [{"entry": "node", "is": "m"}, {"entry": "amount", "is_set": False}]}),
    }
    case = Case(nodes, [GO], settings=ALWAYS, responses=[{"outcomes": [sure("opened")]}])
    assert case.log()[-2:] == ["05-04 11:00 q yes", "05-04 11:00 x end"]
