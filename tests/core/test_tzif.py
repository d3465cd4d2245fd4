"""Check the reader of time zone files on files built here, with rules no present zone uses."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest

from core.tzif import read_tzif


def _file(footer: str, times: list[tuple[int, int]], offsets: list[int], leaps: int = 0) -> bytes:
    """A version 2 file: an empty version 1 block, then one of 64-bit times, then the footer."""
    empty = struct.pack(">4sc15x6I", b"TZif", b"2", 0, 0, 0, 0, 0, 0)
    header = struct.pack(">4sc15x6I", b"TZif", b"2", 0, 0, leaps, len(times), len(offsets), 4)
    body = b"".join(struct.pack(">q", second) for second, _ in times)
    body += bytes(kind for _, kind in times)
    body += b"".join(struct.pack(">lBB", offset, 0, 0) for offset in offsets)
    return empty + header + body + b"STD\0" + bytes(12 * leaps) + f"\n{footer}\n".encode()


def _utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp())


def test_listed_times_only() -> None:
    read = read_tzif(_file("<+02>-2", [(100, 1), (200, 0), (300, 1)], [3600, 7200]))
    assert read.first_offset_s == 3600
    assert read.changes == ((100, 7200), (200, 3600), (300, 7200))


def test_changes_that_keep_the_offset_are_dropped() -> None:
    read = read_tzif(_file("<+02>-2", [(50, 0), (100, 1), (200, 2), (300, 1)], [3600, 7200, 7200]))
    assert read.changes == ((100, 7200),)


def test_the_footer_takes_over_after_the_last_listed_time() -> None:
    listed = [(_utc(2025, 10, 26, 1), 0), (_utc(2026, 3, 29, 1), 1)]
    read = read_tzif(_file("CET-1CEST,M3.5.0,M10.5.0/3", listed, [3600, 7200]))
    assert read.changes[:4] == (
        (_utc(2026, 3, 29, 1), 7200),
        (_utc(2026, 10, 25, 1), 3600),
        (_utc(2027, 3, 28, 1), 7200),
        (_utc(2027, 10, 31, 1), 3600),
    )
    assert read.changes[-1] == (_utc(2150, 10, 25, 1), 3600)


def test_julian_days_skip_29_february_and_plain_days_count_it() -> None:
    julian = dict(read_tzif(_file("AAA0BBB,J60/0,J365/0", [], [0])).changes)
    plain = dict(read_tzif(_file("AAA0BBB,59/0,364/0", [], [0])).changes)
    for year in (1999, 2000, 2001, 2100):
        assert julian[_utc(year, 3, 1)] == 3600
        assert julian[_utc(year, 12, 30, 23)] == 0
    assert plain[_utc(1999, 3, 1)] == 3600
    assert plain[_utc(2000, 2, 29)] == 3600
    assert plain[_utc(2000, 12, 29, 23)] == 0
    assert plain[_utc(2100, 3, 1)] == 3600


def test_everlasting_daylight_time_never_changes() -> None:
    read = read_tzif(_file("XXX3EDT4,0/0,J365/23", [(0, 1)], [-10800, -14400]))
    last = _utc(2150, 12, 31) + 27 * 3600
    assert read.changes == ((0, -14400), (last, -10800))


def test_offsets_and_clocks_with_seconds_and_signs() -> None:
    read = read_tzif(_file("<-01>+1:30:15<+03>-3,M3.5.0/-1:30,M10.5.0/25:00:30", [], [0]))
    assert read.changes[0] == (_utc(1900, 3, 24, 22, 30) + 5415, 10800)
    assert read.changes[1] == (_utc(1900, 10, 29, 1) + 30 - 10800, -5415)


def test_no_times_and_a_fixed_footer() -> None:
    assert read_tzif(_file("UTC0", [], [0])).changes == ()
    assert read_tzif(_file("<+05>-5", [], [0])).changes == ((_utc(1900, 1, 1), 18000),)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ends too early"),
        (b"PK\x03\x04" + bytes(60), "not a TZif file"),
        (b"TZif\0" + bytes(60), "version 2"),
        (_file("UTC0", [], [0])[:60], "ends too early"),
        (_file("EST5EDT", [], [0]), "footer 'EST5EDT' is not a POSIX TZ rule"),
        (_file("", [], [0]), "footer '' is not"),
        (_file("UTC0", [(0, 0)], [26 * 3600]), "beyond 26 hours"),
        (_file("UTC0", [], [0], leaps=1), "leap seconds"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_tzif(data)
