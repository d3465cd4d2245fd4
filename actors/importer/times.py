"""Parse whole columns of written times: ISO 8601, or a pattern of strptime's directives.

Texts become parts (civil day, time of day, offset); a zone makes instants of them. Finer than a
millisecond is cut off. Patterns of digits run vectorised; one with names of months or halves of the
day goes through strptime, once for each distinct text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from actors.wall_time import local_to_utc_ms

Int64s = NDArray[np.int64]
Flags = NDArray[np.bool_]

DAY_MS = 86_400_000
DATE_CHARS = 10
YEAR_MAX_MS = 253_402_300_799_999  # the last millisecond of the year 9999
YEAR_MIN_MS = -62_135_596_800_000  # the first of the year 1

ISO = (
    r"^(?P<Y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})"
    r"(?:[T ](?P<H>[0-9]{2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:[.,](?P<f>[0-9]{1,9}))?)?"
    r" ?(?P<z>Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?$"
)
LENGTHS = frozenset({10, 16, 19, *range(21, 27)})  # of ISO times to the microsecond, but for offset
_DIGITS = {"Y": "[0-9]{4}", "f": "[0-9]{1,9}", "z": "Z|[+-][0-9]{2}:?[0-9]{2}"}
_TIME_OF_DAY = set("HIMSfpXcTsR")


@dataclass(slots=True)
class Written:
    """What n texts say: `ok` if they are times at all, civil `days` since 1970-01-01, `day_ms`.

    `offset_ms` is the stated offset from UTC where `offset` holds, 0 also where day and time are
    in UTC already; `timed` tells that a time of day
    is stated. Where `ok` is false the rest means nothing.
    """

    ok: Flags
    days: Int64s
    day_ms: Int64s
    offset: Flags
    offset_ms: Int64s
    timed: Flags


def has_time_of_day(pattern: str) -> bool:
    """Whether a pattern of directives reads a time of day, and not a date only."""
    return any(pair[1] in _TIME_OF_DAY for pair in re.findall(r"%[-]?.", pattern))


def parse_times(texts: pa.Array, pattern: str | None) -> Written:
    """Parse n texts by a pattern, ISO 8601 where it is None or "iso"."""
    if pattern is None or pattern == "iso":
        return _alike(texts) or _parts(pc.extract_regex(texts, pattern=ISO))
    expression = _expression(pattern)
    if expression is None:
        return _by_strptime(texts, pattern)
    return _parts(pc.extract_regex(texts, pattern=expression))


def _expression(pattern: str) -> str | None:
    """The regular expression of a pattern, None where directives need more than digits."""
    found, seen, place = "^", set(), 0
    while place < len(pattern):
        char = pattern[place]
        if char != "%":
            found += re.escape(char)
            place += 1
            continue
        directive = pattern[place + 1 : place + 2]
        place += 2
        if directive not in set("YmdHMSfz") or directive in seen:
            return None
        seen.add(directive)
        # Where another number follows at once, only full width tells them apart.
        width = "{2}" if pattern[place : place + 1] == "%" else "{1,2}"
        found += f"(?P<{directive}>{_DIGITS.get(directive, '[0-9]' + width)})"
    return found + "$" if {"Y", "m", "d"} <= seen else None


def _alike(texts: pa.Array) -> Written | None:
    """ISO times that are all of one layout, by Arrow's parser; None where it may not do.

    Arrow reads some layouts that `ISO` refuses; they differ from those here in their length.
    """
    sizes = pc.min_max(pc.binary_length(texts))
    size = sizes["min"].as_py()
    if size is None or size != sizes["max"].as_py():
        return None
    last = texts[0].as_py()[-6:]
    zulu, shift = last.endswith("Z"), last[:1] in ("+", "-") and last[3:4] == ":"
    size -= 1 if zulu else 6 if shift else 0
    if size not in LENGTHS or ((zulu or shift) and size == DATE_CHARS):
        return None
    if zulu and not pc.all(pc.ends_with(texts, "Z")).as_py():
        return None
    if shift and not pc.all(pc.match_substring_regex(texts, r"[+-][0-9]{2}:[0-9]{2}$")).as_py():
        return None
    try:
        read = texts.cast(pa.timestamp("us", "UTC" if zulu or shift else None))
    except pa.ArrowInvalid:
        return None
    ms = read.cast(pa.int64()).to_numpy() // 1000
    if int(ms.min()) < YEAR_MIN_MS + DAY_MS:
        return None
    known: Flags = np.full(len(ms), zulu or shift)
    days = ms // DAY_MS
    return Written(
        ok=np.ones(len(ms), np.bool_),
        days=days,
        day_ms=ms - days * DAY_MS,
        offset=known,
        offset_ms=np.zeros(len(ms), np.int64),
        timed=np.full(len(ms), size > DATE_CHARS),
    )


def _parts(groups: pa.Array) -> Written:
    ok = pc.is_valid(groups).to_numpy(zero_copy_only=False)
    names = [field.name for field in groups.type]

    def number(name: str) -> Int64s:
        if name not in names:
            return np.zeros(len(ok), np.int64)
        text = pc.struct_field(groups, name)
        filled = pc.if_else(pc.equal(text, ""), "0", text)
        digits = pc.fill_null(filled, "0").cast(pa.int64())
        return np.array(digits.to_numpy(zero_copy_only=False))

    def texts(name: str) -> pa.Array:
        return pc.fill_null(pc.struct_field(groups, name), "")

    year, month, day = number("Y"), number("m"), number("d")
    days, exists = _civil_days(year, month, day)
    hour, minute, second = number("H"), number("M"), number("S")
    ms = np.zeros(len(ok), np.int64)
    if "f" in names:
        padded = pc.utf8_rpad(texts("f"), 3, padding="0")
        ms = np.array(pc.utf8_slice_codeunits(padded, 0, 3).cast(pa.int64()))
    timed: Flags = np.full(len(ok), "H" in names)
    offset: Flags = np.zeros(len(ok), np.bool_)
    offset_ms, sound = np.zeros(len(ok), np.int64), ~offset
    if "z" in names:
        offset = pc.not_equal(texts("z"), "").to_numpy(zero_copy_only=False)
        offset_ms, sound = _offsets(texts("z"))
        if "H" in names:
            timed = pc.not_equal(texts("H"), "").to_numpy(zero_copy_only=False)
    ok = ok & exists & sound & (hour < 24) & (minute < 60) & (second < 60)
    day_ms = ((hour * 60 + minute) * 60 + second) * 1000 + ms
    return Written(ok, days, day_ms, offset, offset_ms, timed)


def _civil_days(year: Int64s, month: Int64s, day: Int64s) -> tuple[Int64s, Flags]:
    """Days since 1970-01-01, and which dates exist in the calendar."""
    inside = (year >= 1) & (month >= 1) & (month <= 12)
    months = np.where(inside, (year - 1970) * 12 + month - 1, 0)
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    after = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return first + day - 1, inside & (day >= 1) & (day <= after - first)


def _offsets(texts: pa.Array) -> tuple[Int64s, Flags]:
    """Offsets in ms of Z, +hh, +hhmm and +hh:mm (0 for ""), and which exist."""
    distinct = texts.dictionary_encode()
    table = []
    for text in distinct.dictionary.to_pylist():
        digits = text[1:].replace(":", "").ljust(4, "0")
        minutes = 0 if text in ("", "Z", "z") else int(digits[:2]) * 60 + int(digits[2:])
        exists = minutes < 24 * 60 and (text in ("", "Z", "z") or int(digits[2:]) < 60)
        table.append((-minutes if text.startswith("-") else minutes, exists))
    codes = distinct.indices.to_numpy(zero_copy_only=False)
    if not table:
        return np.zeros(0, np.int64), np.zeros(0, np.bool_)
    values, real = zip(*table, strict=True)
    return np.array(values, np.int64)[codes] * 60_000, np.array(real, np.bool_)[codes]


def _by_strptime(texts: pa.Array, pattern: str) -> Written:
    count = len(texts)
    found = Written(
        ok=np.zeros(count, np.bool_),
        days=np.zeros(count, np.int64),
        day_ms=np.zeros(count, np.int64),
        offset=np.zeros(count, np.bool_),
        offset_ms=np.zeros(count, np.int64),
        timed=np.full(count, has_time_of_day(pattern)),
    )
    epoch = datetime(1970, 1, 1)
    for index, text in enumerate(texts.to_pylist()):
        try:
            moment = datetime.strptime(text, pattern)  # noqa: DTZ007 -- the offset is read below
        except ValueError:
            continue
        found.ok[index] = True
        ms = (moment.replace(tzinfo=None) - epoch) // timedelta(milliseconds=1)
        found.days[index], found.day_ms[index] = divmod(ms, DAY_MS)
        offset = moment.utcoffset()
        if offset is not None:
            found.offset[index] = True
            found.offset_ms[index] = offset // timedelta(milliseconds=1)
    return found


@dataclass(slots=True)
class Placed:
    """Instants of n local times in ms UTC, and which of them a change of the clock affects."""

    ms: Int64s
    skipped: Flags
    twice: Flags


def placed(local_ms: Int64s, zone: str | None) -> Placed:
    """The instants of local times; in UTC where there is no zone."""
    if zone is None:
        never = np.zeros(len(local_ms), np.bool_)
        return Placed(local_ms, never, never)
    found = local_to_utc_ms(zone, local_ms)
    return Placed(found.ms, found.skipped, found.twice)


def instants(written: Written, zone: str | None) -> Placed:
    """The instants that texts mean: by the offset they state, else in the zone."""
    local = np.where(written.ok, written.days * DAY_MS + written.day_ms, 0)
    found = placed(local, zone)
    ms = np.where(written.offset, local - written.offset_ms, found.ms)
    free = written.ok & ~written.offset
    return Placed(ms, found.skipped & free, found.twice & free)
