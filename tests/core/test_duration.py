"""Check that durations are read as written, written canonically and refused with advice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.duration import Duration, fixed_ms, parse_duration

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("30 minutes", Duration(0, 0, 30 * 60_000)),
        ("1 day", Duration(0, 1, 0)),
        ("24 hours", Duration(0, 0, DAY_MS)),
        ("2 weeks", Duration(0, 14, 0)),
        ("1 month", Duration(1, 0, 0)),
        ("1 year", Duration(12, 0, 0)),
        ("1 year 2 months 1 week 3 days", Duration(14, 10, 0)),
        ("1 day 2 hours", Duration(0, 1, 2 * HOUR_MS)),
        ("-7 days", Duration(0, -7, 0)),
        ("-1 day 2 hours", Duration(0, -1, -2 * HOUR_MS)),
        ("+ 3 days", Duration(0, 3, 0)),
        ("5h 30m 10s 500ms 7d 2w", Duration(0, 21, 5 * HOUR_MS + 30 * 60_000 + 10_500)),
        ("5h30m", Duration(0, 0, 5 * HOUR_MS + 30 * 60_000)),
        ("1 Hr 5 MINS 2 secs", Duration(0, 0, HOUR_MS + 5 * 60_000 + 2_000)),
        ("  1   DAY\t2 Hours ", Duration(0, 1, 2 * HOUR_MS)),
        ("1 second 1 millisecond", Duration(0, 0, 1_001)),
        ("250 milliseconds", Duration(0, 0, 250)),
        ("0 days", Duration(0, 0, 0)),
        ("-0 days", Duration(0, 0, 0)),
        ("1000 years", Duration(12_000, 0, 0)),
    ],
)
def test_text_is_read_as_written(text: str, duration: Duration) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (Duration(0, 0, 30 * 60_000), "30 minutes"),
        (Duration(0, 0, 24 * HOUR_MS), "24 hours"),
        (Duration(0, 1, 0), "1 day"),
        (Duration(0, 14, 0), "14 days"),
        (Duration(14, 1, HOUR_MS), "1 year 2 months 1 day 1 hour"),
        (Duration(0, 0, HOUR_MS + 60_000 + 1_001), "1 hour 1 minute 1 second 1 ms"),
        (Duration(0, -7, 0), "-7 days"),
        (Duration(0, -1, -2 * HOUR_MS), "-1 day 2 hours"),
        (Duration(0, 0, 2), "2 ms"),
        (Duration(0, 0, 0), "0 seconds"),
    ],
)  # fmt: skip
def test_canonical_text(duration: Duration, text: str) -> None:
    assert str(duration) == text


@given(
    st.sampled_from([1, -1]),
    st.integers(0, 12_000),
    st.integers(0, 366_000),
    st.integers(0, 366_000 * DAY_MS),
)
def test_canonical_text_reads_back(sign: int, months: int, days: int, ms: int) -> None:
    duration = Duration(sign * months, sign * days, sign * ms)
    assert parse_duration(str(duration)) == duration
    assert str(parse_duration(str(duration))) == str(duration)


@pytest.mark.parametrize(
    "text",
    ["", " ", "soon", "3", "days", "1.5 hours", "1 day, 2 hours", "1 day and 2 hours", "one day",
     "1 day -2 hours", "--1 day", "٣ days", "1 day\x00", "1_0 days", "P1D"],
)  # fmt: skip
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration: write whole numbers .* '30 minutes'"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["3 fortnights", "2 dayss", "1 mss", "5 hs", "1 day 3 ks"])
def test_an_unknown_unit_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"has the unknown unit '[a-z]+': write whole"):
        parse_duration(text)


def test_blanks_cost_no_more_than_their_number() -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration("1 day" + " " * 1_000_000 + "!")


@pytest.mark.parametrize("text", ["1 day 2 days", "1h 2 hours", "5m 1 minute"])
def test_a_unit_named_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="twice"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["1001 years", "12001 months", "9" * 5_000 + " days"])
def test_what_would_overflow_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at most 1,000 years"):
        parse_duration(text)


def test_signs_do_not_mix() -> None:
    with pytest.raises(ValueError, match="one sign"):
        Duration(1, -1, 0)


def test_fixed_length() -> None:
    assert fixed_ms(parse_duration("2 weeks 1 hour")) == 14 * DAY_MS + HOUR_MS
    assert fixed_ms(parse_duration("-1 day")) == -DAY_MS
    with pytest.raises(ValueError, match="'1 month': months have no fixed length; use days"):
        fixed_ms(parse_duration("1 month"))
