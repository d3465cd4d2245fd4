"""Tell local time for the reference interpreter, with `datetime` and `zoneinfo` alone.

The compiled interpreter and `core.zones` count in integers over tables of their own. This module is
kept apart from them, so that each checks the other. The zone files are the same tzdata package.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from core.conditions import Period
from core.duration import Duration
from core.errors import HeadraceError
from core.nodes import WEEKDAYS, OnSchedule, Slot
from core.zones import zone_names

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = date(1970, 1, 1)
MS = timedelta(milliseconds=1)
FAR_MS = 2**61
"""Beyond every horizon: for times outside the years 1 to 9999, which the calendar can't tell."""


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of a name, from the tzdata package. Raises HeadraceError where there is none."""
    if name not in zone_names():
        raise HeadraceError(f"there is no time zone {name!r}", advice="Write one like Asia/Tokyo.")
    source = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with source.open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def local(ms: int, where: ZoneInfo) -> datetime:
    """The wall clock at an instant, as a datetime without a zone."""
    return (EPOCH + ms * MS).astimezone(where).replace(tzinfo=None, fold=0)


def instant(wall: datetime, where: ZoneInfo) -> int:
    """The instant of a wall-clock time, ms: shifted forward in a gap, the first in a fold (D24).

    A datetime with fold 0 does just that: in a gap it counts with the offset before it (PEP 495).
    """
    return (wall.replace(tzinfo=where, fold=0) - EPOCH) // MS


def day_of(days: int) -> date:
    """The date that lies `days` after 1970-01-01."""
    return EPOCH_DAY + timedelta(days=days)


def midnight(day: date, where: ZoneInfo) -> int:
    """The instant at which a local day begins, ms."""
    return instant(datetime.combine(day, time()), where)


def midnight_of(days: int, where: ZoneInfo) -> int:
    """The instant at which the date `days` after 1970-01-01 begins, ms; it may be endlessly far."""
    try:
        return midnight(day_of(days), where)
    except OverflowError:
        return FAR_MS if days > 0 else -FAR_MS


def stated(text: str, where: ZoneInfo) -> int:
    """The instant that a document states: local unless it has an offset; a date is its midnight."""
    moment = datetime.fromisoformat(text)
    return instant(moment, where) if moment.tzinfo is None else (moment - EPOCH) // MS


def later(ms: int, duration: Duration, where: ZoneInfo) -> int:
    """An instant moved by months (clamped), days on the wall clock, then elapsed time (D24)."""
    if duration.months or duration.days:
        ms = instant(_move(local(ms, where), duration), where)
    return ms + duration.ms


def date_due(
    base: date | int, offset: Duration, time_of_day_ms: int | None, where: ZoneInfo
) -> int:
    """When a `wait_date` is due, ms (D26); `base` is a date, or an instant in ms."""
    if isinstance(base, date):
        wall = datetime.combine(base, time())
    elif not (offset.months or offset.days or time_of_day_ms is not None):
        return base + offset.ms
    else:
        wall = local(base, where)
    wall = _move(wall, offset)
    if time_of_day_ms is not None:
        wall = datetime.combine(wall.date(), time()) + time_of_day_ms * MS
    return instant(wall, where) + offset.ms


def in_slots(now_ms: int, slots: list[Slot], where: ZoneInfo) -> bool:
    """Whether an instant is inside one of the slots (D27, D56)."""
    wall = local(now_ms, where)
    today = datetime.combine(wall.date(), time())
    return any(
        WEEKDAYS[today.weekday()] in slot.days and slot.from_ * MS <= wall - today < slot.until * MS
        for slot in slots
    )


def slot_due(now_ms: int, slots: list[Slot], where: ZoneInfo) -> int:
    """When a `wait_slot` lets a token through, ms: now inside a slot, else the next start (D27)."""
    if in_slots(now_ms, slots, where):
        return now_ms
    return min(
        start
        for slot in slots
        for start in _on_days(now_ms, slot, slot.from_, where)
        if start > now_ms
    )


def slot_bounds(now_ms: int, slots: list[Slot], where: ZoneInfo) -> Iterator[int]:
    """The beginnings and the ends of slots around an instant, ms (D56)."""
    for slot in slots:
        for time_of_day_ms in (slot.from_, slot.until):
            yield from _on_days(now_ms, slot, time_of_day_ms, where)


def _on_days(now_ms: int, slot: Slot, time_of_day_ms: int, where: ZoneInfo) -> Iterator[int]:
    """The instants of a time of day on a slot's days, from yesterday on."""
    today = datetime.combine(local(now_ms, where).date(), time())
    for days in range(-1, 9):
        day = today + timedelta(days=days)
        if WEEKDAYS[day.weekday()] in slot.days:
            yield instant(day + time_of_day_ms * MS, where)


def period_begin(now_ms: int, period: Period, where: ZoneInfo) -> int:
    """The instant at which the day, the week or the month of an instant begins, ms (D55)."""
    return midnight(_first_day(local(now_ms, where).date(), period), where)


def period_end(now_ms: int, period: Period, where: ZoneInfo) -> int:
    """The instant at which the next day, week or month after that of an instant begins, ms."""
    days = {"day": 1, "week": 7, "month": 31}[period]
    first = _first_day(local(now_ms, where).date(), period)
    return midnight(_first_day(first + timedelta(days=days), period), where)


def _first_day(day: date, period: Period) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day if period == "day" else day.replace(day=1)


def anniversary(day: date, year: int) -> date:
    """The day in `year` on which a date comes round; 29 February is 28 in other years (D57)."""
    return day.replace(year=year, day=min(day.day, _month_days(year, day.month)))


def schedule_times(
    node: OnSchedule, anchor: date, from_ms: int, until_ms: int, where: ZoneInfo
) -> list[int]:
    """The times of a schedule in [from, until), ms, ascending, each instant once (D33).

    `every` counts days, weeks or months from `anchor`.
    """
    first = local(from_ms, where).date() - timedelta(days=1)
    count = (local(until_ms, where).date() - first).days + 1
    days = [first + timedelta(days=i) for i in range(max(count, 0))]
    monday = anchor - timedelta(days=anchor.weekday())
    if node.repeat == "once":
        days = [date.fromisoformat(node.date or "")]
    elif node.repeat == "daily":
        days = [day for day in days if (day - anchor).days % node.every == 0]
    elif node.repeat == "weekly":
        days = [
            day
            for day in days
            if (day - monday).days // 7 % node.every == 0
            and WEEKDAYS[day.weekday()] in (node.weekdays or ())
        ]
    else:
        days = [
            day
            for day in days
            if ((day.year - anchor.year) * 12 + day.month - anchor.month) % node.every == 0
            and day.day in {min(d, _month_days(day.year, day.month)) for d in node.days or ()}
        ]
    times = {instant(datetime.combine(day, time()) + node.at * MS, where) for day in days}
    return sorted(t for t in times if from_ms <= t < until_ms)


def _month_days(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _move(wall: datetime, duration: Duration) -> datetime:
    years, month = divmod(wall.year * 12 + wall.month - 1 + duration.months, 12)
    day = min(wall.day, _month_days(years, month + 1))
    return wall.replace(year=years, month=month + 1, day=day) + timedelta(days=duration.days)
