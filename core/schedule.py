"""List the instants of a fixed schedule: once, or every n-th day, week or month at a local time.

A schedule lives on the wall clock, so each occurrence is found as a local date and only then
becomes an instant, by the rules of core/zones.py for gaps and folds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.calendar_days import civil_from_days, days_from_civil, month_days, weekday
from core.duration import DAY_MS
from core.zones import ZoneTable, local_to_utc, utc_to_local

Repeat = Literal["once", "daily", "weekly", "monthly"]

_EVERY_DAY = 0b1111111


def occurrences(
    kind: Repeat,
    *,
    table: ZoneTable,
    at_ms: int,
    date: int | None = None,
    weekdays: int = 0,
    month_days: tuple[int, ...] = (),
    every: int = 1,
    anchor_day: int = 0,
    from_ms: int,
    until_ms: int,
) -> NDArray[np.int64]:
    """Return int64[n]: the UTC instants of a schedule in [from_ms, until_ms), ascending and unique.

    `at_ms` is the local time of day in [0, 86,400,000). `once` reads `date`, `weekly` the mask
    `weekdays` (bit 0 is Monday) and `monthly` the `month_days` (1 to 31; one that a month lacks is
    its last day); each ignores the others. Dates are days since 1970-01-01. Only days, weeks (from
    Monday) or months that lie a multiple of `every` from that of `anchor_day` count, before it as
    after it: the anchor sets the phase, `from_ms` the beginning. Raises ValueError for a value out
    of range or one that the kind lacks.
    """
    if not 0 <= at_ms < DAY_MS:
        raise ValueError(f"at_ms must lie in [0, {DAY_MS}), not {at_ms}")
    if every < 1:
        raise ValueError(f"every must be 1 or more, not {every}")
    if until_ms <= from_ms:
        return np.zeros(0, np.int64)
    # A gap can shift an occurrence by a whole day (a zone that crosses the date line skips one),
    # so one day more is looked at on either side.
    first = utc_to_local(table, from_ms) // DAY_MS - 1
    last = utc_to_local(table, until_ms) // DAY_MS + 1
    if kind == "once":
        if date is None:
            raise ValueError("a schedule of kind 'once' needs a date")
        days = iter((date,))
    elif kind == "daily":
        days = iter(range(first + (anchor_day - first) % every, last + 1, every))
    elif kind == "weekly":
        if not 0 < weekdays <= _EVERY_DAY:
            raise ValueError(f"weekdays must be a mask in [1, {_EVERY_DAY}], not {weekdays}")
        days = _weekly(weekdays, every, anchor_day, first, last)
    else:
        if not month_days or not all(1 <= day <= 31 for day in month_days):
            raise ValueError(f"month_days must be days in [1, 31], not {month_days}")
        days = _monthly(month_days, every, anchor_day, first, last)
    instants = (local_to_utc(table, day * DAY_MS + at_ms) for day in days)
    kept = {instant for instant in instants if from_ms <= instant < until_ms}
    return np.array(sorted(kept), np.int64)


def _weekly(weekdays: int, every: int, anchor_day: int, first: int, last: int) -> Iterator[int]:
    monday = first - weekday(first)
    anchor_monday = anchor_day - weekday(anchor_day)
    monday += 7 * ((anchor_monday - monday) // 7 % every)
    for start in range(monday, last + 1, 7 * every):
        for day in range(7):
            if weekdays >> day & 1:
                yield start + day


def _monthly(
    days: tuple[int, ...], every: int, anchor_day: int, first: int, last: int
) -> Iterator[int]:
    month = _month_number(first)
    month += (_month_number(anchor_day) - month) % every
    for number in range(month, _month_number(last) + 1, every):
        year, month0 = divmod(number, 12)
        day_max = month_days(year, month0 + 1)
        for day in days:
            yield days_from_civil(year, month0 + 1, min(day, day_max))


def _month_number(days: int) -> int:
    year, month, _ = civil_from_days(days)
    return year * 12 + month - 1
