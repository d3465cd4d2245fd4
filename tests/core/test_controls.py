"""Checks quiet hours as slots of the week, budgets of money, and what fits a message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.controls import (
    WEEK_MS,
    Budget,
    Cap,
    QuietHours,
    loud_hours,
    loud_shortest_ms,
)
from core.nodes import DAY_MS, WEEKDAYS

HOUR_MS = 3_600_000


def quiet(from_: int, until: int, *days: str) -> QuietHours:
    listed = {"days": list(days)} if days else {}
    return QuietHours.model_validate({"from": from_, "until": until, **listed})


def test_a_night_leaves_the_day() -> None:
    slots = loud_hours([quiet(22 * HOUR_MS, 8 * HOUR_MS)])
    assert [(s.days, s.from_, s.until) for s in slots] == [
        ([day], 8 * HOUR_MS, 22 * HOUR_MS) for day in WEEKDAYS
    ]
    assert loud_shortest_ms([quiet(22 * HOUR_MS, 8 * HOUR_MS)]) == 14 * HOUR_MS


def test_a_night_of_sunday_reaches_into_monday() -> None:
    slots = loud_hours([quiet(20 * HOUR_MS, 10 * HOUR_MS, "sun")])
    assert [(s.days[0], s.from_, s.until) for s in slots] == [
        ("mon", 10 * HOUR_MS, DAY_MS),
        *((day, 0, DAY_MS) for day in WEEKDAYS[1:6]),
        ("sun", 0, 20 * HOUR_MS),
    ]


def test_nothing_is_left_of_two_halves() -> None:
    halves = [quiet(0, DAY_MS // 2), quiet(DAY_MS // 2, DAY_MS)]
    assert loud_hours(halves) == []
    assert loud_shortest_ms(halves) == 0


def test_the_time_around_the_weeks_end_is_one() -> None:
    rare = [quiet(12 * HOUR_MS, 13 * HOUR_MS, "wed")]
    assert loud_shortest_ms(rare) == WEEK_MS - HOUR_MS


_HOURS = st.integers(0, 24).map(lambda hour: hour * HOUR_MS)


@given(st.lists(st.tuples(_HOURS, _HOURS, st.sets(st.sampled_from(WEEKDAYS), min_size=1))
                .filter(lambda each: each[0] != each[1]), min_size=1, max_size=3),
       st.integers(0, 7 * 24 - 1))  # fmt: skip
def test_each_hour_of_the_week_is_either_quiet_or_in_one_slot(
    stated: list[tuple[int, int, set[str]]], hour: int
) -> None:
    at = hour * HOUR_MS
    day, clock = divmod(at, DAY_MS)
    silent = False
    for begin, until, days in stated:
        for back in (0, 1):
            if WEEKDAYS[(day - back) % 7] in days:
                length = (until - begin) % DAY_MS or DAY_MS
                silent |= begin <= clock + back * DAY_MS < begin + length
    slots = loud_hours([quiet(a, b, *days) for a, b, days in stated])
    inside = [s for s in slots if s.days == [WEEKDAYS[day]] and s.from_ <= clock < s.until]
    assert len(inside) == (not silent)


@pytest.mark.parametrize(
    ("amount", "cost", "messages"), [(0.3, 0.1, 3), (250, 0.05, 5000), (1, 3, 0), (10, 3, 3)]
)
def test_money_pays_for_whole_messages_and_decimals_are_exact(
    amount: float, cost: float, messages: int
) -> None:
    assert Budget(amount=amount, cost=cost).messages == messages


def test_a_limit_fits_by_channel_but_for_templates() -> None:
    cap = Cap.model_validate(
        {"at_most": 1, "within": "1 day", "channels": "sms", "except": ["receipt"]}
    )
    assert cap.fits("sms", "hello")
    assert not cap.fits("sms", "receipt")
    assert not cap.fits("email", "hello")
