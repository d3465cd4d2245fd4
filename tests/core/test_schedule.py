"""Check the occurrences of schedules against dateutil's rrule and where clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pytest
from dateutil import rrule
from hypothesis import given
from hypothesis import strategies as st

from core.schedule import occurrences
from core.zones import local_to_utc, transitions

EPOCH = datetime(1970, 1, 1)
EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Kiritimati"]


def _utc(text: str) -> int:
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is not None
    return (moment - EPOCH_UTC) // MS


def _day(text: str) -> int:
    return (date.fromisoformat(text) - EPOCH.date()).days


def _times(kind: Any, zone: str, start: str, end: str, **schedule: Any) -> list[str]:
    """The occurrences as UTC texts to the minute."""
    found = occurrences(
        kind, table=transitions(zone), from_ms=_utc(start), until_ms=_utc(end), **schedule
    )
    assert found.dtype == np.int64
    return [(EPOCH + ms * MS).isoformat(timespec="minutes") for ms in found.tolist()]


def test_once() -> None:
    schedule = {"at_ms": 9 * HOUR_MS, "date": _day("2026-07-01")}
    berlin = ("once", "Europe/Berlin")
    expected = ["2026-07-01T07:00"]
    assert _times(*berlin, "2026-01-01T00:00Z", "2027-01-01T00:00Z", **schedule) == expected
    assert _times(*berlin, "2026-07-01T07:00Z", "2026-07-01T07:01Z", **schedule) == expected
    assert _times(*berlin, "2026-06-01T00:00Z", "2026-07-01T07:00Z", **schedule) == []
    assert _times(*berlin, "2026-07-01T07:01Z", "2026-08-01T00:00Z", **schedule) == []


def test_daily_keeps_the_local_time_where_clocks_change() -> None:
    assert _times(
        "daily", "Europe/Berlin", "2026-03-28T00:00Z", "2026-03-31T00:00Z",
        at_ms=2 * HOUR_MS + HOUR_MS // 2,
    ) == ["2026-03-28T01:30", "2026-03-29T01:30", "2026-03-30T00:30"]  # fmt: skip
    assert _times(
        "daily", "Europe/Berlin", "2026-10-24T00:00Z", "2026-10-27T00:00Z",
        at_ms=2 * HOUR_MS + HOUR_MS // 2,
    ) == ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"]  # fmt: skip


def test_a_skipped_day_does_not_occur_twice() -> None:
    """Apia went from 29 to 31 December 2011: the 30th falls on the instant of the 31st."""
    assert _times(
        "daily", "Pacific/Apia", "2011-12-29T00:00Z", "2012-01-01T00:00Z", at_ms=12 * HOUR_MS
    ) == ["2011-12-29T22:00", "2011-12-30T22:00", "2011-12-31T22:00"]


def test_every_third_day_keeps_its_phase_on_both_sides_of_the_anchor() -> None:
    assert _times(
        "daily", "UTC", "2026-01-01T00:00Z", "2026-01-13T00:00Z",
        at_ms=0, every=3, anchor_day=_day("2026-01-07"),
    ) == [
        "2026-01-01T00:00", "2026-01-04T00:00", "2026-01-07T00:00", "2026-01-10T00:00",
    ]  # fmt: skip


def test_every_second_week_counts_weeks_from_monday() -> None:
    """2026-01-07 is a Wednesday; its week's Monday is the 5th, its Sunday the 11th."""
    assert _times(
        "weekly", "UTC", "2026-01-01T00:00Z", "2026-01-27T00:00Z",
        at_ms=HOUR_MS, weekdays=0b1000001, every=2, anchor_day=_day("2026-01-07"),
    ) == [
        "2026-01-05T01:00", "2026-01-11T01:00", "2026-01-19T01:00", "2026-01-25T01:00",
    ]  # fmt: skip


def test_monthly_clamps_to_the_last_day_and_counts_it_once() -> None:
    assert _times(
        "monthly", "UTC", "2027-12-31T00:00Z", "2028-05-01T00:00Z", at_ms=0, month_days=(31, 30, 1)
    ) == [
        "2027-12-31T00:00",
        "2028-01-01T00:00", "2028-01-30T00:00", "2028-01-31T00:00",
        "2028-02-01T00:00", "2028-02-29T00:00",
        "2028-03-01T00:00", "2028-03-30T00:00", "2028-03-31T00:00",
        "2028-04-01T00:00", "2028-04-30T00:00",
    ]  # fmt: skip


