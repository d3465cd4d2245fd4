"""Read one TZif file into every change of its zone's offset, to the year 2150.

No change can be missed: by RFC 8536 the offset changes only at the times the file lists and, after
the last of them, only as its footer says. Both are read whole, so nothing is probed or sampled.
Sources: RFC 8536 section 3 (file), POSIX.1-2017 section 8.3 (the `TZ` rules of the footer).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from core.calendar_days import civil_from_days, days_from_civil, month_days

YEAR_MIN = 1900  # a footer without listed times is spelled out from here
YEAR_MAX = 2150
OFFSET_MAX_S = 26 * 3600  # RFC 8536, 3.2: offsets lie in (-25 h, 26 h)
DAY_S = 86_400

_HEADER = struct.Struct(">4sc15x6I")
_NAME = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)"
_CLOCK = r"[+-]?[0-9]{1,3}(?::[0-9]{2}){0,2}"
_DAY = r"(?:M[0-9]{1,2}\.[1-5]\.[0-6]|J?[0-9]{1,3})"
_FOOTER = re.compile(
    rf"{_NAME}(?P<std>{_CLOCK})"
    rf"(?:{_NAME}(?P<dst>{_CLOCK})?"
    rf",(?P<start>{_DAY})(?:/(?P<start_at>{_CLOCK}))?,(?P<end>{_DAY})(?:/(?P<end_at>{_CLOCK}))?)?"
)


@dataclass(frozen=True, slots=True)
class OffsetChanges:
    """The offset before the first change, then (UTC second, offset in seconds) ascending."""

    first_offset_s: int
    changes: tuple[tuple[int, int], ...]


def read_tzif(data: bytes) -> OffsetChanges:
    """Return the changes that a TZif file of version 2 or later holds; ValueError if it is none."""
    try:
        return _read(data)
    except struct.error as error:
        raise ValueError(f"the time zone file ends too early: {error}") from error


def _read(data: bytes) -> OffsetChanges:
    at = _HEADER.size + _block_bytes(_counts(data, 0), time_bytes=4)
    counts = _counts(data, at)
    _, _, leapcnt, timecnt, typecnt, _ = counts
    if leapcnt:
        raise ValueError("time zone files with leap seconds are not supported")
    at += _HEADER.size
    footer_at = at + _block_bytes(counts, time_bytes=8)
    times = struct.unpack_from(f">{timecnt}q", data, at)
    kinds = struct.unpack_from(f"{timecnt}B", data, at + 8 * timecnt)
    offsets = [
        int(struct.unpack_from(">l", data, at + 9 * timecnt + 6 * kind)[0])
        for kind in range(typecnt)
    ]
    if any(abs(offset) >= OFFSET_MAX_S for offset in offsets):
        raise ValueError("a time zone file holds an offset beyond 26 hours")
    first = offsets[0]  # RFC 8536, 3.2: type 0 holds before the first time
    changes = [(second, offsets[kind]) for second, kind in zip(times, kinds, strict=True)]
    changes += _footer_changes(
        data[footer_at:].strip(b"\n").decode("ascii"), changes[-1][0] if changes else None
    )
    return OffsetChanges(first, _without_repeats(first, changes))


def _counts(data: bytes, at: int) -> tuple[int, ...]:
    magic, version, *counts = _HEADER.unpack_from(data, at)
    if magic != b"TZif" or version < b"2":
        raise ValueError("not a TZif file of version 2 or later")
    return tuple(counts)


def _block_bytes(counts: tuple[int, ...], time_bytes: int) -> int:
    isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt = counts
    listed = timecnt * (time_bytes + 1) + typecnt * 6 + charcnt
    return listed + leapcnt * (time_bytes + 4) + isstdcnt + isutcnt


def _without_repeats(first: int, changes: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Drop changes of name or of daylight flag only, and of two at one second the earlier."""
    kept: list[tuple[int, int]] = []
    for second, offset in dict(changes).items():
        if offset != (kept[-1][1] if kept else first):
            kept.append((second, offset))
    return tuple(kept)


def _footer_changes(footer: str, after_s: int | None) -> list[tuple[int, int]]:
    rule = _FOOTER.fullmatch(footer)
    if rule is None:
        raise ValueError(f"the time zone file's footer {footer!r} is not a POSIX TZ rule")
    if rule["start"] is None:
        if after_s is None:
            return [(days_from_civil(YEAR_MIN, 1, 1) * DAY_S, -_seconds(rule["std"]))]
        return []
    standard = -_seconds(rule["std"])  # POSIX counts west of Greenwich as positive
    daylight = standard + 3600 if rule["dst"] is None else -_seconds(rule["dst"])
    start_at, end_at = (_seconds(rule[name] or "2") for name in ("start_at", "end_at"))
    first_year = YEAR_MIN if after_s is None else civil_from_days(after_s // DAY_S)[0]
    changes = []
    for year in range(first_year, YEAR_MAX + 1):
        # The end stands before the start: where both fall on one second, as between years of
        # everlasting daylight time, the start prevails.
        changes.append((_rule_day(rule["end"], year) * DAY_S + end_at - daylight, 0, standard))
        changes.append((_rule_day(rule["start"], year) * DAY_S + start_at - standard, 1, daylight))
    changes.sort()
    return [
        (second, offset) for second, _, offset in changes if after_s is None or second > after_s
    ]


def _seconds(clock: str) -> int:
    sign = -1 if clock.startswith("-") else 1
    hours, minutes, seconds = (*map(int, clock.lstrip("+-").split(":")), 0, 0)[:3]
    return sign * (hours * 3600 + minutes * 60 + seconds)


def _rule_day(rule: str, year: int) -> int:
    """Return days since 1970-01-01 of `Mm.w.d`, `Jn` (29 February not counted) or `n` in a year."""
    if rule.startswith("M"):
        month, week, weekday = map(int, rule[1:].split("."))
        first = days_from_civil(year, month, 1)
        day = (weekday - (first + 4)) % 7 + 7 * (week - 1)  # 1970-01-01 was weekday 4 from Sunday
        return first + (day if day < month_days(year, month) else day - 7)
    first = days_from_civil(year, 1, 1)
    if rule.startswith("J"):
        day = int(rule[1:])
        return first + day - 1 + (day >= 60 and month_days(year, 2) == 29)
    return first + int(rule)
