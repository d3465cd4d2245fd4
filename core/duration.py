"""Read and write durations: calendar months, wall-clock days and elapsed milliseconds, kept apart.

They are apart because only the milliseconds have a length of their own: a day lasts 23 to 25 hours
where clocks change, and a month 28 to 31 days. What adding one means is in core/zones.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DAY_MS = 86_400_000
DURATION_YEARS_MAX = 1_000  # far beyond any flow, and its sum with any time stays within int64

_UNITS_MS = (("hour", 3_600_000), ("minute", 60_000), ("second", 1_000), ("ms", 1))
_MONTHS = {"month": 1, "year": 12}
_DAYS = {"day": 1, "week": 7}
_MS = dict(_UNITS_MS)
_WORDS = {
    word: unit
    for unit, words in {
        "year": "year years",
        "month": "month months",
        "week": "week weeks w",
        "day": "day days d",
        "hour": "hour hours hr hrs h",
        "minute": "minute minutes min mins m",
        "second": "second seconds sec secs s",
        "ms": "ms millisecond milliseconds",
    }.items()
    for word in words.split()
}
_EXPECTED = (
    "write whole numbers with units of year, month, week, day, hour, minute, second or ms, "
    "such as '30 minutes', '1 day 2 hours' or '5h 30m'"
)
_WHOLE = re.compile(r"([+-]?)\s*((?:[0-9]+\s*[a-z]+\s*)+)", re.ASCII)
_PART = re.compile(r"([0-9]+)\s*([a-z]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Duration:
    """A span of `months` and `days` on the wall clock, then `ms` of elapsed time.

    All three have the same sign (or are 0), and none exceeds 1,000 years; ValueError otherwise.
    """

    months: int = 0
    days: int = 0
    ms: int = 0

    def __post_init__(self) -> None:
        parts = (self.months, self.days, self.ms)
        if min(parts) < 0 < max(parts):
            raise ValueError("the months, days and ms of a duration must have one sign")
        days_max = DURATION_YEARS_MAX * 366
        limits = (DURATION_YEARS_MAX * 12, days_max, days_max * DAY_MS)
        if any(abs(part) > limit for part, limit in zip(parts, limits, strict=True)):
            raise ValueError(f"a duration is at most {DURATION_YEARS_MAX:,} years long")

    def __str__(self) -> str:
        """Return the canonical text, which `parse_duration` reads back as the same duration."""
        years, months = divmod(abs(self.months), 12)
        counts = [(years, "year"), (months, "month"), (abs(self.days), "day")]
        left = abs(self.ms)
        for unit, unit_ms in _UNITS_MS:
            count, left = divmod(left, unit_ms)
            counts.append((count, unit))
        words = [
            f"{count} {unit}{'' if count == 1 or unit == 'ms' else 's'}"
            for count, unit in counts
            if count
        ]
        sign = "-" if min(self.months, self.days, self.ms) < 0 else ""
        return sign + " ".join(words or ["0 seconds"])


def parse_duration(text: str) -> Duration:
    """Return the duration that `text` names, such as "1 day 2 hours", "-7 days" or "5h 30m".

    Weeks are 7 days and years 12 months; hours and shorter are elapsed time. A leading sign holds
    for the whole. Case, plurals and spaces do not matter, but each unit comes once. Raises
    ValueError, which says what is expected.
    """
    whole = _WHOLE.fullmatch(text.strip().lower())
    if whole is None:
        raise ValueError(f"{_quoted(text)} is not a duration: {_EXPECTED}")
    sign = -1 if whole[1] == "-" else 1
    months = days = ms = 0
    named: set[str] = set()
    for digits, word in _PART.findall(whole[2]):
        unit = _WORDS.get(word)
        if unit is None:
            raise ValueError(f"{_quoted(text)} has the unknown unit '{word}': {_EXPECTED}")
        if unit in named:
            raise ValueError(f"{_quoted(text)} names the unit '{unit}' twice; write their sum once")
        named.add(unit)
        if len(digits) > 18:
            raise ValueError(f"a duration is at most {DURATION_YEARS_MAX:,} years long")
        count = sign * int(digits)
        months += count * _MONTHS.get(unit, 0)
        days += count * _DAYS.get(unit, 0)
        ms += count * _MS.get(unit, 0)
    return Duration(months, days, ms)


def fixed_ms(duration: Duration) -> int:
    """Return the length in ms with each day taken as 24 hours; ValueError if there are months."""
    if duration.months != 0:
        raise ValueError(f"'{duration}': months have no fixed length; use days")
    return duration.days * DAY_MS + duration.ms


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
