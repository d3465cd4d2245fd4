"""Check the conversions of dates against Python's datetime and dateutil."""

from __future__ import annotations

import calendar
from datetime import date, timedelta

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st

from core.calendar_days import (
    add_months,
    civil_from_days,
    days_from_civil,
    month_days,
    weekday,
)

EPOCH = date(1970, 1, 1)


def test_every_day_of_four_centuries_and_the_ends_of_datetime() -> None:
    first, last = date(1899, 12, 1).toordinal(), date(2300, 3, 31).toordinal()
    end = date.max.toordinal()
    ordinals = [*range(1, 800), *range(first, last), *range(end - 800, end)]
    for ordinal in ordinals:
        day = date.fromordinal(ordinal)
        days = ordinal - EPOCH.toordinal()
        assert civil_from_days(days) == (day.year, day.month, day.day)
        assert days_from_civil(day.year, day.month, day.day) == days
        assert weekday(days) == day.weekday()


@given(st.integers(-(10**9), 10**9))
def test_conversions_invert_each_other_far_beyond_datetime(days: int) -> None:
    year, month, day = civil_from_days(days)
    assert 1 <= month <= 12
    assert 1 <= day <= month_days(year, month)
    assert days_from_civil(year, month, day) == days


@pytest.mark.parametrize("year", [1900, 2000, 2023, 2024, 2100, 2400])
def test_lengths_of_months(year: int) -> None:
    for month in range(1, 13):
        assert month_days(year, month) == calendar.monthrange(year, month)[1]


@given(st.dates(date(1500, 1, 1), date(2500, 12, 31)), st.integers(-5_000, 5_000))
def test_adding_months_equals_dateutil(day: date, months: int) -> None:
    expected = day + relativedelta(months=months)
    assert EPOCH + timedelta(add_months((day - EPOCH).days, months)) == expected


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2024, 2, 29), 48, date(2028, 2, 29)),
        (date(2096, 2, 29), 48, date(2100, 2, 28)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
    ],
)
def test_a_day_that_a_month_lacks_becomes_its_last(start: date, months: int, end: date) -> None:
    assert add_months((start - EPOCH).days, months) == (end - EPOCH).days