def test_every_fifth_month_across_years() -> None:
    assert _times(
        "monthly", "UTC", "2025-01-01T00:00Z", "2027-01-01T00:00Z",
        at_ms=0, month_days=(15,), every=5, anchor_day=_day("2026-02-28"),
    ) == ["2025-04-15T00:00", "2025-09-15T00:00", "2026-02-15T00:00", "2026-07-15T00:00",
          "2026-12-15T00:00"]  # fmt: skip


@given(
    zone=st.sampled_from(ZONES),
    kind=st.sampled_from(["daily", "weekly", "monthly"]),
    at_ms=st.integers(0, DAY_MS // 60_000 - 1).map(lambda minute: minute * 60_000),
    every=st.integers(1, 15),
    weekdays=st.integers(1, 127),
    month_days=st.lists(st.integers(1, 28), min_size=1, max_size=4),
    anchor=st.dates(date(1999, 1, 1), date(2040, 1, 1)),
    skip_ms=st.integers(0, 400 * DAY_MS),
    span_ms=st.integers(0, 900 * DAY_MS),
)
def test_rrule_agrees_from_the_anchor_on(
    zone: str, kind: Any, at_ms: int, every: int, weekdays: int, month_days: list[int],
    anchor: date, skip_ms: int, span_ms: int,
) -> None:  # fmt: skip
    table = transitions(zone)
    start = datetime.combine(anchor, datetime.min.time())
    by: dict[str, Any] = {
        "daily": {},
        "weekly": {"byweekday": [day for day in range(7) if weekdays >> day & 1]},
        "monthly": {"bymonthday": month_days},
    }[kind]
    frequency = {"daily": rrule.DAILY, "weekly": rrule.WEEKLY, "monthly": rrule.MONTHLY}[kind]
    from_ms = (start - EPOCH) // MS + 32 * DAY_MS + skip_ms
    until_ms = from_ms + span_ms
    dates = rrule.rrule(
        frequency, dtstart=start, interval=every, until=EPOCH + (until_ms + 2 * DAY_MS) * MS, **by
    )
    instants = [local_to_utc(table, (day - EPOCH) // MS + at_ms) for day in dates]
    expected = sorted({ms for ms in instants if from_ms <= ms < until_ms})
    found = occurrences(
        kind, table=table, at_ms=at_ms, weekdays=weekdays, month_days=tuple(month_days),
        every=every, anchor_day=(start - EPOCH).days, from_ms=from_ms, until_ms=until_ms,
    )  # fmt: skip
    assert found.tolist() == expected


def test_spans_that_meet_hold_each_occurrence_once() -> None:
    table = transitions("America/New_York")
    edges = [_utc("2026-01-01T00:00Z") + n * 7_777_777_777 for n in range(5)]
    schedule: dict[str, Any] = {"table": table, "at_ms": 9 * HOUR_MS, "weekdays": 0b0100101}
    parts = [
        occurrences("weekly", from_ms=start, until_ms=end, **schedule).tolist()
        for start, end in pairwise(edges)
    ]
    whole = occurrences("weekly", from_ms=edges[0], until_ms=edges[-1], **schedule)
    assert list(chain(*parts)) == whole.tolist()
    assert len(whole) == 154


def test_an_empty_span_holds_nothing() -> None:
    table = transitions("UTC")
    for until_ms in (0, -DAY_MS):
        assert len(occurrences("daily", table=table, at_ms=0, from_ms=0, until_ms=until_ms)) == 0


@pytest.mark.parametrize(
    ("kind", "schedule", "reason"),
    [
        ("daily", {"at_ms": DAY_MS}, "at_ms must lie in"),
        ("daily", {"at_ms": -1}, "at_ms must lie in"),
        ("daily", {"at_ms": 0, "every": 0}, "every must be 1 or more, not 0"),
        ("once", {"at_ms": 0}, "needs a date"),
        ("weekly", {"at_ms": 0}, "weekdays must be a mask"),
        ("weekly", {"at_ms": 0, "weekdays": 128}, "weekdays must be a mask"),
        ("monthly", {"at_ms": 0}, "month_days must be days"),
        ("monthly", {"at_ms": 0, "month_days": (0,)}, "month_days must be days"),
        ("monthly", {"at_ms": 0, "month_days": (1, 32)}, "month_days must be days"),
    ],
)
def test_values_out_of_range_are_refused(kind: Any, schedule: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        occurrences(kind, table=transitions("UTC"), from_ms=0, until_ms=DAY_MS, **schedule)
