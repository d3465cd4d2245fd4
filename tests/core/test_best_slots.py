"""Checks which hours of the local week are suggested for a wait for a time slot (A123)."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from cases import ms
from core.audience import Audience
from core.audience_build import audience_from_python
from core.best_slots import best_slots


def people(events: list[tuple[str, str]], event: str = "open", **zones: str) -> Audience:
    """Events are (customer, time in UTC); 2026-05-04 is a Monday."""
    rows = [{"customer": who, "time": ms(at), "event": event} for who, at in events]
    ids = dict.fromkeys(who for who, _ in events)
    customers: list[dict[str, Any]] = [{"id": who, "zone": zones.get(who)} for who in ids]
    return audience_from_python(customers, rows)


def told(audience: Audience, **more: Any) -> list[tuple[str, float, int]]:
    return [
        (each.slot.describe(), round(each.share, 6), each.events)
        for each in best_slots(audience, "open", **more)
    ]


def test_A123_the_best_slots_are_those_in_which_most_is_done() -> None:
    audience = people(
        [("a", "05-04 09:30"), ("b", "05-11 10:59"), ("c", "05-05 18:00"), ("d", "05-10 23:59")]
    )
    assert told(audience) == [
        ("Mon 09:00–11:00", 0.5, 2),
        ("Tue 17:00–19:00", 0.25, 1),
        ("Sun 22:00–24:00", 0.25, 1),
    ]
    assert told(audience, count=1) == [("Mon 09:00–11:00", 0.5, 2)]
    assert told(audience, hours=24)[0] == ("Mon 00:00–24:00", 0.5, 2)


def test_A123_hours_are_those_of_each_customers_own_clock() -> None:
    """09:30 in Berlin is 07:30 UTC in summer and 08:30 in winter; in New York 13:30."""
    audience = people(
        [("a", "05-04 07:30"), ("a", "01-05 08:30"), ("b", "05-04 13:30")],
        a="Europe/Berlin", b="America/New_York",
    )  # fmt: skip
    assert told(audience, hours=1) == [("Mon 09:00–10:00", 1.0, 3)]


def test_one_who_does_it_all_day_decides_nothing() -> None:
    often = [("a", f"05-04 20:{minute:02d}") for minute in range(30)]
    audience = people([*often, ("b", "05-05 08:00"), ("c", "05-05 08:10")])
    assert told(audience, hours=1) == [
        ("Tue 08:00–09:00", 0.666667, 2),
        ("Mon 20:00–21:00", 0.333333, 30),
    ]


def test_slots_do_not_overlap_and_none_is_made_up() -> None:
    audience = people([("a", "05-04 09:00"), ("b", "05-04 10:00"), ("c", "05-04 11:00")])
    assert told(audience, count=9) == [
        ("Mon 09:00–11:00", 0.666667, 2),
        ("Mon 11:00–13:00", 0.333333, 1),
    ]
    assert told(people([("a", "05-04 09:00")], event="other")) == []


@pytest.mark.parametrize("hours", [0, 25])
def test_a_slot_has_hours_of_one_day(hours: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 24 hours, not {hours}"):
        best_slots(people([("a", "05-04 09:00")]), "open", hours=hours)
