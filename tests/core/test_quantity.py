"""Checks how counts, shares and times are written."""

import pytest

from core.quantity import THIN, day, moment, number, percent, percents, plural, points, span

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (999, "999"), (1234567, "1_234_567"), (-1234, "-1_234"), (3.0, "3"),
        (3.25, "3.2"), (9.94, "9.9"), (9.96, "10"), (12.5, "12"), (12345.6, "12_346"),
    ],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text.replace("_", THIN)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0"), (1.0, "100"), (0.5, "50"), (0.123, "12.3"), (0.0004, "0.04"),
        (0.00001, "0.001"), (0.9996, "99.96"), (1.5, "150"), (16.14, f"1{THIN}614"),
    ],
)  # fmt: skip
def test_shares(share: float, text: str) -> None:
    assert percent(share) == f"{text}{THIN}%"


def test_ranges_and_differences() -> None:
    assert percents(0.048, 0.248) == f"4.8–24.8{THIN}%"
    assert points(0.034) == f"+3.4{THIN}pp"
    assert points(-0.0005) == f"−0.05{THIN}pp"


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0_s"), (400, "0_s"), (45_000, "45_s"), (HOUR, "1_h"), (HOUR + 60_000, "1_h 1_min"),
        (24 * HOUR + 30_000, "1_d"), (50 * HOUR, "2_d 2_h"), (59_999.6, "1_min"),
    ],
)  # fmt: skip
def test_spans(ms: float, text: str) -> None:
    assert span(ms) == text.replace("_", THIN)


def test_times_are_utc() -> None:
    assert moment(1_767_225_600_000) == "2026-01-01 00:00 UTC"
    assert day(1_767_225_599_999) == "2025-12-31"


def test_nouns_follow_their_count() -> None:
    assert [plural(n, "node") for n in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]
    assert plural(2, "entry", "entries") == "2 entries"
