"""Convert dates to days since 1970-01-01 and back, in whole numbers, for every year.

The calendar is the proleptic Gregorian one. Source of the two conversions: Howard Hinnant,
"chrono-Compatible Low-Level Date Algorithms" (days_from_civil, civil_from_days). The compiled twin
is ext/civil.pxd.
"""

from __future__ import annotations

_ERA_DAYS = 146_097  # 400 years
_EPOCH_DAYS = 719_468  # from 0000-03-01 to 1970-01-01
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def days_from_civil(year: int, month: int, day: int) -> int:
    """Return days since 1970-01-01 of a date; month in 1..12, day in 1..31."""
    year -= month <= 2  # years begin in March, so that a leap day is the last day of its year
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * _ERA_DAYS + day_of_era - _EPOCH_DAYS


def civil_from_days(days: int) -> tuple[int, int, int]:
    """Return (year, month, day) of days since 1970-01-01."""
    era, day_of_era = divmod(days + _EPOCH_DAYS, _ERA_DAYS)
    leaps = day_of_era // 1_460 - day_of_era // 36_524 + day_of_era // 146_096
    year_of_era = (day_of_era - leaps) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = (month_from_march + 2) % 12 + 1
    return era * 400 + year_of_era + (month <= 2), month, day


def month_days(year: int, month: int) -> int:
    """Return the number of days of a month, 28 to 31."""
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _MONTH_DAYS[month - 1] + leap


def add_months(days: int, months: int) -> int:
    """Return the day `months` later; a day the month lacks becomes its last (31 Jan -> 28 Feb)."""
    year, month, day = civil_from_days(days)
    year, month0 = divmod(year * 12 + month - 1 + months, 12)
    return days_from_civil(year, month0 + 1, min(day, month_days(year, month0 + 1)))


def weekday(days: int) -> int:
    """Return the weekday of days since 1970-01-01, 0 for Monday to 6 for Sunday."""
    return (days + 3) % 7
