"""Tell wall-clock time in a zone: tables of offsets, and arithmetic on the local calendar.

Tables come from the tzdata package, never from the machine, so that every machine agrees. A local
time is "local ms": ms since 1970-01-01 00:00 of the wall clock. A local time that a gap skips is
shifted forward by the gap; of one that occurs twice the first is meant (the rule "compatible" of
RFC 5545 section 3.3.5 and of ECMAScript's Temporal). The compiled twin is ext/civil.pyx.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from core.calendar_days import add_months, civil_from_days, days_from_civil, weekday
from core.duration import DAY_MS, Duration
from core.tzif import OFFSET_MAX_S, read_tzif

__all__ = [
    "BEGINNING_MS",
    "NEVER_MS",
    "Slot",
    "ZoneTable",
    "add_duration",
    "civil_from_days",
    "days_from_civil",
    "local_date_ms",
    "local_to_utc",
    "next_slot",
    "table_of",
    "transitions",
    "unknown_zone",
    "utc_to_local",
    "zone_names",
]

BEGINNING_MS = -(2**62)  # the first row of every table: before any time, with room to subtract
NEVER_MS = 2**63 - 1
_OFFSET_MAX_MS = OFFSET_MAX_S * 1000

Slot = tuple[int, int, int]
"""(weekdays, from_ms, until_ms): bit 0 of the mask is Monday; 0 <= from < until <= 86,400,000."""


@dataclass(frozen=True, slots=True, eq=False)
class ZoneTable:
    """The offsets of a zone: `offset_ms[i]` holds from `utc_ms[i]` until `utc_ms[i + 1]`.

    Both are int64[n], n >= 1, `utc_ms` ascending from BEGINNING_MS. Local time is UTC plus offset.
    The tables of `transitions` are right from 1900 to 2150; the last offset holds ever after.
    """

    utc_ms: NDArray[np.int64]
    offset_ms: NDArray[np.int64]


@cache
def zone_names() -> frozenset[str]:
    """Return the names of all zones, such as "Europe/Berlin", links among them."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("ascii").split())


@cache
def transitions(zone: str) -> ZoneTable:
    """Return the read-only table of a zone; ValueError with close matches if there is none."""
    if zone not in zone_names():
        raise ValueError(unknown_zone(zone))
    return table_of(resources.files("tzdata").joinpath("zoneinfo", *zone.split("/")).read_bytes())


def table_of(data: bytes) -> ZoneTable:
    """Return the read-only table that a TZif file holds; ValueError if it is none."""
    read = read_tzif(data)
    utc_ms = np.array([BEGINNING_MS] + [second * 1000 for second, _ in read.changes], np.int64)
    offsets = [read.first_offset_s] + [offset for _, offset in read.changes]
    offset_ms = np.array(offsets, np.int64) * 1000
    utc_ms.flags.writeable = offset_ms.flags.writeable = False
    return ZoneTable(utc_ms, offset_ms)


def utc_to_local(table: ZoneTable, utc_ms: int) -> int:
    """Return the local ms of an instant."""
    return utc_ms + int(table.offset_ms[_row(table, utc_ms)])


def local_to_utc(table: ZoneTable, local_ms: int) -> int:
    """Return the instant of a local time; in a gap shifted forward by it, in a fold the first.

    Row i covers the local times from utc_ms[i] + offset_ms[i] up to utc_ms[i + 1] + offset_ms[i].
    The first row that ends after the local time either contains it, or leaves it in the gap before
    the row, where the offset before the gap shifts it forward. Rows that end 26 hours too early
    cannot qualify, whatever their offset, so the search starts behind them.
    """
    utc, offset = table.utc_ms, table.offset_ms
    i = _row(table, local_ms - _OFFSET_MAX_MS)
    while i + 1 < len(utc) and local_ms >= utc[i + 1] + offset[i]:
        i += 1
    in_gap = i > 0 and local_ms < utc[i] + offset[i]
    return local_ms - int(offset[i - 1 if in_gap else i])


def local_date_ms(table: ZoneTable, utc_ms: int) -> int:
    """Return the local ms of the 00:00 that begins an instant's local date."""
    return utc_to_local(table, utc_ms) // DAY_MS * DAY_MS


def add_duration(table: ZoneTable, utc_ms: int, duration: Duration) -> int:
    """Return the instant a duration after another: months, then days, then elapsed ms.

    Months and days move the date of the wall clock and keep its time of day; a day of the month
    that does not exist becomes the month's last. Without months and days no wall clock is read, so
    that elapsed time stays elapsed inside a fold.
    """
    if duration.months or duration.days:
        day, time_ms = divmod(utc_to_local(table, utc_ms), DAY_MS)
        day = add_months(day, duration.months) + duration.days
        utc_ms = local_to_utc(table, day * DAY_MS + time_ms)
    return utc_ms + duration.ms


def next_slot(table: ZoneTable, utc_ms: int, slots: Sequence[Slot]) -> int:
    """Return `utc_ms` if its local time is inside a slot, else the next start of a slot.

    Slots are half-open: [from, until). A start is the instant of local from_ms on a day of the
    mask, so one in a gap comes later by the gap. NEVER_MS if no slot has a weekday.
    """
    today, time_ms = divmod(utc_to_local(table, utc_ms), DAY_MS)
    if any(
        weekdays >> weekday(today) & 1 and from_ms <= time_ms < until_ms
        for weekdays, from_ms, until_ms in slots
    ):
        return utc_ms
    # Yesterday's starts can still lie ahead where a zone skips a day or more of the calendar.
    starts = (
        local_to_utc(table, day * DAY_MS + from_ms)
        for day in range(today - 1, today + 9)
        for weekdays, from_ms, _ in slots
        if weekdays >> weekday(day) & 1
    )
    return min((start for start in starts if start > utc_ms), default=NEVER_MS)


def _row(table: ZoneTable, utc_ms: int) -> int:
    return max(int(table.utc_ms.searchsorted(utc_ms, side="right")) - 1, 0)


def unknown_zone(zone: str) -> str:
    """Return what to say of a name that no zone has, with names that are close to it."""
    by_lower = {name.lower(): name for name in sorted(zone_names())}
    asked = zone[:60].lower().replace(" ", "_")
    close = [by_lower[asked]] if asked in by_lower else []
    close += [name for name in by_lower.values() if name.lower().endswith("/" + asked)]
    close = close or [by_lower[low] for low in difflib.get_close_matches(asked, by_lower, n=3)]
    advice = f"did you mean {' or '.join(close[:3])}?" if close else "write one like Europe/Berlin"
    return f"there is no time zone {zone[:60]!r}: {advice}"
