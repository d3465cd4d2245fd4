"""Check compiled wall-clock time against core/zones.py on random samples over many zones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core import calendar_days, zones
from core.duration import Duration
from ext import civil

ALL_ZONES = sorted(zones.zone_names())
DAY_MS = 86_400_000
FROM_MS = calendar_days.days_from_civil(1900, 1, 1) * DAY_MS
UNTIL_MS = calendar_days.days_from_civil(2200, 1, 1) * DAY_MS
Int64s = NDArray[np.int64]


def _moments(table: zones.ZoneTable, rng: np.random.Generator, count: int) -> Int64s:
    """Half at random, half within a day and a bit of a change."""
    near = rng.choice(table.utc_ms[1:] if len(table.utc_ms) > 1 else np.zeros(1, np.int64), count)
    near += rng.choice([-1, 0, 1, 1_800_000, -1_800_000, 3_600_000, -3_600_000, DAY_MS], count)
    near += rng.integers(-DAY_MS, DAY_MS, count) * rng.integers(0, 2, count)
    return np.where(rng.integers(0, 2, count) == 0, near, rng.integers(FROM_MS, UNTIL_MS, count))


def _samples(zone: str, count: int) -> tuple[zones.ZoneTable, Int64s, np.random.Generator]:
    rng = np.random.default_rng(ALL_ZONES.index(zone))
    table = zones.transitions(zone)
    return table, _moments(table, rng, count), rng


def test_dates_equal_core() -> None:
    days = np.random.default_rng(1).integers(-(10**7), 10**7, 100_000)
    days = np.concatenate([days, np.arange(-1000, 50_000)])
    dates = civil.civil_from_days_many(days)
    assert dates.tolist() == [list(calendar_days.civil_from_days(day)) for day in days.tolist()]
    assert np.array_equal(civil.days_from_civil_many(dates), days)


def test_local_times_equal_core_in_every_zone() -> None:
    for zone in ALL_ZONES:
        table, moments, _ = _samples(zone, 200)
        compiled = civil.utc_to_local_many(table.utc_ms, table.offset_ms, moments)
        assert compiled.tolist() == [zones.utc_to_local(table, ms) for ms in moments.tolist()]
        dates = civil.local_date_many(table.utc_ms, table.offset_ms, moments)
        assert dates.tolist() == [zones.local_date_ms(table, ms) for ms in moments.tolist()]


def test_instants_of_local_times_equal_core_in_every_zone() -> None:
    for zone in ALL_ZONES:
        table, moments, _ = _samples(zone, 200)
        compiled = civil.local_to_utc_many(table.utc_ms, table.offset_ms, moments)
        assert compiled.tolist() == [zones.local_to_utc(table, ms) for ms in moments.tolist()], zone


def test_sums_equal_core_in_every_zone() -> None:
    for zone in ALL_ZONES:
        table, moments, rng = _samples(zone, 200)
        spans = rng.integers(0, (40, 70, 2 * DAY_MS), (200, 3)) * rng.integers(0, 2, (200, 3))
        spans *= rng.choice([-1, 1], (200, 1))
        compiled = civil.add_wall_many(table.utc_ms, table.offset_ms, moments, spans)
        expected = [
            zones.add_duration(table, ms, Duration(*span))
            for ms, span in zip(moments.tolist(), spans.tolist(), strict=True)
        ]
        assert compiled.tolist() == expected, zone


def _slots(rng: np.random.Generator) -> list[zones.Slot]:
    slots: list[zones.Slot] = []
    for _ in range(int(rng.integers(0, 5))):
        from_ms, until_ms = sorted(rng.choice(97, 2, replace=False).tolist())
        slots.append((int(rng.integers(0, 128)), from_ms * 900_000, until_ms * 900_000))
    return slots


def _slot_array(slots: list[zones.Slot]) -> NDArray[Any]:
    rows = [(weekdays, 0, from_ms, until_ms) for weekdays, from_ms, until_ms in slots]
    return np.array(rows, dtype=civil.SLOT_DTYPE)


def test_next_slots_equal_core_in_every_zone() -> None:
    for zone in ALL_ZONES:
        table, moments, rng = _samples(zone, 40)
        slots = _slots(rng)
        compiled = civil.next_slot_many(table.utc_ms, table.offset_ms, moments, _slot_array(slots))
        expected = [zones.next_slot(table, ms, slots) for ms in moments.tolist()]
        assert compiled.tolist() == expected, (zone, slots)


def test_a_table_of_one_row_and_the_ends_of_time() -> None:
    utc, offset = np.array([zones.BEGINNING_MS]), np.array([3_600_000])
    moments = np.array([-(2**62) - 5, -1, 0, 2**62])
    assert civil.utc_to_local_many(utc, offset, moments).tolist() == (moments + 3_600_000).tolist()
    assert civil.local_to_utc_many(utc, offset, moments).tolist() == (moments - 3_600_000).tolist()
    assert civil.local_date_many(utc, offset, np.array([-3_600_001])).tolist() == [-DAY_MS]


def test_without_slots_no_slot_comes() -> None:
    table = zones.transitions("UTC")
    moments = np.array([0])
    for slots in ([], [(0, 0, DAY_MS)]):
        array = _slot_array(slots)
        found = civil.next_slot_many(table.utc_ms, table.offset_ms, moments, array)
        assert found.tolist() == [zones.NEVER_MS]


def test_the_layout_of_a_slot() -> None:
    assert civil.SLOT_DTYPE.itemsize == 24
    assert civil.SLOT_DTYPE.names == ("weekdays", "pad", "from_ms", "until_ms")


def test_shapes_that_do_not_fit_are_refused() -> None:
    one, two, none = np.zeros(1, np.int64), np.zeros(2, np.int64), np.zeros(0, np.int64)
    for utc, offset in ((none, none), (one, two)):
        with pytest.raises(ValueError, match="as many offsets as instants"):
            civil.utc_to_local_many(utc, offset, one)
    with pytest.raises(ValueError, match="1 rows of months, days and ms, not 1 of 2"):
        civil.add_wall_many(one, one, one, np.zeros((1, 2), np.int64))
    with pytest.raises(ValueError, match="not 2 columns"):
        civil.days_from_civil_many(np.zeros((1, 2), np.int64))
