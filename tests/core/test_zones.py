"""Check wall-clock time against Python's zoneinfo, which reads the same rules by other means."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from dateutil.relativedelta import relativedelta

from core import zones
from core.calendar_days import days_from_civil
from core.duration import Duration, parse_duration
from core.zones import (
    NEVER_MS,
    Slot,
    ZoneTable,
    add_duration,
    local_date_ms,
    local_to_utc,
    next_slot,
    transitions,
    utc_to_local,
)

ALL_ZONES = sorted(zones.zone_names())
EPOCH = datetime(1970, 1, 1)
EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
FROM_MS = days_from_civil(1900, 1, 1) * DAY_MS
UNTIL_MS = days_from_civil(2150, 1, 1) * DAY_MS
SOME_ZONES = [
    "America/New_York", "Europe/Berlin", "Africa/Cairo", "Asia/Beirut", "America/Havana",
    "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "Asia/Gaza",
    "Europe/Dublin", "Antarctica/Troll", "America/Scoresbysund", "Pacific/Kwajalein", "UTC",
    "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati", "Asia/Manila", "Africa/Monrovia",
]  # fmt: skip


@cache
def _zoneinfo(zone: str) -> ZoneInfo:
    path = resources.files("tzdata").joinpath("zoneinfo", *zone.split("/"))
    with path.open("rb") as file:
        return ZoneInfo.from_file(file, key=zone)


def _oracle_offset(zone: str, utc_ms: int) -> int:
    moment = (EPOCH_UTC + utc_ms * MS).astimezone(_zoneinfo(zone))
    offset = moment.utcoffset()
    assert offset is not None
    return offset // MS


def _oracle_utc(zone: str, local_ms: int) -> int:
    """With fold=0, zoneinfo reads a gap by the offset before it: the rule "compatible"."""
    local = (EPOCH + local_ms * MS).replace(tzinfo=_zoneinfo(zone), fold=0)
    return (local - EPOCH_UTC) // MS


def _oracle_add(zone: str, utc_ms: int, duration: Duration) -> int:
    if duration.months or duration.days:
        local = EPOCH + (utc_ms + _oracle_offset(zone, utc_ms)) * MS
        local += relativedelta(months=duration.months)
        local += timedelta(days=duration.days)
        utc_ms = _oracle_utc(zone, (local - EPOCH) // MS)
    return utc_ms + duration.ms


def _oracle_slot(zone: str, utc_ms: int, slots: list[Slot]) -> int:
    local = EPOCH + (utc_ms + _oracle_offset(zone, utc_ms)) * MS
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = []
    for weekdays, from_ms, until_ms in slots:
        if weekdays & 1 << local.weekday() and from_ms * MS <= local - midnight < until_ms * MS:
            return utc_ms
        for ahead in range(-1, 9):
            day = midnight + timedelta(days=ahead)
            if weekdays & 1 << day.weekday():
                starts.append(_oracle_utc(zone, (day - EPOCH) // MS + from_ms))
    return min((start for start in starts if start > utc_ms), default=NEVER_MS)


def _utc(text: str) -> int:
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is not None
    return (moment - EPOCH_UTC) // MS


def _local(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // MS


def _near_changes(table: ZoneTable) -> list[int]:
    """UTC instants around every change, those just outside and inside gaps and folds too."""
    jumps = np.diff(table.offset_ms)
    near = [table.utc_ms[1:] + shift for shift in (-1, 0, 1)]
    near += [table.utc_ms[1:] + sign * jumps + shift for sign in (-1, 1) for shift in (-1, 0, 1)]
    moments = np.unique(np.concatenate(near)) if len(jumps) else np.zeros(0, np.int64)
    kept: list[int] = moments[(moments >= FROM_MS) & (moments < UNTIL_MS)].tolist()
    return kept


def test_every_zone_at_random_instants_and_at_every_change() -> None:
    rng = np.random.default_rng(6)
    for zone in ALL_ZONES:
        table = transitions(zone)
        changes = table.utc_ms[(table.utc_ms >= FROM_MS) & (table.utc_ms < UNTIL_MS)].tolist()
        moments = rng.integers(FROM_MS, UNTIL_MS, 100).tolist()
        moments += [change + shift for change in changes for shift in (-1, 0, 1)]
        for utc_ms in moments:
            expected = utc_ms + _oracle_offset(zone, utc_ms)
            assert utc_to_local(table, utc_ms) == expected, (zone, utc_ms)


@pytest.mark.parametrize("zone", SOME_ZONES)
def test_no_change_is_missed_at_a_step_of_five_days(zone: str) -> None:
    table = transitions(zone)
    for utc_ms in range(FROM_MS, UNTIL_MS, 5 * DAY_MS):
        assert utc_to_local(table, utc_ms) - utc_ms == _oracle_offset(zone, utc_ms)


@pytest.mark.parametrize("zone", ALL_ZONES)
def test_tables_are_ascending_minimal_and_read_only(zone: str) -> None:
    table = transitions(zone)
    assert table.utc_ms.dtype == table.offset_ms.dtype == np.int64
    assert table.utc_ms[0] == -(2**62)
    assert (np.diff(table.utc_ms) > 0).all()
    assert (np.diff(table.offset_ms) != 0).all()
    assert transitions(zone) is table
    with pytest.raises(ValueError, match="read-only"):
        table.utc_ms[0] = 0


def test_a_table_takes_less_than_20_ms() -> None:
    for zone in ("Africa/Casablanca", "Europe/London", "Asia/Gaza"):
        spans_ns = []
        for _ in range(5):
            start_ns = time.process_time_ns()
            transitions.__wrapped__(zone)
            spans_ns.append(time.process_time_ns() - start_ns)
        assert min(spans_ns) < 20_000_000


@pytest.mark.parametrize("zone", SOME_ZONES)
def test_local_to_utc_at_random_times_and_around_every_change(zone: str) -> None:
    table = transitions(zone)
    moments = np.random.default_rng(7).integers(FROM_MS, UNTIL_MS, 500).tolist()
    moments += [utc_to_local(table, utc_ms) for utc_ms in _near_changes(table)]
    for local_ms in moments:
        assert local_to_utc(table, local_ms) == _oracle_utc(zone, local_ms), (zone, local_ms)


@pytest.mark.parametrize(
    ("zone", "local", "utc"),
    [
        # Gaps: the wall clock jumps over this time, so it is shifted forward by the gap.
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T03:30-04:00"),
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T03:30+02:00"),
        ("Africa/Cairo", "2026-04-24T00:30", "2026-04-24T01:30+03:00"),
        ("Asia/Beirut", "2026-03-29T00:30", "2026-03-29T01:30+03:00"),
        ("America/Havana", "2026-03-08T00:30", "2026-03-08T01:30-04:00"),
        ("America/Santiago", "2026-09-06T00:30", "2026-09-06T01:30-03:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-04T02:45+11:00"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-31T12:00+14:00"),
        # Folds: the wall clock shows this time twice, and the first is meant.
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T01:30-04:00"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T02:30+02:00"),
        # The edges of both.
        ("Europe/Berlin", "2026-03-29T01:59:59.999", "2026-03-29T01:59:59.999+01:00"),
        ("Europe/Berlin", "2026-03-29T02:00", "2026-03-29T03:00+02:00"),
        ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T03:00+02:00"),
        ("Europe/Berlin", "2026-10-25T01:59:59.999", "2026-10-25T01:59:59.999+02:00"),
        ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T03:00+01:00"),
    ],
)
def test_gaps_and_folds(zone: str, local: str, utc: str) -> None:
    assert local_to_utc(transitions(zone), _local(local)) == _utc(utc)


@pytest.mark.parametrize(
    ("zone", "start", "duration", "end"),
    [
        ("UTC", "2026-01-31T10:00+00:00", "1 month", "2026-02-28T10:00+00:00"),
        ("UTC", "2028-01-31T10:00+00:00", "1 month", "2028-02-29T10:00+00:00"),
        ("UTC", "2024-02-29T10:00+00:00", "1 year", "2025-02-28T10:00+00:00"),
        ("UTC", "2096-02-29T10:00+00:00", "4 years", "2100-02-28T10:00+00:00"),
        ("UTC", "2026-01-30T10:00+00:00", "1 month 1 day", "2026-03-01T10:00+00:00"),
        ("UTC", "2026-03-31T10:00+00:00", "-1 month", "2026-02-28T10:00+00:00"),
        # A day keeps the time of day; 24 hours do not.
        ("Europe/Berlin", "2026-03-28T12:00+01:00", "1 day", "2026-03-29T12:00+02:00"),
        ("Europe/Berlin", "2026-03-28T12:00+01:00", "24 hours", "2026-03-29T13:00+02:00"),
        ("Europe/Berlin", "2026-03-28T02:30+01:00", "1 day", "2026-03-29T03:30+02:00"),
        ("Europe/Berlin", "2026-10-24T02:30+02:00", "1 day", "2026-10-25T02:30+02:00"),
        ("Europe/Berlin", "2026-03-28T02:30+01:00", "1 day 1 hour", "2026-03-29T04:30+02:00"),
        ("Pacific/Apia", "2011-12-29T12:00-10:00", "1 day", "2011-12-31T12:00+14:00"),
        # Elapsed time within a fold leaves the second pass of the clock alone.
        ("Europe/Berlin", "2026-10-25T02:30+01:00", "10 minutes", "2026-10-25T02:40+01:00"),
        ("Europe/Berlin", "2026-10-25T02:30+01:00", "0 days", "2026-10-25T02:30+01:00"),
    ],
)
def test_adding_durations(zone: str, start: str, duration: str, end: str) -> None:
    table = transitions(zone)
    assert add_duration(table, _utc(start), parse_duration(duration)) == _utc(end)


@pytest.mark.parametrize("zone", SOME_ZONES)
def test_adding_random_durations_equals_datetime(zone: str) -> None:
    table = transitions(zone)
    rng = np.random.default_rng(8)
    near = _near_changes(table)
    moments = rng.integers(FROM_MS, UNTIL_MS, 300).tolist() + near[:: max(1, len(near) // 300)]
    for utc_ms in moments:
        sign = int(rng.choice([-1, 1]))
        months, days, ms = (int(sign * rng.integers(0, top)) for top in (30, 3, 3 * HOUR_MS))
        duration = Duration(months * int(rng.integers(2)), days, ms)
        assert add_duration(table, utc_ms, duration) == _oracle_add(zone, utc_ms, duration)


def test_the_local_date_begins_at_midnight_of_the_wall_clock() -> None:
    table = transitions("America/New_York")
    assert local_date_ms(table, _utc("2026-03-09T03:59:59.999+00:00")) == _local("2026-03-08")
    assert local_date_ms(table, _utc("2026-03-09T04:00+00:00")) == _local("2026-03-09")
    assert local_date_ms(table, _utc("1960-01-01T04:00+00:00")) == _local("1959-12-31")


WORKDAYS: Slot = (0b0011111, 9 * HOUR_MS, 17 * HOUR_MS)
NIGHTLY: Slot = (0b1111111, 2 * HOUR_MS + HOUR_MS // 2, 4 * HOUR_MS)


@pytest.mark.parametrize(
    ("zone", "slots", "start", "end"),
    [
        # 2026-03-27 is a Friday. A slot is half-open.
        ("UTC", [WORKDAYS], "2026-03-27T09:00+00:00", "2026-03-27T09:00+00:00"),
        ("UTC", [WORKDAYS], "2026-03-27T16:59:59.999+00:00", "2026-03-27T16:59:59.999+00:00"),
        ("UTC", [WORKDAYS], "2026-03-27T17:00+00:00", "2026-03-30T09:00+00:00"),
        ("UTC", [WORKDAYS], "2026-03-27T08:59:59.999+00:00", "2026-03-27T09:00+00:00"),
        # One slot a week, just missed: the same weekday of the next week.
        ("UTC", [(0b0010000, 0, HOUR_MS)], "2026-03-27T01:00+00:00", "2026-04-03T00:00+00:00"),
        # The sooner of two slots, whatever their order.
        ("UTC", [WORKDAYS, (64, 0, 1)], "2026-03-28T00:00+00:00", "2026-03-29T00:00+00:00"),
        ("UTC", [(64, 0, 1), WORKDAYS], "2026-03-28T00:00+00:00", "2026-03-29T00:00+00:00"),
        # The whole day.
        ("UTC", [(127, 0, DAY_MS)], "2026-03-28T23:59:59+00:00", "2026-03-28T23:59:59+00:00"),
        # The start lies in a gap (comes an hour later) or in a fold (the first of the two).
        ("Europe/Berlin", [NIGHTLY], "2026-03-29T01:59+01:00", "2026-03-29T03:30+02:00"),
        ("Europe/Berlin", [NIGHTLY], "2026-10-25T02:00+02:00", "2026-10-25T02:30+02:00"),
        # A slot whose start the clock passes twice begins at the first pass only.
        ("Europe/Berlin", [NIGHTLY], "2026-10-25T02:00+01:00", "2026-10-26T02:30+01:00"),
        # Apia had no Friday 30 December 2011; its slot begins as the clock next runs.
        ("Pacific/Apia", [(16, 0, HOUR_MS)], "2011-12-29T12:00-10:00", "2011-12-31T00:00+14:00"),
        ("Pacific/Apia", [(16, 21600000, DAY_MS)], "2011-12-31T05:00+14", "2011-12-31T06:00+14"),
    ],
)  # fmt: skip
def test_next_slots(zone: str, slots: list[Slot], start: str, end: str) -> None:
    assert next_slot(transitions(zone), _utc(start), slots) == _utc(end)


@pytest.mark.parametrize("slots", [[], [(0, 0, DAY_MS)]])
def test_without_a_weekday_no_slot_comes(slots: list[Slot]) -> None:
    assert next_slot(transitions("UTC"), 0, slots) == NEVER_MS


@pytest.mark.parametrize("zone", SOME_ZONES)
def test_next_slots_equal_datetime(zone: str) -> None:
    table = transitions(zone)
    rng = np.random.default_rng(9)
    near = _near_changes(table)
    moments = rng.integers(FROM_MS, UNTIL_MS, 100).tolist() + near[:: max(1, len(near) // 200)]
    for utc_ms in moments:
        slots: list[Slot] = []
        for _ in range(int(rng.integers(1, 4))):
            from_ms, until_ms = sorted(rng.choice(49, 2, replace=False).tolist())
            slots.append((int(rng.integers(1, 128)), from_ms * 1_800_000, until_ms * 1_800_000))
        assert next_slot(table, utc_ms, slots) == _oracle_slot(zone, utc_ms, slots)


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("Berlin", "did you mean Europe/Berlin?"),
        ("New York", "did you mean America/New_York?"),
        ("Europe/Brelin", "did you mean Europe/Berlin or "),
        ("", "write one like Europe/Berlin"),
        ("../zones", "write one like Europe/Berlin"),
        ("/etc/localtime", "write one like Europe/Berlin"),
    ],
)
def test_an_unknown_zone_is_refused_with_close_matches(wrong: str, advice: str) -> None:
    with pytest.raises(ValueError, match="there is no time zone") as caught:
        transitions(wrong)
    assert repr(wrong) in str(caught.value)
    assert advice in str(caught.value)


def test_times_beyond_the_table_take_its_last_offset() -> None:
    far_ms = days_from_civil(2300, 7, 1) * DAY_MS
    assert utc_to_local(transitions("Asia/Kolkata"), far_ms) - far_ms == 5 * HOUR_MS + HOUR_MS // 2
    assert utc_to_local(transitions("UTC"), -(2**62) - 5) == -(2**62) - 5
